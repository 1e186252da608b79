//! Leaving and entering namespaces: unshare(2) and setns(2), for processes with one thread.
//!
//! `rustix` marks unshare unsafe because CLONE_FILES and CLONE_VM can pull file tables apart under other
//! threads; only namespace flags are let through here.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::OnceLock;

use crate::check;

/// The CLONE_NEW* bits: what [`unshare`] and [`join`] accept.
pub const ALL: i32 = libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWTIME
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWUTS;

/// Moves this process into new namespaces of the kinds given by CLONE_NEW* `flags`. A new PID or time
/// namespace takes in only its later children.
///
/// # Errors
/// EPERM, ENOSPC (a limit of user.max_*_namespaces), EINVAL (no such namespace in this kernel).
pub fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: with namespace flags alone no memory or descriptor of this process changes.
    check(unsafe { libc::unshare(flags & ALL) }.into()).map(drop)
}

/// Moves this process into the namespaces of the kinds `flags` (CLONE_NEW*) that `fd` stands for: one
/// namespace's own descriptor, or a process's pidfd (then several kinds at once).
///
/// # Errors
/// EPERM, EINVAL (not a namespace of that kind, or a user namespace that we are in already), ESRCH (a
/// pidfd whose process is gone).
pub fn join(fd: BorrowedFd<'_>, flags: i32) -> io::Result<()> {
    // SAFETY: only a descriptor and flags are passed.
    check(unsafe { libc::setns(fd.as_raw_fd(), flags & ALL) }.into()).map(drop)
}

/// Whether this process is in a user namespace other than the machine's: an engine in a container. There it can neither
/// make device nodes nor set rules for devices (those of the container that it is in hold for it), and overlayfs keeps
/// its marks in attributes of another name. Looked at once, at the first call: children inherit the answer.
pub fn nested() -> bool {
    static NESTED: OnceLock<bool> = OnceLock::new();
    *NESTED.get_or_init(|| {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let numbers: Vec<&str> = map.split_whitespace().collect();
        // A kernel without user namespaces has no such file.
        !map.is_empty() && numbers != ["0", "0", "4294967295"]
    })
}
