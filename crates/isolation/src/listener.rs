//! A filter that asks (seccomp_unotify(2)): the descriptor at which its questions come has to leave the process that
//! installed it, for whoever answers.
//!
//! From then on that process can rely on no system call: each may be one that is asked about, and nobody answers yet. So
//! it writes the descriptor's number, by write(2) alone, which no rule may ask about (the compiler refuses that); whoever
//! waits for it takes the descriptor out of the process (pidfd_getfd(2)), gives it to whoever answers, and says so.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use bulkhead_sys::channel;
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use crate::error::{Error, Result, Step};
use crate::messages::Word;

const STEP: &str = "seccomp";

/// What is done with the descriptor of the process with this number. When it returns, the process goes on.
pub type Listens<'a> = &'a mut dyn FnMut(i32, OwnedFd) -> Result<()>;

/// For programs whose filters ask nobody.
///
/// # Errors
/// Always.
pub fn nobody(_pid: i32, _listener: OwnedFd) -> Result<()> {
    Err(Error::new(STEP, "the system call filter asks, and there is nobody to answer"))
}

/// In the child, whose filter is installed: has `listener` taken.
pub(crate) fn hand_over(socket: BorrowedFd<'_>, listener: &OwnedFd) -> Result<()> {
    let body = serde_json::to_vec(&Word::Listener(listener.as_raw_fd())).unwrap_or_default();
    channel::write_plainly(socket, &body).step(STEP, || "hand over what the filter asks at")?;
    if channel::read_plainly(socket).step(STEP, || "hear that somebody answers the filter")? {
        Ok(())
    } else {
        Err(Error::new(STEP, "nobody answers what the system call filter asks"))
    }
}

/// On the other side: takes it out of the process, has it given away, and lets the process go on.
pub(crate) fn take(
    socket: BorrowedFd<'_>,
    (pid, process): (i32, BorrowedFd<'_>),
    number: i32,
    listens: Listens<'_>,
) -> Result<()> {
    let listener = pidfd_getfd(process, number, PidfdGetfdFlags::empty())
        .step(STEP, || "take what the system call filter asks at")?;
    listens(pid, listener)?;
    channel::send(socket.as_fd(), b"go", &[]).step(STEP, || "let the process go on")
}
