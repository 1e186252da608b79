//! The container's input: taken from whoever is attached, exact to the byte, and ended when it should be.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use crate::attachments::{Attachment, write_some};

/// The way into the container.
#[derive(Debug)]
pub(crate) struct Input {
    /// The write end of its standard input, or the terminal's own side; `None` when it has ended.
    fd: Option<OwnedFd>,
    pending: Vec<u8>,
    /// Whether it ends with the input of the first client.
    once: bool,
    /// Whether it is to be ended when nothing is pending.
    ending: bool,
}

impl Input {
    pub(crate) fn new(fd: Option<OwnedFd>, once: bool) -> std::io::Result<Input> {
        if let Some(fd) = &fd {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(Input { fd, pending: Vec::new(), once, ending: false })
    }

    /// Where pending input is to be written as soon as it can be.
    pub(crate) fn blocked(&self) -> Option<&OwnedFd> {
        self.fd.as_ref().filter(|_| !self.pending.is_empty())
    }

    /// Whether more can be taken from clients.
    pub(crate) fn hungry(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes once from a client that has something to give.
    pub(crate) fn take(&mut self, attachment: &mut Attachment) {
        let Some(pipe) = &attachment.stdin else { return };
        let mut buffer = [0u8; 16 * 1024];
        match rustix::io::read(pipe, &mut buffer) {
            Ok(0) => {
                attachment.stdin = None;
                self.ending |= self.once;
            }
            Ok(length) => {
                self.pending.extend_from_slice(buffer.get(..length).unwrap_or_default());
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => attachment.stdin = None,
        }
        self.flush();
        if self.fd.is_none() {
            // The program reads no more: its feeder learns that as it would from a pipe.
            attachment.stdin = None;
        }
    }

    /// Writes what is pending, as far as the program takes it.
    pub(crate) fn flush(&mut self) {
        let Some(fd) = &self.fd else {
            self.pending = Vec::new();
            return;
        };
        match write_some(fd.as_fd(), &self.pending) {
            Some(taken) => drop(self.pending.drain(..taken)),
            None => self.end(),
        }
        if self.pending.is_empty() {
            self.pending = Vec::new();
            if self.ending {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        self.fd = None;
        self.pending = Vec::new();
    }
}
