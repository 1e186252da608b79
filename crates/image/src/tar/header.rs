//! The 512 bytes of a header: fields, numbers, checksum (tar(5), GNU tar's manual "Basic Tar Format").

use super::BLOCK;

/// Which dialect a header is written in; it decides what the bytes after `linkname` mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Gnu,
}

/// One header block.
pub(super) struct Header(pub(super) [u8; BLOCK]);

impl Header {
    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|b| *b == 0)
    }

    /// The sum of all bytes with the checksum's own as spaces; some old writers summed signed bytes.
    pub(super) fn checksum_fits(&self) -> bool {
        let Ok(stated) = number(&self.0[148..156]) else { return false };
        let (mut unsigned, mut signed) = (0i64, 0i64);
        for (at, byte) in self.0.iter().enumerate() {
            let byte = if (148..156).contains(&at) { b' ' } else { *byte };
            unsigned += i64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        stated == unsigned || stated == signed
    }

    pub(super) fn format(&self) -> Format {
        match &self.0[257..265] {
            b"ustar  \0" => Format::Gnu,
            magic if magic.starts_with(b"ustar\0") => Format::Ustar,
            _ => Format::V7,
        }
    }

    pub(super) fn type_flag(&self) -> u8 {
        self.0[156]
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.0[..100]);
        match self.format() {
            Format::Ustar if self.0[345] != 0 => {
                let mut whole = text(&self.0[345..500]).to_vec();
                whole.push(b'/');
                whole.extend_from_slice(name);
                whole
            }
            _ => name.to_vec(),
        }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    pub(super) fn mode(&self) -> Result<i64, String> {
        number(&self.0[100..108]).map_err(|e| format!("mode: {e}"))
    }

    pub(super) fn uid(&self) -> Result<i64, String> {
        number(&self.0[108..116]).map_err(|e| format!("user ID: {e}"))
    }

    pub(super) fn gid(&self) -> Result<i64, String> {
        number(&self.0[116..124]).map_err(|e| format!("group ID: {e}"))
    }

    pub(super) fn size(&self) -> Result<i64, String> {
        number(&self.0[124..136]).map_err(|e| format!("size: {e}"))
    }

    pub(super) fn mtime(&self) -> Result<i64, String> {
        number(&self.0[136..148]).map_err(|e| format!("modification time: {e}"))
    }

    /// Major and minor number; v7 has none.
    pub(super) fn device(&self) -> Result<(i64, i64), String> {
        if self.format() == Format::V7 {
            return Ok((0, 0));
        }
        let part = |bytes: &[u8]| number(bytes).map_err(|e| format!("device number: {e}"));
        Ok((part(&self.0[329..337])?, part(&self.0[337..345])?))
    }
}

/// A text field: up to the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// A number: octal digits among spaces and NULs, or base-256 where the first bit is set (GNU).
pub(super) fn number(field: &[u8]) -> Result<i64, &'static str> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base_256(field),
        _ => octal(field),
    }
}

fn octal(field: &[u8]) -> Result<i64, &'static str> {
    let trimmed = field.trim_ascii_start();
    let start = trimmed.iter().position(|b| !matches!(b, b' ' | 0)).unwrap_or(trimmed.len());
    let mut value = 0i64;
    let mut digits = trimmed.iter().skip(start);
    for byte in digits.by_ref() {
        match byte {
            b'0'..=b'7' => {
                value = value
                    .checked_mul(8)
                    .and_then(|v| v.checked_add(i64::from(byte - b'0')))
                    .ok_or("the number is too large")?;
            }
            b' ' | 0 => break,
            _ => return Err("not an octal number"),
        }
    }
    if digits.any(|byte| !matches!(byte, b' ' | 0)) {
        return Err("not an octal number");
    }
    Ok(value)
}

/// Two's complement, big endian, with the very first bit as a mark only.
fn base_256(field: &[u8]) -> Result<i64, &'static str> {
    let negative = field.first().is_some_and(|first| first & 0x40 != 0);
    let mut value: i128 = if negative { -1 } else { 0 };
    for (at, byte) in field.iter().enumerate() {
        let byte = match (at, negative) {
            (0, false) => byte & 0x7f,
            (0, true) => byte | 0x80,
            _ => *byte,
        };
        // Twelve bytes at most, so 96 bits: no overflow in 128.
        value = value << 8 | i128::from(byte);
    }
    i64::try_from(value).map_err(|_| "the number is too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(number(b"0000644\0"), Ok(0o644));
        assert_eq!(number(b"  644 \0 "), Ok(0o644));
        assert_eq!(number(b"\0\0\0\0"), Ok(0));
        assert_eq!(number(b""), Ok(0));
        assert!(number(b"8\0").is_err());
        assert!(number(b"12 3").is_err());
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 0]), Ok(256));
        assert_eq!(number(&[0xff; 8]), Ok(-1));
        let mut large = [0xffu8; 12];
        large[0] = 0x80;
        assert!(number(&large).is_err());
    }
}
