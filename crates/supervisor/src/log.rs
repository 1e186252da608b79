//! The log file: what the container wrote, a JSON object per line, in the form of Docker's json-file driver.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::status::now;

/// A line longer than this is split, as Docker does: a program that never ends a line costs bounded memory.
const LONGEST_LINE: usize = 16 * 1024;

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

#[derive(Serialize)]
struct Line<'a> {
    log: &'a str,
    stream: &'a str,
    time: &'a str,
}

/// The open log of one container.
#[derive(Debug)]
pub(crate) struct Log {
    file: Option<File>,
    /// The line that each stream has begun and not ended.
    begun: [Vec<u8>; 2],
}

impl Log {
    /// Opens the file for appending; with no path nothing is kept.
    pub(crate) fn open(path: Option<&str>) -> io::Result<Log> {
        let open = |path: &str| {
            use std::os::unix::fs::OpenOptionsExt;
            File::options().append(true).create(true).mode(0o640).open(Path::new(path))
        };
        let mut file = path.map(open).transpose()?;
        if let (Some(file), Some(path)) = (&mut file, path)
            && file.metadata()?.len() > 0
            && !ends_with_newline(path)?
        {
            // A supervisor that was killed in the middle of a line: the next one must not be joined to it.
            file.write_all(b"\n")?;
        }
        Ok(Log { file, begun: [Vec::new(), Vec::new()] })
    }

    /// Adds what a stream wrote.
    pub(crate) fn add(&mut self, stream: Stream, mut bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        let mut out = Vec::with_capacity(bytes.len() + 128);
        let [stdout, stderr] = &mut self.begun;
        let begun = if stream == Stream::Stdout { stdout } else { stderr };
        while !bytes.is_empty() {
            let room = LONGEST_LINE - begun.len().min(LONGEST_LINE - 1);
            let window = bytes.get(..bytes.len().min(room)).unwrap_or(bytes);
            let (taken, ended) = match window.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (window.len(), window.len() == room),
            };
            let (now_, later) = bytes.split_at(taken);
            begun.extend_from_slice(now_);
            bytes = later;
            if ended {
                append(&mut out, stream, begun)?;
                begun.clear();
            }
        }
        if begun.is_empty() && begun.capacity() > 256 {
            *begun = Vec::new();
        }
        self.write(&out)
    }

    /// Ends the lines that have begun.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let mut out = Vec::new();
        for (stream, begun) in [Stream::Stdout, Stream::Stderr].into_iter().zip(&mut self.begun) {
            if !begun.is_empty() {
                append(&mut out, stream, begun)?;
                begun.clear();
            }
        }
        self.write(&out)
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match &mut self.file {
            // One write for all lines: O_APPEND keeps them whole for whoever reads meanwhile.
            Some(file) if !lines.is_empty() => file.write_all(lines),
            _ => Ok(()),
        }
    }
}

fn ends_with_newline(path: &str) -> io::Result<bool> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0u8];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn append(out: &mut Vec<u8>, stream: Stream, line: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(line);
    serde_json::to_writer(&mut *out, &Line { log: &text, stream: stream.name(), time: &now() })?;
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Log, Stream};

    #[test]
    fn lines_are_kept_whole_and_long_ones_are_split() {
        let folder = std::env::temp_dir().join(format!("bulkhead-log-{}", std::process::id()));
        let path = folder.to_str().unwrap();
        let mut log = Log::open(Some(path)).unwrap();
        log.add(Stream::Stdout, b"one\ntw").unwrap();
        log.add(Stream::Stderr, b"bad \xff\n").unwrap();
        log.add(Stream::Stdout, b"o\n").unwrap();
        log.add(Stream::Stdout, &[b'x'; 40_000]).unwrap();
        log.finish().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::remove_file(path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let log_of = |n: usize| lines[n]["log"].as_str().unwrap();
        assert_eq!((log_of(0), log_of(1), log_of(2)), ("one\n", "bad \u{fffd}\n", "two\n"));
        assert_eq!(lines[1]["stream"], "stderr");
        let rest: String = (3..lines.len()).map(log_of).collect();
        assert_eq!(rest.len(), 40_000);
        assert!((3..lines.len()).all(|n| log_of(n).len() <= 16 * 1024));
    }
}
