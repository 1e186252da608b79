//! Lines on the way to standard output and standard error: many at once, and each stream's in the order that they were
//! written.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// How much is written at once.
const BATCH: usize = 64 * 1024;

/// The two streams.
#[derive(Debug)]
pub(super) struct Printer {
    stdout: io::Stdout,
    stderr: io::Stderr,
    /// What waits, for one stream at a time.
    waiting: Vec<u8>,
    to_stderr: bool,
}

impl Printer {
    pub(super) fn new() -> Printer {
        let waiting = Vec::with_capacity(2 * BATCH);
        Printer { stdout: io::stdout(), stderr: io::stderr(), waiting, to_stderr: false }
    }

    /// Adds what `fill` gives to one of the streams.
    pub(super) fn write(&mut self, stderr: bool, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        if stderr != self.to_stderr {
            self.flush()?;
            self.to_stderr = stderr;
        }
        fill(&mut self.waiting);
        if self.waiting.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        let written = if self.to_stderr {
            self.stderr.lock().write_all(&self.waiting)
        } else {
            // Past its line buffer, which would look for the last newline only to write everything anyway.
            write_all(self.stdout.as_fd(), &self.waiting)
        };
        self.waiting.clear();
        written
    }

    /// Both, to be watched for readers that go.
    pub(super) fn outputs(&self) -> [BorrowedFd<'_>; 2] {
        [self.stdout.as_fd(), self.stderr.as_fd()]
    }
}

fn write_all(output: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(output, bytes) {
            Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
