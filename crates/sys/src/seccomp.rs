//! Installing a seccomp filter (seccomp(2), SECCOMP_SET_MODE_FILTER). What it says is decided elsewhere.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use crate::check;

/// One classic BPF instruction, as struct sock_filter of linux/filter.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when the test holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Whether this kernel takes filters with these flags. (It looks at the flags first, and then for the filter, which is
/// not there.)
pub fn takes(flags: u32) -> bool {
    // SAFETY: the null pointer is never followed: the kernel copies from it as from any address of ours, and fails.
    let result = check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            std::ptr::null::<libc::sock_fprog>(),
        )
    });
    result.is_err_and(|error| error.raw_os_error() == Some(libc::EFAULT))
}

/// Installs `filter` for this process. With SECCOMP_FILTER_FLAG_NEW_LISTENER in `flags` the notification
/// descriptor is returned.
///
/// # Errors
/// EINVAL (a filter that the kernel's checker refuses), EACCES (neither no_new_privs nor CAP_SYS_ADMIN),
/// ENOMEM.
pub fn install(filter: &[Instruction], flags: u32) -> io::Result<Option<OwnedFd>> {
    let len = u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    // SAFETY: Instruction has sock_filter's layout, `program` points at `len` of them, and the kernel only
    // reads them.
    let result = check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    })?;
    if u64::from(flags) & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with that flag the result is a new descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(i32::try_from(result).unwrap_or(-1)) }))
}
