//! Keyrings (keyctl(2)): a container must not hold its starter's session keyring.

use std::io;

use crate::check;

/// Joins a new, anonymous session keyring.
///
/// # Errors
/// EDQUOT (the user's quota of keys is used up), ENOSYS (no keyrings in this kernel), EPERM (a seccomp
/// filter above us).
pub fn join_new_session() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: a null name asks for an anonymous keyring; no memory is passed.
    check(unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    })
    .map(drop)
}
