//! The formats of the account files, without the files: bytes in, entries out.
//!
//! They are bytes because comments and full names in them may be in any encoding. passwd(5) and group(5) are
//! rows of fields between colons, and what is no such row is passed over, as the C library does;
//! login.defs(5) is words and values; subuid(5) rows of three fields, each of which must hold.

use std::ops::RangeInclusive;

use super::range::HIGHEST;
use super::{Account, Range, Subordinate};

/// A row of passwd or group.
pub(super) struct Row<'a> {
    /// Where it is in the file: 1 for the first line.
    pub(super) line: usize,
    /// The whole row.
    pub(super) text: &'a [u8],
    pub(super) name: &'a [u8],
    /// The user's ID in passwd, the group's in group; `None` if it is not one.
    pub(super) id: Option<u32>,
    /// The primary group's ID, in passwd only.
    pub(super) primary_group: Option<u32>,
}

impl Row<'_> {
    /// The name, if it is text.
    pub(super) fn name(&self) -> Option<String> {
        String::from_utf8(self.name.to_vec()).ok()
    }

    /// The user, in passwd.
    pub(super) fn account(&self) -> Option<Account> {
        Some(Account { name: self.name()?, uid: self.id?, gid: self.primary_group? })
    }
}

/// The rows of passwd, group, shadow or gshadow, without comments and NIS's lines (`+`, `-`).
pub(super) fn rows(file: &[u8]) -> impl Iterator<Item = Row<'_>> {
    file.split(|&byte| byte == b'\n').enumerate().filter_map(|(before, text)| {
        let text = text.trim_ascii_start();
        let mut fields = text.split(|&byte| byte == b':');
        let name = fields.next()?;
        if matches!(name.first(), None | Some(b'#' | b'+' | b'-')) {
            return None;
        }
        let _password = fields.next();
        let id = fields.next().and_then(number);
        Some(Row { line: before + 1, text, name, id, primary_group: fields.next().and_then(number) })
    })
}

/// An ID in decimal digits, at most 2^32-2.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok().filter(|&id| id <= HIGHEST)
}

/// What login.defs says between `min` and `max`. The default holds for what is not there, and for both if one
/// is no ID, the first is root's, or nothing is between them.
pub(super) fn setting_range(
    login_defs: &[u8],
    min: &str,
    max: &str,
    default: RangeInclusive<u32>,
) -> RangeInclusive<u32> {
    let value = |key, default| setting(login_defs, key).map_or(Some(default), setting_number);
    match (value(min, *default.start()), value(max, *default.end())) {
        (Some(first), Some(last)) if first > 0 && first <= last => first..=last,
        _ => default,
    }
}

/// The value of a setting of login.defs: of the last line that has it, without quotes.
fn setting<'a>(login_defs: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    login_defs.split(|&byte| byte == b'\n').rev().find_map(|line| {
        let line = line.trim_ascii();
        let end = line.iter().position(is_blank)?;
        let (name, value) = line.split_at_checked(end)?;
        let is_framing = |byte: &u8| is_blank(byte) || *byte == b'"';
        let value = value.get(value.iter().position(|byte| !is_framing(byte))?..)?;
        let value = value.split(|&byte| byte == b'"').next()?;
        (name == key.as_bytes()).then(|| value.trim_ascii_end())
    })
}

/// login.defs(5): decimal, octal after 0, hexadecimal after 0x.
fn setting_number(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text.get(1..)?, 8),
        None => (text, 10),
    };
    // Rust's numbers may have a plus sign before them.
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, radix).ok().filter(|&id| id <= HIGHEST)
}

/// A line of subuid or subgid that is neither empty nor a comment.
pub(super) struct SubordinateLine<'a> {
    /// 1 for the first line of the file.
    pub(super) line: usize,
    pub(super) text: &'a [u8],
    /// `Ok(None)` if it gives no IDs (a count of 0), `Err` with what is wrong with it.
    pub(super) entry: Result<Option<Subordinate>, &'static str>,
}

/// The lines of subuid or subgid.
pub(super) fn subordinates(file: &[u8]) -> impl Iterator<Item = SubordinateLine<'_>> {
    file.split(|&byte| byte == b'\n').enumerate().filter_map(|(before, text)| {
        let text = text.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            return None;
        }
        Some(SubordinateLine { line: before + 1, text, entry: subordinate(text) })
    })
}

fn subordinate(text: &[u8]) -> Result<Option<Subordinate>, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text in UTF-8")?;
    let mut fields = text.split(':');
    let (Some(owner), Some(first), Some(count), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err("it is not OWNER:FIRST:COUNT");
    };
    if owner.is_empty() {
        return Err("it names no owner");
    }
    let (first, count) = (range_number(first.trim())?, range_number(count.trim())?);
    if count == 0 {
        return Ok(None);
    }
    let range = Range::new(first, count).ok_or("it goes beyond the highest ID, 4294967294")?;
    Ok(Some(Subordinate { owner: owner.into(), range }))
}

/// A number in subuid. Zeros before it are refused: some tools read octal then, others decimal.
fn range_number(text: &str) -> Result<u32, &'static str> {
    if text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("tools disagree on what a number with a zero before it means");
    }
    number(text.as_bytes()).ok_or("FIRST and COUNT are not both numbers from 0 to 4294967294")
}

/// The file with one more line at its end, which begins on a line of its own.
pub(super) fn with_last_line(file: &[u8], line: &str) -> Vec<u8> {
    let mut file = file.to_vec();
    if !file.is_empty() && !file.ends_with(b"\n") {
        file.push(b'\n');
    }
    file.extend_from_slice(line.as_bytes());
    file.push(b'\n');
    file
}

/// The file with one more line before NIS's, which would hide it, or else at its end.
pub(super) fn with_account_line(file: &[u8], line: &str) -> Vec<u8> {
    let mut begin = 0;
    for text in file.split_inclusive(|&byte| byte == b'\n') {
        if matches!(text.first(), Some(b'+' | b'-')) {
            let (before, after) = file.split_at(begin);
            let mut file = with_last_line(before, line);
            file.extend_from_slice(after);
            return file;
        }
        begin += text.len();
    }
    with_last_line(file, line)
}

/// A line for an error message: quoted, without control characters, not endless.
pub(super) fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_the_account_tools_read_them() {
        let range = |text: &[u8]| setting_range(text, "UID_MIN", "UID_MAX", 1000..=60000);
        for (text, wanted) in [
            (&b""[..], 1000..=60000),
            (b"UID_MIN 500\n", 500..=60000),
            (b"#UID_MIN 500\nUID_MINIMUM 7\n", 1000..=60000),
            (b"  UID_MIN\t \t2000 \nUID_MAX \"3000\"\n", 2000..=3000),
            (b"UID_MIN 500\nUID_MIN 600", 600..=60000),
            (b"UID_MIN 0x1000\nUID_MAX 020000\n", 4096..=8192),
            (b"UID_MIN\nUID_MAX 70000\n", 1000..=70000),
            (b"\xff\xfe UID_MIN\nUID_MAX 70000\n", 1000..=70000),
        ] {
            assert_eq!(range(text), wanted, "{}", shown(text));
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_not_taken() {
        for text in [
            "UID_MIN 0",
            "UID_MIN -5\nUID_MAX 70000",
            "UID_MIN +5",
            "UID_MIN 70000",
            "UID_MIN 500\nUID_MAX 400",
            "UID_MIN 500\nUID_MAX 4294967295",
            "UID_MIN 500\nUID_MAX lots",
            "UID_MIN 500 # of old",
            "UID_MIN 0x",
        ] {
            let range = setting_range(text.as_bytes(), "UID_MIN", "UID_MAX", 1000..=60000);
            assert_eq!(range, 1000..=60000, "{text:?}");
        }
    }

    #[test]
    fn lines_of_ranges_hold_or_say_why_not() {
        let why = |text: &str| subordinate(text.as_bytes()).err();
        for broken in [
            "docker",
            "docker:100000",
            "docker:100000:65536:",
            ":100000:65536",
            "docker:100000:",
            "docker:+1:5",
            "docker:-1:5",
            "docker:0x10:5",
            "docker:0100000:65536",
            "docker:4294967295:1",
            "docker:4294967294:2",
            "docker:100000:4294967295",
            "docker:99999999999999999999:1",
            "docker:1:1 # mine",
        ] {
            assert!(why(broken).is_some(), "{broken:?}");
        }
        let range = |first, count| Some(Range { first, count });
        for (text, owner, wanted) in [
            ("docker:100000:65536", "docker", range(100_000, 65536)),
            ("1000: 5 :6", "1000", range(5, 6)),
            ("a:4294967294:1", "a", range(4_294_967_294, 1)),
            ("a:0:1", "a", range(0, 1)),
            ("a:7:0", "a", None),
        ] {
            let entry = subordinate(text.as_bytes()).unwrap();
            assert_eq!(entry.as_ref().map(|entry| entry.range), wanted, "{text:?}");
            assert!(entry.is_none_or(|entry| entry.owner == owner));
        }
    }

    #[test]
    fn a_line_is_added_on_a_line_of_its_own() {
        assert_eq!(with_last_line(b"", "new"), b"new\n");
        assert_eq!(with_last_line(b"old", "new"), b"old\nnew\n");
        assert_eq!(with_last_line(b"old\n", "new"), b"old\nnew\n");
        assert_eq!(with_account_line(b"a:x:1\n+::::::\n", "new"), b"a:x:1\nnew\n+::::::\n");
        assert_eq!(with_account_line(b"+", "new"), b"new\n+");
        assert_eq!(with_account_line(b"a+b\n", "new"), b"a+b\nnew\n");
    }

    #[test]
    fn what_is_shown_is_short_and_printable() {
        assert_eq!(shown(b"a\x1b[2J\xff"), "\"a\\u{1b}[2J\u{fffd}\"");
        assert!(shown("ä".repeat(500).as_bytes()).chars().count() < 100);
    }
}
