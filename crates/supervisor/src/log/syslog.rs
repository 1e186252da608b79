//! syslog messages, in the forms of Docker's driver: RFC 3164 and RFC 5424.

use std::io::Write;

use time::{OffsetDateTime, UtcOffset};

use super::record::{Record, Stream};
use crate::log_config::SyslogFormat;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What all messages of a container have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header<'a> {
    pub(super) format: SyslogFormat,
    pub(super) facility: u8,
    pub(super) tag: &'a str,
    pub(super) hostname: &'a str,
}

/// Adds the message for a record to `out`, with a line end.
pub(super) fn write(record: &Record<'_>, header: Header<'_>, out: &mut Vec<u8>) {
    // RFC 3164 knows no zones, so times are those of the machine's.
    let seconds = bulkhead_sys::clock::local_offset(record.at.at.unix_timestamp());
    let offset = UtcOffset::from_whole_seconds(seconds).unwrap_or(UtcOffset::UTC);
    write_at(record, record.at.at.to_offset(offset), header, out);
}

fn write_at(record: &Record<'_>, at: OffsetDateTime, header: Header<'_>, out: &mut Vec<u8>) {
    let Header { format, facility, tag, hostname } = header;
    // An error, or information.
    let severity = if record.stream == Stream::Stderr { 3 } else { 6 };
    let (priority, process) = (u16::from(facility) * 8 + severity, std::process::id());
    let (hour, minute, second) = (at.hour(), at.minute(), at.second());
    let month = MONTHS.get(usize::from(u8::from(at.month())) - 1).copied().unwrap_or_default();
    let stamp = format!("{month} {:>2} {hour:02}:{minute:02}:{second:02}", at.day());
    // Writing to memory does not fail.
    let _ = match format {
        SyslogFormat::Local => write!(out, "<{priority}>{stamp} {tag}[{process}]: "),
        SyslogFormat::Rfc3164 => write!(out, "<{priority}>{stamp} {hostname} {tag}[{process}]: "),
        SyslogFormat::Rfc5424 | SyslogFormat::Rfc5424Micro => {
            let fraction = match format {
                SyslogFormat::Rfc5424Micro => format!(".{:06}", at.microsecond()),
                _ => String::new(),
            };
            let (hours, minutes, _) = at.offset().as_hms();
            let sign = if at.offset().is_negative() { '-' } else { '+' };
            let zone = match (hours, minutes) {
                (0, 0) => "Z".to_owned(),
                _ => format!("{sign}{:02}:{:02}", hours.unsigned_abs(), minutes.unsigned_abs()),
            };
            let date = format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day());
            let time = format!("{hour:02}:{minute:02}:{second:02}{fraction}{zone}");
            write!(out, "<{priority}>1 {date}T{time} {hostname} {tag} {process} {tag} - ")
        }
    };
    out.extend_from_slice(record.text);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::{Header, write_at};
    use crate::log::record::{Moment, Record, Stream};
    use crate::log_config::SyslogFormat;
    use time::{OffsetDateTime, UtcOffset};

    fn message(format: SyslogFormat, stream: Stream, offset: i8) -> String {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_699_308_800_000_120_000).unwrap();
        let mut out = Vec::new();
        let record = Record { stream, at: Moment::of(at), text: b"words", ended: true };
        let header = Header { format, facility: 3, tag: "web", hostname: "box" };
        write_at(&record, at.to_offset(UtcOffset::from_hms(offset, 0, 0).unwrap()), header, &mut out);
        String::from_utf8(out).unwrap().replace(&std::process::id().to_string(), "PID")
    }

    #[test]
    fn messages_are_dockers() {
        use SyslogFormat::{Local, Rfc3164, Rfc5424, Rfc5424Micro};
        assert_eq!(message(Local, Stream::Stdout, 0), "<30>Nov  6 22:13:20 web[PID]: words\n");
        assert_eq!(message(Rfc3164, Stream::Stderr, 1), "<27>Nov  6 23:13:20 box web[PID]: words\n");
        assert_eq!(
            message(Rfc5424, Stream::Stdout, 0),
            "<30>1 2023-11-06T22:13:20Z box web PID web - words\n"
        );
        assert_eq!(
            message(Rfc5424Micro, Stream::Stdout, -1),
            "<30>1 2023-11-06T21:13:20.000120-01:00 box web PID web - words\n"
        );
    }
}
