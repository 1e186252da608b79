//! The keys by which a user leaves a container's terminal and lets it run on.

/// Docker's usual ones.
pub const USUAL: &str = "ctrl-p,ctrl-q";

/// Finds the keys in what a user types. What could be their beginning is held back until it is known not to be. By default
/// there are none, and all passes.
#[derive(Clone, Debug, Default)]
pub struct DetachKeys {
    keys: Vec<u8>,
    seen: usize,
}

impl DetachKeys {
    /// Reads `ctrl-p,ctrl-q` and the like, as Docker's `--detach-keys`.
    ///
    /// # Errors
    /// One is not a key: a sentence that names it.
    pub fn parse(text: &str) -> Result<DetachKeys, String> {
        Ok(DetachKeys { keys: parse(text)?, seen: 0 })
    }

    /// Adds what passes to `out`. `true`: the keys were typed.
    pub fn see(&mut self, typed: &[u8], out: &mut Vec<u8>) -> bool {
        if self.keys.is_empty() {
            out.extend_from_slice(typed);
            return false;
        }
        for byte in typed {
            if self.keys.get(self.seen) == Some(byte) {
                self.seen += 1;
                if self.seen == self.keys.len() {
                    return true;
                }
                continue;
            }
            out.extend_from_slice(self.keys.get(..self.seen).unwrap_or_default());
            self.seen = usize::from(self.keys.first() == Some(byte));
            if self.seen == 0 {
                out.push(*byte);
            } else if self.keys.len() == 1 {
                return true;
            }
        }
        false
    }
}

fn parse(text: &str) -> Result<Vec<u8>, String> {
    text.split(',')
        .map(|key| {
            let bad = || format!("invalid detach keys ({text}): {key:?} is not a key: write a letter or ctrl- and a letter or one of @ [ \\ ] ^ _");
            match key.as_bytes() {
                [one] if one.is_ascii() => Ok(*one),
                [b'c', b't', b'r', b'l', b'-', letter] => match letter {
                    b'a'..=b'z' => Ok(letter - b'a' + 1),
                    b'@' => Ok(0),
                    b'[' | b'\\' | b']' | b'^' | b'_' => Ok(letter - b'@'),
                    _ => Err(bad()),
                },
                b"DEL" => Ok(127),
                _ => Err(bad()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{DetachKeys, parse};

    #[test]
    fn keys_are_found_across_reads_and_held_back_bytes_are_not_lost() {
        let mut keys = DetachKeys::parse("ctrl-p,ctrl-q").unwrap();
        let mut out = Vec::new();
        assert!(!keys.see(b"ab\x10", &mut out));
        assert_eq!(out, b"ab");
        assert!(!keys.see(b"c\x10\x10", &mut out));
        assert_eq!(out, b"ab\x10c\x10");
        assert!(keys.see(b"\x11", &mut out));
    }

    #[test]
    fn keys_are_written_as_docker_writes_them() {
        assert_eq!(parse("ctrl-p,ctrl-q"), Ok(vec![16, 17]));
        assert_eq!(parse("a,ctrl-\\"), Ok(vec![b'a', 28]));
        for bad in ["", "ctrl-", "ctrl-1", "ab", "a,,b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
