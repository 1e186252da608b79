//! Clients that are attached to a container: each passed pipe ends, into which its output is copied and from
//! which its input is taken.
//!
//! Nobody can make a supervisor grow, or its loop wait: pipes are written without blocking, and what a pipe does not
//! take is kept up to a bound. The client that started the container in its foreground holds the container
//! back when it reaches the bound, as a pipe in a shell would (and its supervisor stays until it has read the rest); any
//! other is cut off.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use crate::log::Stream;

/// What is kept for a client that held the container back, before the container's output is no longer read.
const HELD: usize = 64 * 1024;
/// What is kept for any other client before it is cut off.
const LARGEST: usize = 1024 * 1024;

/// The write end of a client's pipe.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) pipe: OwnedFd,
    pending: Vec<u8>,
}

impl Sink {
    fn new(pipe: OwnedFd) -> io::Result<Sink> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Sink { pipe, pending: Vec::new() })
    }

    /// Whether something waits to be written.
    pub(crate) fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Writes what the pipe takes now, keeps the rest. `false`: the client has closed it.
    fn push(&mut self, bytes: &[u8]) -> bool {
        if self.waits() {
            self.pending.extend_from_slice(bytes);
            return true;
        }
        let Some(taken) = write_some(&self.pipe, bytes) else { return false };
        self.pending.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        true
    }

    /// Writes what waits. `false`: the client has closed it.
    pub(crate) fn flush(&mut self) -> bool {
        let Some(taken) = write_some(&self.pipe, &self.pending) else { return false };
        self.pending.drain(..taken);
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        true
    }
}

/// Writes without blocking: how much was taken, or `None` when nobody reads any more.
pub(crate) fn write_some(pipe: impl AsFd, bytes: &[u8]) -> Option<usize> {
    let mut taken = 0;
    while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
        match rustix::io::write(&pipe, rest) {
            Ok(n) => taken += n,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(_) => return None,
        }
    }
    Some(taken)
}

/// One attached client.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// The read end of the pipe from which the container's input is taken.
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<Sink>,
    pub(crate) stderr: Option<Sink>,
    /// Whether it holds the container back rather than being cut off.
    owner: bool,
}

impl Attachment {
    /// From the descriptors that came with a request, in the protocol's order.
    pub(crate) fn new(
        wanted: crate::protocol::Attach,
        fds: impl IntoIterator<Item = OwnedFd>,
        owner: bool,
    ) -> io::Result<Attachment> {
        let mut fds = fds.into_iter();
        let mut next = |wanted: bool| -> io::Result<Option<OwnedFd>> {
            if !wanted {
                return Ok(None);
            }
            fds.next().map(Some).ok_or_else(|| io::ErrorKind::InvalidInput.into())
        };
        let stdin = next(wanted.stdin)?;
        if let Some(stdin) = &stdin {
            rustix::io::ioctl_fionbio(stdin, true)?;
        }
        let stdout = next(wanted.stdout)?.map(Sink::new).transpose()?;
        let stderr = next(wanted.stderr)?.map(Sink::new).transpose()?;
        Ok(Attachment { stdin, stdout, stderr, owner })
    }

    fn sink(&mut self, stream: Stream) -> &mut Option<Sink> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Copies output to it.
    pub(crate) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let owner = self.owner;
        let sink = self.sink(stream);
        let alive =
            sink.as_mut().is_none_or(|sink| sink.push(bytes) && (owner || sink.pending.len() <= LARGEST));
        if !alive {
            *sink = None;
        }
    }

    /// Whether the container's output must not be read until this client has read some.
    pub(crate) fn holds_back(&self) -> bool {
        let full = |sink: &Option<Sink>| sink.as_ref().is_some_and(|sink| sink.pending.len() >= HELD);
        self.owner && (full(&self.stdout) || full(&self.stderr))
    }

    /// Whether output waits to be written to it.
    pub(crate) fn waits(&self) -> bool {
        [&self.stdout, &self.stderr].into_iter().flatten().any(Sink::waits)
    }

    /// The container has ended: what waits is written still, and nothing comes after it.
    pub(crate) fn end(&mut self) {
        self.stdin = None;
        for sink in [&mut self.stdout, &mut self.stderr] {
            if sink.as_ref().is_some_and(|sink| !sink.waits()) {
                *sink = None;
            }
        }
    }

    /// Whether it must have what waits before the container may run again.
    pub(crate) fn holds_on(&self) -> bool {
        self.owner && self.waits()
    }

    /// Whether nothing connects it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.stdin.is_none() && self.stdout.is_none() && self.stderr.is_none()
    }
}
