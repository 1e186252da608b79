//! The forms of a log's line: Docker's json-file, and our own plain one ([`LogFormat`]).
//!
//! Lines of ours and of Docker's are JSON in one order, which is read by hand; any other JSON that says the same is read by
//! serde.

use std::ops::Range;

use bulkhead_supervisor::log_config::LogFormat;
use memchr::memchr2;
use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::Line;

/// Where the parts of a line are.
#[derive(Debug, Default)]
pub(super) struct Fields {
    text: Text,
    stderr: bool,
    time: Range<usize>,
    attrs: Option<Range<usize>>,
    /// What serde read, where the ranges mean nothing.
    other: Option<(String, Option<String>)>,
}

#[derive(Debug, Default)]
enum Text {
    #[default]
    Decoded,
    Lent(Range<usize>),
}

impl Fields {
    pub(super) fn line<'a>(&'a self, block: &'a [u8], decoded: &'a [u8]) -> Line<'a> {
        let part = |place: &Range<usize>| {
            std::str::from_utf8(block.get(place.clone()).unwrap_or_default()).unwrap_or_default()
        };
        let (time, attrs) = match &self.other {
            Some((time, attrs)) => (time.as_str(), attrs.as_deref()),
            None => (part(&self.time), self.attrs.as_ref().map(part)),
        };
        let text = match &self.text {
            Text::Decoded => decoded,
            Text::Lent(place) => block.get(place.clone()).unwrap_or_default(),
        };
        Line { text, stderr: self.stderr, time, attrs }
    }
}

/// The parts of the line at `place` of the block, which a newline follows. `None`: it makes no sense.
pub(super) fn fields(
    format: &LogFormat,
    block: &[u8],
    place: Range<usize>,
    decoded: &mut Vec<u8>,
) -> Option<Fields> {
    let line = block.get(place.clone())?;
    match format {
        LogFormat::Plain => plain(line, place.start),
        LogFormat::Json { .. } => json(line, place.start, decoded).or_else(|| any_json(line, decoded)),
    }
}

/// `TIME STREAM F|P TEXT`.
fn plain(line: &[u8], start: usize) -> Option<Fields> {
    let time = line.iter().take(40).position(|byte| *byte == b' ')?;
    let rest = line.get(time + 1..)?;
    let stderr = match rest.get(..7)? {
        b"stdout " => false,
        b"stderr " => true,
        _ => return None,
    };
    let begin = start + time + 1 + 7 + 2;
    let end = start + line.len();
    // The newline behind the line is the text's too.
    let end = match rest.get(7..9)? {
        b"F " => end + 1,
        b"P " => end,
        _ => return None,
    };
    let time = start..start + time;
    Some(Fields { text: Text::Lent(begin..end), stderr, time, attrs: None, other: None })
}

/// `{"log":TEXT,"stream":STREAM[,"attrs":OBJECT],"time":TIME}`.
fn json(line: &[u8], start: usize, decoded: &mut Vec<u8>) -> Option<Fields> {
    const LOG: &[u8] = b"{\"log\":\"";
    const TIME: &[u8] = b"\"time\":\"";
    let rest = line.strip_prefix(LOG)?;
    let behind = string(rest, decoded)?;
    let rest = rest.get(behind..)?;
    let word = rest.strip_prefix(b",\"stream\":\"")?;
    let stderr = match word.get(..8)? {
        b"stdout\"," => false,
        b"stderr\"," => true,
        _ => return None,
    };
    let rest = word.get(8..)?;
    // From here on, places count from the line's end.
    let time_end = line.len().checked_sub(2).filter(|_| rest.ends_with(b"\"}"))?;
    let time_length =
        rest.len().checked_sub(2)? - rest.get(..rest.len() - 2)?.iter().rposition(|b| *b == b'"')? - 1;
    let time = time_end - time_length..time_end;
    let before = rest.get(..rest.len() - 2 - time_length)?.strip_suffix(TIME)?;
    let attrs = match before {
        b"" => None,
        _ => {
            let object = before.strip_prefix(b"\"attrs\":")?.strip_suffix(b",")?;
            let end = time.start - TIME.len() - 1;
            Some(start + end - object.len()..start + end)
        }
    };
    let time = start + time.start..start + time.end;
    Some(Fields { text: Text::Decoded, stderr, time, attrs, other: None })
}

/// Reads a JSON string whose first quote is behind us; gives what follows its last one.
fn string(text: &[u8], decoded: &mut Vec<u8>) -> Option<usize> {
    decoded.clear();
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let length = memchr2(b'"', b'\\', rest)?;
        decoded.extend_from_slice(rest.get(..length)?);
        at += length + 1;
        if rest.get(length) == Some(&b'"') {
            return Some(at);
        }
        let byte = match text.get(at)? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            byte @ (b'"' | b'\\' | b'/') => *byte,
            b'u' => {
                let digits = std::str::from_utf8(text.get(at + 1..at + 5)?).ok()?;
                // Half of a pair is for serde to join.
                let letter = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
                decoded.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                at += 5;
                continue;
            }
            _ => return None,
        };
        decoded.push(byte);
        at += 1;
    }
}

/// A line as any program may write it.
#[derive(Deserialize)]
struct Any {
    log: String,
    #[serde(default)]
    stream: String,
    time: String,
    attrs: Option<serde_json::Value>,
}

fn any_json(line: &[u8], decoded: &mut Vec<u8>) -> Option<Fields> {
    let any: Any = serde_json::from_slice(line).ok()?;
    decoded.clear();
    decoded.extend_from_slice(any.log.as_bytes());
    Some(Fields {
        text: Text::Decoded,
        stderr: any.stream == "stderr",
        other: Some((any.time, any.attrs.map(|attrs| attrs.to_string()))),
        ..Fields::default()
    })
}

/// A time as Docker shows it, in UTC with nine digits of a second: such stamps are in the order of their times.
pub fn stamp(time: &str) -> [u8; 30] {
    let mut stamp = *b"0000-00-00T00:00:00.000000000Z";
    let utc = |time: &str| {
        let time = time.strip_suffix('Z')?.as_bytes();
        ((time.len() == 19 || time.get(19) == Some(&b'.')) && time.len() <= 29).then_some(())?;
        let mut stamp = stamp;
        stamp.get_mut(..time.len())?.copy_from_slice(time);
        Some(stamp)
    };
    if let Some(stamp) = utc(time) {
        return stamp;
    }
    let other = OffsetDateTime::parse(time, &Rfc3339).map(|time| time.to_offset(UtcOffset::UTC));
    if let Some(read) = other.ok().and_then(|time| utc(&time.format(&Rfc3339).ok()?)) {
        stamp = read;
    }
    stamp
}
