//! Processes by pidfd: a handle that never comes to mean another process, as a PID can.
//! See pidfd_open(2), pidfd_send_signal(2), waitid(2) with P_PIDFD.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::check;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It called exit with this code (0–255).
    Exited(u8),
    /// A signal of this number ended it.
    Killed(u8),
}

impl Ended {
    /// The code a shell and Docker report: the exit code, or 128 + the signal's number.
    pub fn code(self) -> i32 {
        match self {
            Ended::Exited(code) => i32::from(code),
            Ended::Killed(signal) => 128 + i32::from(signal),
        }
    }
}

/// Sends any signal number (real-time ones and 0 included) to the process.
///
/// # Errors
/// ESRCH when it has ended and been reaped, EINVAL for a number that is no signal, EPERM.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is passed: the info pointer is null.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    })
    .map(drop)
}

/// The process's number in the PID namespace of the caller's /proc (pidfd_open(2)).
///
/// # Errors
/// ESRCH when it has been reaped or is not in that namespace.
pub fn number(pidfd: BorrowedFd<'_>) -> io::Result<i32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    info.lines()
        .find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
        .filter(|pid| *pid > 0)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// Reaps the child, waiting for its end if `block`. `None`: it still runs.
///
/// # Errors
/// ECHILD when it is no child of ours.
pub fn wait(pidfd: impl AsFd, block: bool) -> io::Result<Option<Ended>> {
    let mut options = WaitIdOptions::EXITED;
    if !block {
        options |= WaitIdOptions::NOHANG;
    }
    loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), options) {
            Ok(None) => return Ok(None),
            Ok(Some(status)) => {
                let byte = |n: i32| u8::try_from(n & 0xff).unwrap_or(u8::MAX);
                return Ok(Some(match status.exit_status() {
                    Some(code) => Ended::Exited(byte(code)),
                    None => Ended::Killed(byte(status.terminating_signal().unwrap_or(libc::SIGKILL) & 0x7f)),
                }));
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
