//! `--log` and `--log-format`: what went wrong, a line each, as callers read it: containerd and Podman take the reason
//! of a failure from the last line of a JSON log.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Where to, and how.
pub(crate) struct Log {
    file: Option<File>,
    json: bool,
    debug: bool,
}

impl Log {
    /// A log on stderr, until something else is known.
    pub(crate) fn usual() -> Log {
        Log { file: None, json: false, debug: false }
    }

    pub(crate) fn open(path: Option<&Path>, format: &str, debug: bool) -> std::io::Result<Log> {
        let json = match format {
            "text" | "" => false,
            "json" => true,
            _ => return Err(std::io::Error::other("invalid log-format: it is text or json")),
        };
        let path = path.filter(|path| !matches!(path.to_str(), Some("" | "/dev/stderr")));
        let open = |path| OpenOptions::new().append(true).create(true).open(path);
        Ok(Log { file: path.map(open).transpose()?, json, debug })
    }

    /// A failure: with a log of its own it is said on stderr too.
    pub(crate) fn error(&mut self, message: &str) {
        if self.file.is_some() {
            eprintln!("{}", printable(message));
        }
        self.line("error", message);
    }

    pub(crate) fn warn(&mut self, message: &str) {
        self.line("warning", message);
    }

    /// What few want to know: for a log of its own, or one that tells more; not for whoever watches stderr.
    pub(crate) fn note(&mut self, message: &str) {
        if self.file.is_some() || self.debug {
            self.line("warning", message);
        }
    }

    pub(crate) fn debug(&mut self, message: &str) {
        if self.debug {
            self.line("debug", message);
        }
    }

    fn line(&mut self, level: &str, message: &str) {
        let time = now();
        let line = if self.json {
            serde_json::json!({ "level": level, "msg": message, "time": time }).to_string()
        } else {
            format!("time=\"{time}\" level={level} msg={}", serde_json::Value::from(printable(message)))
        };
        match &mut self.file {
            // Whoever reads the log hears nothing then, but the exit code says the same.
            Some(file) => drop(file.write_all(format!("{line}\n").as_bytes())),
            None => eprintln!("{line}"),
        }
    }
}

/// Now, to the second.
pub(crate) fn now() -> String {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).unwrap_or_default()
}

/// Now, to the nanosecond.
pub(crate) fn now_exactly() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

/// A configuration's words must not drive a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(
            |letter| {
                if letter.is_control() && letter != '\n' && letter != '\t' { '\u{fffd}' } else { letter }
            },
        )
        .collect()
}
