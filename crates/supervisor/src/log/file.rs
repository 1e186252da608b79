//! The log file: appended to line by line, and renamed when it is full.
//!
//! Lines are gathered and written at once, up to [`BATCH`]. Only whole lines count: what a full disk cut off is taken
//! back, and what a killed supervisor left unfinished goes when the log is next opened. A file never grows beyond its
//! largest size unless one line alone does.
//!
//! Rotation is renames alone, oldest first, so that whoever is killed between two of them loses nothing: at worst a
//! number is free, or the youngest file is `PATH.1`. Readers (the engine's `logs`) know a file by its inode.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::loss::Loss;
use super::record::{Record, Stream};
use crate::log_config::LogFile;

/// How much is gathered before it is written.
const BATCH: usize = 64 * 1024;

/// An open log file.
#[derive(Debug)]
pub(super) struct FileLog {
    config: LogFile,
    file: File,
    size: u64,
    /// Whole lines that are not written yet.
    pending: Vec<u8>,
    /// How many lines, beginning with `pending`'s, tell of lost ones; and of how many.
    told: u64,
    /// Whether the file ends amid a line that could not be taken back.
    torn: bool,
    pub(super) loss: Loss,
}

impl FileLog {
    /// Opens it for appending.
    pub(super) fn open(config: LogFile) -> io::Result<FileLog> {
        let file = options().read(true).open(&config.path)?;
        let size = drop_unfinished_line(&file)?;
        Ok(FileLog { config, file, size, pending: Vec::new(), told: 0, torn: false, loss: Loss::default() })
    }

    /// Adds a line. It is on its way to the file after [`flush`](Self::flush).
    pub(super) fn add(&mut self, record: &Record<'_>) {
        if self.pending.is_empty()
            && let Some((text, lines)) = self.loss.notice()
        {
            let notice = Record { stream: Stream::Stderr, at: record.at, text: text.as_bytes(), ended: true };
            if self.gather(&notice).is_ok() {
                self.told = lines;
            }
        }
        if let Err(error) = self.gather(record) {
            self.loss.add(1, &error);
        }
        if self.pending.len() >= BATCH {
            self.flush();
        }
    }

    /// Puts a line to those that wait, in a new file if it must be.
    fn gather(&mut self, record: &Record<'_>) -> io::Result<()> {
        if self.pending.capacity() == 0 {
            self.pending.reserve(1024);
        }
        let before = self.pending.len();
        record.write(&self.config.format, &mut self.pending);
        let Some(max) = self.config.max_size else { return Ok(()) };
        if self.size + self.pending.len() as u64 > max && self.size + before as u64 > 0 {
            let line = self.pending.split_off(before);
            self.flush();
            // A full disk may have taken less than was to be there: a file that has room stays.
            if self.size > 0 && self.size + line.len() as u64 > max {
                self.rotate()?;
            }
            self.pending = line;
        }
        Ok(())
    }

    /// Writes what has been gathered.
    pub(super) fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let told = std::mem::take(&mut self.told);
        match self.write() {
            Ok(()) => self.loss.told(told),
            Err((whole, error)) => {
                let kept = self.pending.get(..whole).unwrap_or_default();
                let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
                let (all, kept) = (lines(&self.pending), lines(kept));
                if kept > 0 {
                    self.loss.told(told);
                }
                let notices = u64::from(told > 0 && kept == 0);
                self.loss.add(all - kept - notices, &error);
            }
        }
        self.pending.clear();
    }

    /// Writes it all, or says how much of it, in whole lines, is in the file.
    fn write(&mut self) -> Result<(), (usize, io::Error)> {
        if self.torn {
            self.file.write_all(b"\n").map_err(|error| (0, error))?;
            (self.torn, self.size) = (false, self.size + 1);
        }
        let mut done = 0;
        while let Some(rest) = self.pending.get(done..).filter(|rest| !rest.is_empty()) {
            let error = match self.file.write(rest) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(taken) => {
                    done += taken;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let written = self.pending.get(..done).unwrap_or_default();
            let whole = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            self.size += whole as u64;
            if done > whole && self.file.set_len(self.size).is_err() {
                (self.torn, self.size) = (true, self.size + (done - whole) as u64);
            }
            return Err((whole, error));
        }
        self.size += done as u64;
        Ok(())
    }

    /// Gives the memory back that a flood took.
    pub(super) fn rest(&mut self) {
        self.pending = Vec::new();
    }

    /// Begins a new file; the oldest goes if there are too many.
    fn rotate(&mut self) -> io::Result<()> {
        let path = &self.config.path;
        // The new one first: if it cannot be made, the old one still stands.
        let next = format!("{path}.next");
        match fs::remove_file(&next) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = options().read(true).open(&next)?;
        if self.config.max_files > 1 {
            let numbered = |number: u32| format!("{path}.{number}");
            // A number that is free, since a supervisor was killed here, saves the oldest.
            let last = self.config.max_files - 1;
            let free = (1..last).find(|number| fs::symlink_metadata(numbered(*number)).is_err());
            for number in (1..free.unwrap_or(last)).rev() {
                fs::rename(numbered(number), numbered(number + 1))?;
            }
            fs::rename(path, numbered(1))?;
        }
        fs::rename(next, path)?;
        (self.file, self.size, self.torn) = (file, 0, false);
        Ok(())
    }
}

fn options() -> fs::OpenOptions {
    let mut options = File::options();
    options.append(true).create(true).mode(0o640);
    options
}

/// Cuts off a line that a killed supervisor has begun; gives the size that is left.
fn drop_unfinished_line(mut file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let size = end;
    let mut block = [0; 4096];
    while end > 0 {
        let begin = end.saturating_sub(block.len() as u64);
        let part = block.get_mut(..usize::try_from(end - begin).unwrap_or(0)).unwrap_or_default();
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(part)?;
        if let Some(newline) = part.iter().rposition(|byte| *byte == b'\n') {
            end = begin + newline as u64 + 1;
            break;
        }
        end = begin;
    }
    if end < size {
        file.set_len(end)?;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::FileLog;
    use crate::log::record::{Moment, Record, Stream};
    use crate::log_config::{LogFile, LogFormat};
    use proptest::prelude::*;
    use std::path::Path;

    fn config(folder: &Path, max_size: Option<u64>, max_files: u32) -> LogFile {
        let path = folder.join("log").to_str().unwrap().to_owned();
        LogFile { path, format: LogFormat::Plain, max_size, max_files }
    }

    fn add(log: &mut FileLog, text: &str) {
        let record = Record { stream: Stream::Stdout, at: Moment::now(), text: text.as_bytes(), ended: true };
        log.add(&record);
    }

    /// The texts of all files, oldest first.
    fn kept(config: &LogFile) -> Vec<String> {
        let numbered = (1..10).rev().map(|number| format!("{}.{number}", config.path));
        let files =
            numbered.chain([config.path.clone()]).filter_map(|path| std::fs::read_to_string(path).ok());
        files
            .flat_map(|text| {
                text.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn an_unfinished_line_goes_and_the_log_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), None, 1);
        for left in ["whole one\nbeg", "beg", "", "whole one\n"] {
            let long =
                format!("{left}{}", if left.ends_with('g') { "un".repeat(9000) } else { String::new() });
            std::fs::write(&config.path, long).unwrap();
            let mut log = FileLog::open(config.clone()).unwrap();
            add(&mut log, "two");
            log.flush();
            let expected: &[&str] = if left.contains('\n') { &["one", "two"] } else { &["two"] };
            assert_eq!(kept(&config), expected, "{left}");
        }
    }

    #[test]
    fn a_number_that_is_free_saves_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), Some(1), 4);
        for (name, text) in [("log.3", "a\n"), ("log.1", "b\n"), ("log", "c\n"), ("log.next", "x\n")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut log = FileLog::open(config.clone()).unwrap();
        add(&mut log, "d");
        log.flush();
        assert_eq!(kept(&config), ["a", "b", "c", "d"]);
        add(&mut log, "e");
        log.flush();
        assert_eq!(kept(&config), ["b", "c", "d", "e"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_kept_is_the_end_of_it_within_the_sizes(
            lines in prop::collection::vec("[a-z]{0,30}", 1..80),
            max_size in 1..400u64,
            max_files in 1..5u32,
            flush_every in 1..7usize,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let config = config(folder.path(), Some(max_size), max_files);
            let mut log = FileLog::open(config.clone()).unwrap();
            for (number, line) in lines.iter().enumerate() {
                add(&mut log, line);
                if number % flush_every == 0 {
                    log.flush();
                }
                if number % 13 == 12 {
                    log.flush();
                    log = FileLog::open(config.clone()).unwrap();
                }
            }
            log.flush();
            let kept = kept(&config);
            prop_assert!(lines.ends_with(&kept), "{kept:?}");
            let sizes: Vec<u64> = std::fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().metadata().unwrap().len())
                .collect();
            prop_assert!(sizes.len() <= max_files as usize);
            let longest = lines.iter().map(|line| line.len() as u64).max().unwrap() + 41;
            prop_assert!(sizes.iter().all(|size| *size <= max_size.max(longest)));
            // All files but the written one are as full as they could be, so nothing went too early.
            if kept.len() < lines.len() {
                prop_assert_eq!(sizes.len(), max_files as usize);
            }
        }
    }
}
