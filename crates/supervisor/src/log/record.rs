//! A piece of output, and how a log file has it.

use time::OffsetDateTime;

use crate::log_config::LogFormat;

/// Which stream a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// When something was written; read once for all that was read at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) at: OffsetDateTime,
    /// `2024-01-01T00:00:00.000000000Z`.
    stamp: [u8; 30],
}

impl Moment {
    pub(super) fn now() -> Moment {
        Moment::of(OffsetDateTime::now_utc())
    }

    pub(super) fn of(at: OffsetDateTime) -> Moment {
        let mut stamp = *b"0000-00-00T00:00:00.000000000Z";
        let mut put = |place: std::ops::Range<usize>, mut number: u32| {
            for digit in stamp.get_mut(place).unwrap_or_default().iter_mut().rev() {
                *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        };
        put(0..4, at.year().unsigned_abs());
        put(5..7, u8::from(at.month()).into());
        put(8..10, at.day().into());
        put(11..13, at.hour().into());
        put(14..16, at.minute().into());
        put(17..19, at.second().into());
        put(20..29, at.nanosecond());
        Moment { at, stamp }
    }
}

/// A line, or a piece of a long one, without its newline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) stream: Stream,
    pub(super) at: Moment,
    pub(super) text: &'a [u8],
    /// Whether its line ends with it.
    pub(super) ended: bool,
}

impl Record<'_> {
    /// Adds it to `out`: one line, whatever its text is.
    pub(super) fn write(&self, format: &LogFormat, out: &mut Vec<u8>) {
        match format {
            LogFormat::Json { attrs } => self.write_json(attrs.as_deref(), out),
            LogFormat::Plain => {
                out.extend_from_slice(&self.at.stamp);
                out.push(b' ');
                out.extend_from_slice(self.stream.name().as_bytes());
                out.extend_from_slice(if self.ended { b" F " } else { b" P " });
                out.extend_from_slice(self.text);
                out.push(b'\n');
            }
        }
    }

    fn write_json(&self, attrs: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"log\":\"");
        for chunk in self.text.utf8_chunks() {
            escape(chunk.valid().as_bytes(), out);
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
        if self.ended {
            out.extend_from_slice(b"\\n");
        }
        out.extend_from_slice(b"\",\"stream\":\"");
        out.extend_from_slice(self.stream.name().as_bytes());
        if let Some(attrs) = attrs {
            out.extend_from_slice(b"\",\"attrs\":");
            out.extend_from_slice(attrs.as_bytes());
            out.extend_from_slice(b",\"time\":\"");
        } else {
            out.extend_from_slice(b"\",\"time\":\"");
        }
        out.extend_from_slice(&self.at.stamp);
        out.extend_from_slice(b"\"}\n");
    }
}

/// Adds text as it stands between a JSON string's quotes.
fn escape(mut text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let special = |byte: &u8| *byte < 0x20 || matches!(*byte, b'"' | b'\\');
    while let Some(at) = text.iter().position(special) {
        let (plain, rest) = text.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, rest)) = rest.split_first() else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        text = rest;
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::{Moment, Record, Stream};
    use crate::log_config::LogFormat;
    use proptest::prelude::*;
    use time::OffsetDateTime;

    fn line(text: &[u8], ended: bool, format: &LogFormat) -> Vec<u8> {
        let at = Moment::of(OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_000_000_120).unwrap());
        let mut out = Vec::new();
        Record { stream: Stream::Stderr, at, text, ended }.write(format, &mut out);
        out
    }

    #[test]
    fn they_are_in_dockers_form() {
        let json = |attrs: Option<&str>| LogFormat::Json { attrs: attrs.map(str::to_owned) };
        assert_eq!(
            line(b"a\"b\x01\xff", true, &json(None)),
            "{\"log\":\"a\\\"b\\u0001\u{fffd}\\n\",\"stream\":\"stderr\",\"time\":\"2023-11-14T22:13:20.000000120Z\"}\n"
                .as_bytes()
        );
        assert_eq!(
            line(b"", false, &json(Some(r#"{"k":"v"}"#))),
            b"{\"log\":\"\",\"stream\":\"stderr\",\"attrs\":{\"k\":\"v\"},\"time\":\"2023-11-14T22:13:20.000000120Z\"}\n"
        );
        assert_eq!(
            line(b"a\xff", false, &LogFormat::Plain),
            b"2023-11-14T22:13:20.000000120Z stderr P a\xff\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_of_json(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let out = line(&text, false, &LogFormat::Json { attrs: None });
            prop_assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read["log"].as_str().unwrap(), String::from_utf8_lossy(&text));
        }
    }
}
