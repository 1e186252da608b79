//! A container's log, read from its files while a supervisor writes and rotates them: nobody is asked, and nobody waits.
//!
//! A file is read in large blocks, and a line is lent out of the block that it came in: a million lines cost a million
//! scans for their ends and no allocation. Only whole lines count; what is unfinished at the end of a file is read again,
//! since its writer may take it back (a full disk). A line that makes no sense costs itself.
//!
//! | file | subject |
//! |---|---|
//! | `files` | which file comes after which, while they are renamed |
//! | `parse` | the forms of a line |
//! | `tail` | where the last lines begin |
//! | [`follow`] | waiting for more |

pub mod details;
mod files;
pub mod follow;
mod parse;
mod tail;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use bulkhead_supervisor::log_config::LogFormat;
use memchr::memchr;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use crate::error::{Doing, Result};
use files::Files;
use parse::Fields;
pub use parse::stamp;

/// How much is read at once.
const BLOCK: usize = 256 * 1024;
/// No line is longer; what is, is none.
const LONGEST: usize = 16 * 1024 * 1024;

/// A line, or a piece of a long one.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// What was written, with its newline if it ends a line.
    pub text: &'a [u8],
    /// Whether it was written to standard error.
    pub stderr: bool,
    /// When (RFC 3339).
    pub time: &'a str,
    /// What it tells of its container, as a JSON object.
    pub attrs: Option<&'a str>,
}

/// A log, open for reading.
#[derive(Debug)]
pub struct Logs {
    files: Files,
    format: LogFormat,
    file: File,
    /// Where the next block begins in the file.
    position: u64,
    block: Vec<u8>,
    /// Where the next line begins in the block.
    start: usize,
    /// Whether we are amid a line that is none.
    skipping: bool,
    /// The line last read, where it is not lent out of the block.
    decoded: Vec<u8>,
    fields: Fields,
}

impl Logs {
    /// Opens the oldest file of a log; `None` if there is none.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn open(path: PathBuf, format: LogFormat) -> Result<Option<Logs>> {
        let files = Files::new(path);
        let Some(file) = files.oldest().doing(|| files.what())? else { return Ok(None) };
        Ok(Some(Logs {
            files,
            format,
            file,
            position: 0,
            block: Vec::new(),
            start: 0,
            skipping: false,
            decoded: Vec::new(),
            fields: Fields::default(),
        }))
    }

    /// Moves to where the last `count` lines begin.
    ///
    /// # Errors
    /// The file system's.
    pub fn seek_to_last(&mut self, count: usize) -> Result<()> {
        let found = tail::find(&self.files, &self.format, count).doing(|| self.files.what())?;
        if let Some((file, position)) = found {
            (self.file, self.position) = (file, position);
            self.block.clear();
            (self.start, self.skipping) = (0, false);
        }
        Ok(())
    }

    /// The next whole line; `None` when there is none yet.
    ///
    /// # Errors
    /// The file system's.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        while !self.advance() {
            if !self.refill().doing(|| self.files.what())? {
                return Ok(None);
            }
        }
        Ok(Some(self.fields.line(&self.block, &self.decoded)))
    }

    /// Moves to the next line of the block that makes sense.
    fn advance(&mut self) -> bool {
        while let Some(rest) = self.block.get(self.start..)
            && let Some(length) = memchr(b'\n', rest)
        {
            let place: Range<usize> = self.start..self.start + length;
            self.start = place.end + 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if let Some(fields) = parse::fields(&self.format, &self.block, place, &mut self.decoded) {
                self.fields = fields;
                return true;
            }
        }
        false
    }

    /// Reads on. `false`: there is no more yet.
    fn refill(&mut self) -> io::Result<bool> {
        self.block.drain(..self.start.min(self.block.len()));
        self.start = 0;
        if self.block.len() > LONGEST {
            self.block.clear();
            self.skipping = true;
        }
        if self.read()? {
            return Ok(true);
        }
        // What is unfinished is read again when there is more.
        self.position -= self.block.len() as u64;
        self.block.clear();
        let Some(next) = self.files.after(&self.file)? else { return Ok(false) };
        // Before it made the next one, its writer may have written more to this one.
        while self.read()? {
            if self.block.contains(&b'\n') {
                return Ok(true);
            }
        }
        (self.file, self.position) = (next, 0);
        self.block.clear();
        self.skipping = false;
        Ok(true)
    }

    fn read(&mut self) -> io::Result<bool> {
        self.block.reserve(BLOCK);
        loop {
            match pread(&self.file, spare_capacity(&mut self.block), self.position) {
                Ok(length) => {
                    self.position += length as u64;
                    return Ok(length > 0);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
