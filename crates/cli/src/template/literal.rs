//! The literals of a template: strings, characters and numbers, read as Go reads its own
//! (<https://go.dev/ref/spec#Lexical_elements>).

use serde_json::Number;

/// The value of a quoted string, quotes included: `"..."`, or `` `...` `` as it stands.
pub(super) fn unquote(text: &str) -> Option<String> {
    if let Some(raw) = text.strip_prefix('`') {
        return raw.strip_suffix('`').map(|raw| raw.replace('\r', ""));
    }
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        let (piece, after) = unescape(rest, '"')?;
        match piece {
            Piece::Char(c) => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            Piece::Byte(b) => bytes.push(b),
        }
        rest = after;
    }
    // Go's strings hold any bytes; ours hold text, so a lone \xff shows as U+FFFD.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

enum Piece {
    Char(char),
    Byte(u8),
}

/// The first character of `text`, escapes resolved, and what follows it.
fn unescape(text: &str, quote: char) -> Option<(Piece, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first != '\\' {
        return (first != quote).then_some((Piece::Char(first), chars.as_str()));
    }
    let simple = match chars.next()? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        c if c == quote => c,
        'x' => return code(chars.as_str(), 2, 16),
        'u' => return code(chars.as_str(), 4, 16),
        'U' => return code(chars.as_str(), 8, 16),
        '0'..='7' => return code(text.get(1..)?, 3, 8),
        _ => return None,
    };
    Some((Piece::Char(simple), chars.as_str()))
}

fn code(text: &str, digits: usize, radix: u32) -> Option<(Piece, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    if !number.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = u32::from_str_radix(number, radix).ok()?;
    let piece = match digits {
        2 | 3 => Piece::Byte(u8::try_from(value).ok()?),
        _ => Piece::Char(char::from_u32(value)?),
    };
    Some((piece, rest))
}

/// The value of a number or of a character constant, `None` if it is neither or fits in no 64 bits.
pub(super) fn number(text: &str) -> Option<Number> {
    if let Some(inner) = text.strip_prefix('\'') {
        let (piece, rest) = unescape(inner, '\'')?;
        let value = match piece {
            Piece::Char(c) => u32::from(c),
            Piece::Byte(b) => u32::from(b),
        };
        return (rest == "'").then(|| value.into());
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = match lower.get(..2) {
        Some("0x") => (16, lower.get(2..)?),
        Some("0o") => (8, lower.get(2..)?),
        Some("0b") => (2, lower.get(2..)?),
        _ if lower.len() > 1 && lower.starts_with('0') && !lower.contains(['.', 'e']) => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    // An underscore stands between two digits, or between a prefix and a digit.
    let bare = body.strip_prefix('_').filter(|_| radix != 10).unwrap_or(body);
    if bare.starts_with('_') || bare.ends_with('_') || bare.contains("__") {
        return None;
    }
    let plain = bare.replace('_', "");
    if radix == 10 && plain.contains(['.', 'e']) {
        if bare != plain {
            return None;
        }
        let value: f64 = plain.parse().ok()?;
        return Number::from_f64(if negative { -value } else { value });
    }
    let value = i128::from_str_radix(&plain, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok().map(Number::from)
}

#[cfg(test)]
mod tests {
    use super::{number, unquote};

    #[test]
    fn strings_are_read_as_go_reads_them() {
        for (text, value) in [
            (r#""a\tb\n""#, Some("a\tb\n")),
            (r#""\x41\101\u00e9\U0001F600""#, Some("AA\u{e9}\u{1F600}")),
            (r#""\"\\""#, Some("\"\\")),
            (r#""\'""#, None),
            (r#""\q""#, None),
            (r#""\u12""#, None),
            (r#""\400""#, None),
            ("`a\\n\"b`", Some("a\\n\"b")),
        ] {
            assert_eq!(unquote(text).as_deref(), value, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, value) in [
            ("5", Some("5")),
            ("-5", Some("-5")),
            ("+5", Some("5")),
            ("0x1F", Some("31")),
            ("0b101", Some("5")),
            ("0o17", Some("15")),
            ("017", Some("15")),
            ("1_000", Some("1000")),
            ("0x_1", Some("1")),
            ("1.5", Some("1.5")),
            ("'a'", Some("97")),
            (r"'\n'", Some("10")),
            ("1__0", None),
            ("09", None),
            ("0x", None),
            ("99999999999999999999", None),
            ("1e999", None),
            ("''", None),
            ("'ab'", None),
        ] {
            assert_eq!(number(text).map(|n| n.to_string()).as_deref(), value, "{text}");
        }
    }
}
