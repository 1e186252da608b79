//! A stream's bytes, cut into lines.
//!
//! A line longer than 16 KiB comes in pieces, as with Docker: a program that never ends a line costs bounded memory. A
//! piece never ends amid a character, so that what is no UTF-8 is replaced the same however the bytes came.

/// The longest piece.
pub(super) const LONGEST: usize = 16 * 1024;

/// What a stream has written of a line that it has not ended.
#[derive(Debug, Default)]
pub(super) struct Begun {
    held: Vec<u8>,
}

impl Begun {
    /// Takes what the stream wrote, and gives each piece that is complete: its text without the newline, and whether
    /// it ends a line.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8], bool)) {
        while !bytes.is_empty() {
            let room = LONGEST - self.held.len().min(LONGEST);
            let window = bytes.get(..room).unwrap_or(bytes);
            if let Some(end) = window.iter().position(|byte| *byte == b'\n') {
                let (text, rest) = bytes.split_at(end);
                if self.held.is_empty() {
                    each(text, true);
                } else {
                    self.held.extend_from_slice(text);
                    each(&self.held, true);
                    self.held.clear();
                }
                bytes = rest.get(1..).unwrap_or_default();
            } else {
                let (text, rest) = bytes.split_at(window.len());
                self.held.extend_from_slice(text);
                bytes = rest;
                if self.held.len() >= LONGEST {
                    let whole = whole_characters(&self.held);
                    each(self.held.get(..whole).unwrap_or_default(), false);
                    self.held.drain(..whole);
                }
            }
        }
        if self.held.is_empty() && self.held.capacity() > 256 {
            self.held = Vec::new();
        }
    }

    /// Gives what no newline will end.
    pub(super) fn end(&mut self, each: impl FnOnce(&[u8])) {
        if !self.held.is_empty() {
            each(&self.held);
        }
        self.held = Vec::new();
    }
}

/// How much of the text is left when a character that it has only the beginning of is cut off its end.
fn whole_characters(text: &[u8]) -> usize {
    for (before, byte) in text.iter().rev().take(3).enumerate() {
        let length = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if length > before + 1 { text.len() - before - 1 } else { text.len() };
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::{Begun, LONGEST};
    use proptest::prelude::*;

    fn pieces(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let (mut begun, mut all) = (Begun::default(), Vec::new());
        for chunk in chunks {
            begun.feed(chunk, |text, ended| all.push((text.to_vec(), ended)));
        }
        begun.end(|text| all.push((text.to_vec(), false)));
        all
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let expected = vec![(b"one".to_vec(), true), (b"".to_vec(), true), (b"tw".to_vec(), false)];
        assert_eq!(pieces(&[b"one\n\ntw"]), expected);
        assert_eq!(pieces(&[b"o", b"ne", b"\n", b"\n", b"tw"]), expected);
    }

    #[test]
    fn long_lines_come_in_pieces_and_characters_whole() {
        let mut line = vec![b'x'; LONGEST - 1];
        line.extend("é".as_bytes());
        line.push(b'\n');
        let all = pieces(&[&line]);
        assert_eq!(all, [(vec![b'x'; LONGEST - 1], false), ("é".into(), true)]);
        assert_eq!(pieces(&[&[0xff; LONGEST + 1]]), [(vec![0xff; LONGEST], false), (vec![0xff], false)]);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_and_what_is_no_text_is_replaced_the_same(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40),
                    (0..40_000usize, any::<char>()).prop_map(|(n, letter)| letter.to_string().repeat(n / 2).into_bytes()),
                ],
                0..6,
            ),
        ) {
            let chunks: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let (mut bytes, mut text) = (Vec::new(), String::new());
            for (piece, ended) in pieces(&chunks) {
                prop_assert!(piece.len() <= LONGEST && !piece.contains(&b'\n'));
                text.push_str(&String::from_utf8_lossy(&piece));
                bytes.extend(piece);
                if ended {
                    text.push('\n');
                    bytes.push(b'\n');
                }
            }
            let all = parts.concat();
            prop_assert_eq!(String::from_utf8_lossy(&all), text);
            prop_assert!(bytes == all);
        }
    }
}
