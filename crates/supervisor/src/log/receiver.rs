//! A receiver of lines (the journal, syslog): what it takes at once goes at once, the rest waits.
//!
//! One that is there but does not keep up holds the container back, so that nothing is lost, or, with a buffer
//! (`mode=non-blocking`), loses what the buffer does not take. One that has gone never holds anybody back: it is looked
//! for once a second, when there is something to send, and what it misses is counted.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use bulkhead_isolation::{Error, Result, describe};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::loss::Loss;
use super::record::{Moment, Record, Stream};
use super::{journald, socket, syslog};
use crate::log_config::{Receiver, ReceiverKind};

/// How much waits for a receiver before the container's output is no longer read.
const HELD: u64 = 64 * 1024;
/// What a waiting line costs beside its text.
const OVERHEAD: u64 = 64;
/// How long a receiver that has gone is not looked for again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a container's end waits for a receiver.
const PARTING: Duration = Duration::from_secs(2);

/// A line that waits.
#[derive(Debug)]
struct Waiting {
    stream: Stream,
    at: Moment,
    text: Box<[u8]>,
    ended: bool,
    /// Of how many lost lines it tells.
    told: u64,
}

impl Waiting {
    fn cost(&self) -> u64 {
        self.text.len() as u64 + OVERHEAD
    }
}

/// A receiver, and what waits for it.
#[derive(Debug)]
pub(super) struct Remote {
    config: Receiver,
    socket: Option<OwnedFd>,
    /// Whether each message is a datagram.
    messages: bool,
    /// Whether it has taken something since it was found: only then is it worth waiting for.
    proven: bool,
    /// When it was last looked for in vain.
    missed: Option<Instant>,
    waiting: VecDeque<Waiting>,
    /// What those cost together.
    cost: u64,
    /// The message of the first that waits, and how much of it has been taken.
    message: Vec<u8>,
    taken: usize,
    pub(super) loss: Loss,
}

impl Remote {
    /// Connects to it.
    ///
    /// # Errors
    /// It does not answer: a container whose output would go nowhere is not started.
    pub(super) fn open(config: Receiver) -> Result<Remote> {
        let mut why = String::new();
        for address in &config.addresses {
            match socket::open(address).and_then(|socket| socket::wait(&socket).map(|()| socket)) {
                Ok(socket) => {
                    let messages = socket::has_messages(address);
                    return Ok(Remote {
                        config,
                        socket: Some(socket),
                        messages,
                        proven: true,
                        missed: None,
                        waiting: VecDeque::new(),
                        cost: 0,
                        message: Vec::new(),
                        taken: 0,
                        loss: Loss::default(),
                    });
                }
                Err(error) => {
                    // A path may be tried as two kinds of socket.
                    let said = format!("{address}: {}; ", describe(&error));
                    if !why.ends_with(&said) {
                        why.push_str(&said);
                    }
                }
            }
        }
        let who = match config.kind {
            ReceiverKind::Journald { .. } => "journald is not enabled on this host",
            ReceiverKind::Syslog { .. } => "syslog does not answer",
        };
        let why = why.trim_end_matches("; ");
        Err(Error::new("log", format!("failed to initialize logging driver: {who} ({why})")))
    }

    /// Adds a line; [`flush`](Self::flush) sends it.
    pub(super) fn add(&mut self, record: &Record<'_>) {
        if let Some((text, told)) = self.loss.notice().filter(|_| self.waiting.is_empty()) {
            let text = text.into_bytes().into_boxed_slice();
            self.push(Waiting { stream: Stream::Stderr, at: record.at, text, ended: true, told });
        }
        let limit = match self.config.buffer {
            Some(buffer) => buffer,
            // It holds the container back in time.
            None if self.proven => u64::MAX,
            None => HELD,
        };
        let cost = record.text.len() as u64 + OVERHEAD;
        if self.cost + cost > limit {
            self.flush();
        }
        if self.cost + cost > limit && !self.waiting.is_empty() {
            self.loss.add(1, &io::Error::other("the receiver does not keep up"));
            return;
        }
        let text = record.text.into();
        self.push(Waiting { stream: record.stream, at: record.at, text, ended: record.ended, told: 0 });
    }

    fn push(&mut self, line: Waiting) {
        self.cost += line.cost();
        self.waiting.push_back(line);
    }

    /// Sends what it takes now.
    pub(super) fn flush(&mut self) {
        let mut attempts = 0;
        while let Some(first) = self.waiting.front() {
            if self.message.is_empty() {
                self.taken = 0;
                encode(&self.config.kind, first, &mut self.message);
            }
            let Some(socket) = &self.socket else {
                match self.find() {
                    Ok(()) => continue,
                    Err(error) => return self.lose_all(&error),
                }
            };
            let rest = self.message.get(self.taken..).unwrap_or_default();
            match send(socket, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(taken) => {
                    self.proven = true;
                    self.taken += taken;
                    if self.messages || self.taken >= self.message.len() {
                        let told = self.pop();
                        self.loss.told(told);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // This one does not go; the next may.
                Err(error @ (Errno::MSGSIZE | Errno::NOBUFS)) => {
                    let told = self.pop();
                    self.loss.add(u64::from(told == 0), &error.into());
                }
                Err(error) => {
                    // It has gone, and may have come back. What it took a part of is sent again whole.
                    self.leave();
                    attempts += 1;
                    if attempts > 1 || self.missed.is_some() {
                        return self.lose_all(&error.into());
                    }
                }
            }
        }
        if self.waiting.is_empty() && self.waiting.capacity() > 64 {
            self.waiting = VecDeque::new();
            self.message = Vec::new();
        }
    }

    /// The first that waits is done with; of how many lost lines it told.
    fn pop(&mut self) -> u64 {
        self.message.clear();
        let Some(line) = self.waiting.pop_front() else { return 0 };
        self.cost -= line.cost();
        line.told
    }

    fn leave(&mut self) {
        self.socket = None;
        if !self.proven {
            self.missed = Some(Instant::now());
        }
        self.proven = false;
        self.message.clear();
    }

    /// Looks for it, unless that was in vain just now.
    fn find(&mut self) -> io::Result<()> {
        if self.missed.is_some_and(|missed| missed.elapsed() < PAUSE) {
            return Err(Errno::NOTCONN.into());
        }
        let mut why = io::Error::from(Errno::NOTCONN);
        for address in &self.config.addresses {
            match socket::open(address) {
                Ok(socket) => {
                    self.socket = Some(socket);
                    self.messages = socket::has_messages(address);
                    self.missed = None;
                    return Ok(());
                }
                Err(error) => why = error,
            }
        }
        self.missed = Some(Instant::now());
        Err(why)
    }

    fn lose_all(&mut self, why: &io::Error) {
        let lines = self.waiting.iter().filter(|line| line.told == 0).count() as u64;
        self.loss.add(lines, why);
        self.waiting = VecDeque::new();
        self.message.clear();
        self.cost = 0;
    }

    /// Whether the container must wait for it.
    pub(super) fn holds_back(&self) -> bool {
        self.config.buffer.is_none() && self.proven && self.cost >= HELD
    }

    pub(super) fn watched(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let flags =
            if self.waiting.is_empty() { PollFlags::RDHUP } else { PollFlags::RDHUP | PollFlags::OUT };
        self.socket.as_ref().map(|socket| (socket.as_fd(), flags))
    }

    /// Something of what was watched for has come.
    pub(super) fn ready(&mut self) {
        if self.socket.as_ref().is_some_and(socket::is_closed) {
            self.leave();
        }
        self.flush();
    }

    /// Waits until the container can be read again, or the receiver's time is over.
    pub(super) fn make_room(&mut self) {
        self.wait(|remote| remote.holds_back());
    }

    /// Waits until it has everything, or its time is over; the rest is lost.
    pub(super) fn finish(&mut self) {
        self.wait(|remote| !remote.waiting.is_empty());
        self.lose_all(&io::Error::other("the receiver does not keep up"));
    }

    fn wait(&mut self, goes_on: impl Fn(&Remote) -> bool) {
        let end = Instant::now() + PARTING;
        while goes_on(self) {
            let left = end.saturating_duration_since(Instant::now());
            let Some((socket, flags)) = self.watched().filter(|_| !left.is_zero()) else {
                // Nobody waits for it a second time.
                self.proven = false;
                return;
            };
            let mut wanted = [PollFd::from_borrowed_fd(socket, flags)];
            let left = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos().max(1_000_000)) };
            if poll(&mut wanted, Some(&left)).is_ok_and(|ready| ready > 0) {
                self.ready();
            }
        }
    }
}

fn encode(kind: &ReceiverKind, line: &Waiting, out: &mut Vec<u8>) {
    let record = Record { stream: line.stream, at: line.at, text: &line.text, ended: line.ended };
    match kind {
        ReceiverKind::Journald { fields } => journald::write(&record, fields, out),
        ReceiverKind::Syslog { format, facility, tag, hostname } => {
            let header = syslog::Header { format: *format, facility: *facility, tag, hostname };
            syslog::write(&record, header, out);
        }
    }
}
