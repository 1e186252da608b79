//! The container's output: read as it comes, logged, and copied to whoever is attached.

use std::io;
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
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
    pub(crate) fn pump(&self, log: &mut Log, attachments: &mut [Attachment]) -> bool {
        // Not zeroed, so that few bytes touch little memory.
        let mut bytes = Vec::with_capacity(log.appetite());
        match rustix::io::read(&self.fd, spare_capacity(&mut bytes)) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(Errno::AGAIN | Errno::INTR) => return true,
            // A terminal whose last user has closed it (pty(7)); nothing else can come from a pipe.
            Err(_) => return false,
        }
        for attachment in attachments {
            attachment.push(self.stream, &bytes);
        }
        log.add(self.stream, &bytes);
        true
    }

    /// Passes on all that is there already: what a pipe or a terminal can hold, and no more, since a process elsewhere
    /// that was given the pipe may go on writing.
    pub(crate) fn drain(&self, log: &mut Log, attachments: &mut [Attachment]) {
        let mut left = 2 * 1024 * 1024usize;
        while left > 0 {
            let mut wanted = [PollFd::new(&self.fd, PollFlags::IN)];
            let ready = poll(&mut wanted, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
            if !matches!(ready, Ok(1..)) || !self.pump(log, attachments) {
                break;
            }
            log.make_room();
            left = left.saturating_sub(log.appetite());
        }
    }
}
