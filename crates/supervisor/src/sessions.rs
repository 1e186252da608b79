//! Later programs (exec): each belongs to the client that asked for it, which holds its streams itself; the
//! supervisor starts it and tells how it ended.

use std::os::fd::OwnedFd;

use bulkhead_isolation::birth::{Running, Streams};
use bulkhead_isolation::enter::{Container, enter};
use bulkhead_isolation::trace::Trace;
use bulkhead_isolation::{Error, Process, Result, Step};
use bulkhead_sys::pidfd;

use crate::protocol::Exec;

/// A later program that runs.
#[derive(Debug)]
pub(crate) struct Session {
    running: Running,
    /// The number of the client that waits for its end.
    client: Option<u64>,
    /// The terminal of a program that nobody looks at: read and forgotten, so that the program never waits for it.
    pub(crate) unread: Option<OwnedFd>,
    /// The terminal of a program whose client has its own side: kept, so that the program goes on if that goes away.
    kept: Option<OwnedFd>,
}

/// All that run.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    pub(crate) all: Vec<Session>,
}

/// What the client gets: the process ID, its terminal, how long it took.
pub(crate) struct Begun {
    pub(crate) pid: i32,
    pub(crate) terminal: Option<OwnedFd>,
    pub(crate) laps: Vec<bulkhead_isolation::trace::Lap>,
}

impl Sessions {
    /// Starts `process`, which is what `exec` asks for, for `client`.
    pub(crate) fn begin(
        &mut self,
        container: Container<'_>,
        exec: &Exec,
        process: &Process,
        fds: Vec<OwnedFd>,
        client: u64,
    ) -> Result<Begun> {
        let streams = if process.terminal.is_some() {
            None
        } else if exec.detached {
            Some(no_streams()?)
        } else {
            let streams: std::result::Result<Streams, _> = fds.try_into();
            Some(streams.map_err(|_| {
                Error::new("exec", "the streams of the program did not come with the request")
            })?)
        };
        let mut trace = Trace::new(exec.trace);
        let mut running = enter(container, process, streams, &mut trace)?;
        bulkhead_sys::fail::point("exec: program runs");
        let (pid, mut terminal) = (running.pid, running.terminal.take());
        let unread = if exec.detached { terminal.take() } else { None };
        let kept =
            terminal.as_ref().map(OwnedFd::try_clone).transpose().step("exec", || "keep the terminal")?;
        self.all.push(Session { running, client: Some(client).filter(|_| !exec.detached), unread, kept });
        Ok(Begun { pid, terminal, laps: trace.into_laps() })
    }

    /// The client has gone: its program goes on, and what it writes to its terminal is forgotten.
    pub(crate) fn abandon(&mut self, client: u64) {
        for session in self.all.iter_mut().filter(|session| session.client == Some(client)) {
            session.client = None;
            session.unread = session.kept.take();
        }
    }

    /// Reaps those that have ended: the client to be told, if there is one, and the exit code, for each.
    pub(crate) fn reap(&mut self) -> Vec<(Option<u64>, i32)> {
        let mut ended = Vec::new();
        self.all.retain(|session| match pidfd::wait(&session.running.pidfd, false) {
            Ok(None) => true,
            Ok(Some(end)) => {
                ended.push((session.client, end.code()));
                false
            }
            Err(_) => {
                ended.push((session.client, 255));
                false
            }
        });
        ended
    }
}

/// /dev/null.
pub(crate) fn null() -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .step("standard streams", || "open /dev/null")
}

/// /dev/null three times.
pub(crate) fn no_streams() -> Result<Streams> {
    Ok([null()?, null()?, null()?])
}
