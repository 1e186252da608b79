//! The container's output: read as it comes, logged, and copied to whoever is attached.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::attachments::Attachment;
use crate::log::{Log, Stream};

/// Where output comes from: a pipe, or the terminal's own side.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) stream: Stream,
    pub(crate) fd: OwnedFd,
}

impl Source {
    pub(crate) fn new(stream: Stream, fd: OwnedFd) -> io::Result<Source> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Source { stream, fd })
    }

    /// Reads once and passes on what came. `false`: there will be no more.
    pub(crate) fn pump(&self, log: &mut Log, attachments: &mut [Attachment]) -> io::Result<bool> {
        let mut buffer = [0u8; 16 * 1024];
        let length = match rustix::io::read(&self.fd, &mut buffer) {
            Ok(length) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            // A terminal whose last user has closed it (pty(7)).
            Err(Errno::IO) => 0,
            Err(error) => return Err(error.into()),
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(false);
        }
        for attachment in attachments {
            attachment.push(self.stream, bytes);
        }
        log.add(self.stream, bytes)?;
        Ok(true)
    }

    /// Passes on all that is there already: what a pipe or a terminal can hold, and no more, since a process elsewhere
    /// that was given the pipe may go on writing.
    pub(crate) fn drain(&self, log: &mut Log, attachments: &mut [Attachment]) -> io::Result<()> {
        for _ in 0..128 {
            let ready = {
                let mut wanted = [rustix::event::PollFd::new(&self.fd, rustix::event::PollFlags::IN)];
                rustix::event::poll(&mut wanted, Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0
            };
            if !ready || !self.pump(log, attachments)? {
                break;
            }
        }
        Ok(())
    }
}
