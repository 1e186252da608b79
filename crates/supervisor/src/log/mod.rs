//! The container's output, kept: in a file, with a receiver, or both ([`crate::log_config`]).
//!
//! Nothing here waits, and nothing here fails: what cannot be kept is counted, and the container goes on. Memory is
//! bounded whatever floods it: a line comes in pieces of 16 KiB, a file takes 64 KiB at once, and a receiver that does
//! not keep up holds the container back, or loses what its buffer does not take.

mod file;
mod journald;
mod lines;
mod loss;
mod receiver;
mod record;
mod socket;
mod syslog;

use std::os::fd::BorrowedFd;

use bulkhead_isolation::Result;
use rustix::event::PollFlags;

use crate::log_config::LogConfig;
use file::FileLog;
use lines::Begun;
use receiver::Remote;
use record::{Moment, Record};

pub(crate) use record::Stream;

/// How much of the container's output is read at once: what a pipe holds.
const READ: usize = 64 * 1024;
/// The same when a receiver may make us keep it.
const READ_TO_SEND: usize = 16 * 1024;

/// The open log of one container.
#[derive(Debug)]
pub(crate) struct Log {
    file: Option<FileLog>,
    receiver: Option<Remote>,
    stdout: Begun,
    stderr: Begun,
}

impl Log {
    /// Opens it.
    ///
    /// # Errors
    /// The file cannot be opened, or no receiver answers.
    pub(crate) fn open(config: LogConfig) -> Result<Log> {
        let file = match config.file {
            Some(config) => {
                let path = config.path.clone();
                let open = FileLog::open(config);
                Some(bulkhead_isolation::Step::step(open, "log", || format!("open the log {path}"))?)
            }
            None => None,
        };
        let receiver = config.receiver.map(Remote::open).transpose()?;
        Ok(Log { file, receiver, stdout: Begun::default(), stderr: Begun::default() })
    }

    /// How much to read at once.
    pub(crate) fn appetite(&self) -> usize {
        if self.receiver.is_some() { READ_TO_SEND } else { READ }
    }

    /// Adds what a stream wrote.
    pub(crate) fn add(&mut self, stream: Stream, bytes: &[u8]) {
        if self.file.is_none() && self.receiver.is_none() {
            return;
        }
        let at = Moment::now();
        let (file, receiver) = (&mut self.file, &mut self.receiver);
        let begun = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        begun.feed(bytes, |text, ended| keep(file, receiver, &Record { stream, at, text, ended }));
        self.flush();
        if bytes.len() < READ
            && let Some(file) = &mut self.file
        {
            file.rest();
        }
    }

    fn flush(&mut self) {
        if let Some(file) = &mut self.file {
            file.flush();
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.flush();
        }
    }

    /// Ends the lines that have begun. A receiver has a moment to take what waits for it.
    pub(crate) fn finish(&mut self) {
        let at = Moment::now();
        let (file, receiver) = (&mut self.file, &mut self.receiver);
        for (stream, begun) in [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)] {
            begun.end(|text| keep(file, receiver, &Record { stream, at, text, ended: false }));
        }
        self.flush();
        if let Some(file) = &mut self.file {
            file.rest();
            file.loss.end();
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.finish();
            receiver.loss.end();
        }
    }

    /// What the container's status is to say of it, if that is new.
    pub(crate) fn news(&mut self) -> Option<String> {
        let file = self.file.as_mut().and_then(|file| file.loss.news());
        let receiver = self.receiver.as_mut().and_then(|receiver| receiver.loss.news());
        file.or(receiver)
    }

    /// Whether the container's output must not be read until a receiver has taken some.
    pub(crate) fn holds_back(&self) -> bool {
        self.receiver.as_ref().is_some_and(Remote::holds_back)
    }

    /// What to watch the receiver's socket for; [`ready`](Self::ready) when that has come.
    pub(crate) fn watched(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.receiver.as_ref().and_then(Remote::watched)
    }

    /// The receiver takes more, or has gone.
    pub(crate) fn ready(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            receiver.ready();
        }
    }

    /// Waits until [`holds_back`](Self::holds_back) no longer holds, as long as a container's end may take.
    pub(crate) fn make_room(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            receiver.make_room();
        }
    }
}

fn keep(file: &mut Option<FileLog>, receiver: &mut Option<Remote>, record: &Record<'_>) {
    if let Some(file) = file {
        file.add(record);
    }
    if let Some(receiver) = receiver {
        receiver.add(record);
    }
}
