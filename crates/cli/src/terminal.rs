//! The user's own terminal: raw while a container's terminal is shown in it, and restored whatever happens.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_engine::TerminalSize;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

/// Raw mode for as long as this lives.
pub(crate) struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    /// Makes the terminal raw; `None` if it is none.
    pub(crate) fn make(terminal: BorrowedFd<'_>) -> std::io::Result<Option<Raw>> {
        if !isatty(terminal) {
            return Ok(None);
        }
        let before = tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Now, &raw)?;
        Ok(Some(Raw { terminal: terminal.try_clone_to_owned()?, before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone needs no restoring.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// The size of the user's terminal; nothing if there is none.
pub(crate) fn size() -> TerminalSize {
    let of = |fd: BorrowedFd<'_>| {
        tcgetwinsize(fd).ok().map(|size| TerminalSize { rows: size.ws_row, columns: size.ws_col })
    };
    of(std::io::stdout().as_fd()).or_else(|| of(std::io::stdin().as_fd())).unwrap_or_default()
}
