//! A container's terminal in the caller's own, while this process stays: bytes both ways, size, raw mode.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

/// The terminal of a program that runs, and what of the caller's is not yet written to it.
pub(crate) struct Relay {
    terminal: OwnedFd,
    before: Option<Termios>,
    pending: Vec<u8>,
    input_open: bool,
}

impl Relay {
    /// Begins; the caller's own terminal is raw until this is dropped.
    pub(crate) fn begin(terminal: OwnedFd) -> std::io::Result<Relay> {
        let stdin = std::io::stdin();
        let before = if isatty(&stdin) {
            let before = tcgetattr(&stdin)?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(&stdin, OptionalActions::Now, &raw)?;
            Some(before)
        } else {
            None
        };
        let relay = Relay { terminal, before, pending: Vec::new(), input_open: true };
        relay.resize();
        Ok(relay)
    }

    /// Gives the program's terminal the size of the caller's, if that is one.
    pub(crate) fn resize(&self) {
        if let Ok(size) = tcgetwinsize(std::io::stdin()) {
            let _ = tcsetwinsize(&self.terminal, size);
        }
    }

    pub(crate) fn terminal(&self) -> BorrowedFd<'_> {
        self.terminal.as_fd()
    }

    /// Whether there are bytes to write to the program.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether more can be taken from the caller.
    pub(crate) fn wants_input(&self) -> bool {
        self.input_open && self.pending.is_empty()
    }

    /// Reads from the caller once.
    pub(crate) fn take_input(&mut self) {
        let mut buffer = [0u8; 4096];
        match rustix::io::read(std::io::stdin(), &mut buffer) {
            Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(length) if length > 0 => {
                self.pending.extend_from_slice(buffer.get(..length).unwrap_or_default());
                self.give();
            }
            // Its end is the end of input for the program: what a terminal's user types for it.
            _ => {
                self.input_open = false;
                self.pending.push(4);
                self.give();
            }
        }
    }

    /// Writes to the program what it takes.
    pub(crate) fn give(&mut self) {
        match rustix::io::write(&self.terminal, &self.pending) {
            Ok(length) => drop(self.pending.drain(..length.min(self.pending.len()))),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => {
                self.pending.clear();
                self.input_open = false;
            }
        }
    }

    /// Reads from the program once, and writes that to the caller. `false`: there is nothing more, now or for good.
    pub(crate) fn take_output(&self) -> bool {
        let mut buffer = [0u8; 8192];
        let length = match rustix::io::read(&self.terminal, &mut buffer) {
            Err(Errno::INTR) => return true,
            Ok(length) if length > 0 => length,
            // EIO is a terminal's end (pty(7)).
            _ => return false,
        };
        let mut rest = buffer.get(..length).unwrap_or_default();
        while !rest.is_empty() {
            match rustix::io::write(std::io::stdout(), rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let out = std::io::stdout();
                    let _ = rustix::event::poll(
                        &mut [rustix::event::PollFd::from_borrowed_fd(
                            out.as_fd(),
                            rustix::event::PollFlags::OUT,
                        )],
                        None,
                    );
                }
                Err(_) => return false,
            }
        }
        true
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that has gone needs no restoring.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
