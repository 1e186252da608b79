//! The journal's native protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>): a datagram of fields for each line, with
//! the names that Docker's driver gives them.

use super::record::{Record, Stream};

/// Adds the datagram for a record to `out`. `fields` are what each line tells of its container.
pub(super) fn write(record: &Record<'_>, fields: &[(String, String)], out: &mut Vec<u8>) {
    field(out, "MESSAGE", record.text);
    // syslog's severities: an error, or information.
    field(out, "PRIORITY", if record.stream == Stream::Stderr { b"3" } else { b"6" });
    if !record.ended {
        field(out, "CONTAINER_PARTIAL_MESSAGE", b"true");
    }
    for (name, value) in fields {
        field(out, name, value.as_bytes());
    }
}

/// `NAME=VALUE`, or, if the value has line ends, its length and itself.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::log::record::{Moment, Record, Stream};

    #[test]
    fn fields_are_lines_or_counted() {
        let mut out = Vec::new();
        let record = Record { stream: Stream::Stderr, at: Moment::now(), text: b"a=\xff", ended: false };
        write(&record, &[("CONTAINER_NAME".into(), "web".into()), ("X".into(), "1\n2".into())], &mut out);
        let expected = b"MESSAGE=a=\xff\nPRIORITY=3\nCONTAINER_PARTIAL_MESSAGE=true\nCONTAINER_NAME=web\n\
            X\n\x03\0\0\0\0\0\0\x001\n2\n";
        assert_eq!(out, expected);
    }
}
