//! The kernel's calls that no well-kept crate gives safely: the only crate of the project with `unsafe`.
//!
//! Everything that `rustix` already wraps is used from `rustix` directly, here and in the crates above.
//! What is left is one small file per call family, each a safe function over one raw system call:
//!
//! | file | calls |
//! |---|---|
//! | [`process`] | clone3(2), execve(2), close_range(2) |
//! | [`pidfd`] | pidfd_send_signal(2) with any signal number, waitid(2) on a pidfd |
//! | [`namespaces`] | unshare(2) and setns(2) for a single-threaded process |
//! | [`mount`] | mount_setattr(2): attributes, propagation and ID mappings of detached mounts |
//! | [`signals`] | signalfd(2), signal masks and dispositions |
//! | [`bpf`] | bpf(2): the device programs of cgroup v2 |
//! | [`scheduling`] | sched_setattr(2), ioprio_set(2), personality(2) |
//! | [`seccomp`] | seccomp(2) with a compiled filter |
//! | [`keyring`] | a session keyring of one's own |
//! | [`memory`] | giving freed heap back, and how much is free |
//! | [`fail`] | where tests kill the process |
//! | [`clock`] | the machine's time zone |
//! | [`channel`] | messages with file descriptors over a SOCK_SEQPACKET socket |
//!
//! Nothing here knows what a container is.
#![allow(unsafe_code)]

pub mod bpf;
pub mod channel;
pub mod clock;
pub mod fail;
pub mod keyring;
pub mod memory;
pub mod mount;
pub mod namespaces;
pub mod pidfd;
pub mod process;
pub mod scheduling;
pub mod seccomp;
pub mod signals;
pub mod socket;

use std::io;

/// Turns the result of a raw system call (-1 and errno on failure) into an [`io::Result`].
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
