//! Processes: birth by clone3(2), change by execve(2), and which descriptors survive it.
//!
//! clone3 is called directly, as no library offers it: fork() cannot make namespaces in the same step, and
//! only clone3 puts a child into a cgroup v2 group at no cost (CLONE_INTO_CGROUP).

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::check;

/// CLONE_INTO_CGROUP of linux/sched.h (the libc crate's constant is too narrow).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What [`clone3`] is asked for.
#[derive(Default)]
pub struct CloneArgs<'fd> {
    /// CLONE_NEW* flags (libc's constants).
    pub namespaces: u64,
    /// A cgroup v2 folder that the child is born in.
    pub cgroup: Option<BorrowedFd<'fd>>,
    /// Whether the new process is a child of the caller's parent, and not of the caller (CLONE_PARENT).
    pub sibling: bool,
}

/// Which side of a [`clone3`] we are on.
pub enum Cloned {
    /// In the new process.
    Child,
    /// In the process that called.
    Parent {
        /// The child's PID as the caller's PID namespace numbers it.
        pid: i32,
        /// The child's pidfd, close-on-exec.
        pidfd: OwnedFd,
    },
}

/// Clones the calling process as fork(2) does, into new namespaces and a cgroup (clone3(2)).
///
/// The caller must have one thread only: locks that other threads hold would stay locked in the child
/// for ever. (Nothing unsound follows from that, but a child that hangs does.)
///
/// # Errors
/// The kernel's error: EPERM, ENOSPC (too many namespaces), EAGAIN (too many processes), ENOSYS …
pub fn clone3(args: &CloneArgs<'_>) -> io::Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    let mut request: libc::clone_args = {
        // SAFETY: clone_args is plain integers, for which all-zero is a valid value and means "not asked for".
        unsafe { std::mem::zeroed() }
    };
    request.flags = args.namespaces | libc::CLONE_PIDFD as u64;
    request.pidfd = ptr::from_mut(&mut pidfd) as u64;
    if args.sibling {
        // Its parent gets the signal that it gets for the caller.
        request.flags |= libc::CLONE_PARENT as u64;
    } else {
        request.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(cgroup) = args.cgroup {
        request.flags |= CLONE_INTO_CGROUP;
        request.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    // SAFETY: `request` and the `pidfd` that it points to live across the call; without CLONE_VM the child
    // has a copy of this stack and heap of its own, so returning twice breaks no reference.
    let pid = match check(unsafe {
        libc::syscall(libc::SYS_clone3, ptr::from_mut(&mut request), size_of::<libc::clone_args>())
    }) {
        // In a container: filters cannot look into clone3's arguments, so they say that there is no such call.
        Err(error)
            if error.raw_os_error() == Some(libc::ENOSYS)
                && args.namespaces == 0
                && args.cgroup.is_none()
                && !args.sibling =>
        {
            return fork();
        }
        other => other?,
    };
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: the kernel stored a new descriptor that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = i32::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
    Ok(Cloned::Parent { pid, pidfd })
}

/// The same with the old call, for a plain child.
fn fork() -> io::Result<Cloned> {
    // SAFETY: as for clone3: the child has a copy of everything.
    let pid = unsafe { libc::fork() };
    if check(pid.into())? == 0 {
        return Ok(Cloned::Child);
    }
    let child =
        rustix::process::Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    // Until it is reaped, by us alone, its number means no other process.
    let pidfd = rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty())?;
    Ok(Cloned::Parent { pid, pidfd })
}

/// Starts the executable `program` in a cgroup v2 group, with `input` as its standard input, `output` as its other two
/// standard streams, no variables, and `/` as its working directory. As posix_spawn(3) does, but that cannot say the
/// group. The new process is the caller's child.
///
/// # Errors
/// The kernel's. What goes wrong after the clone ends the child with 127.
pub fn spawn_in(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    args: &[CString],
    input: BorrowedFd<'_>,
    output: BorrowedFd<'_>,
) -> io::Result<()> {
    // All that needs memory is made before: other threads' locks stay locked in the child for ever.
    let argv: Vec<*const libc::c_char> = args.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect();
    let envp: [*const libc::c_char; 1] = [ptr::null()];
    match clone3(&CloneArgs { cgroup: Some(cgroup), ..CloneArgs::default() })? {
        Cloned::Parent { .. } => Ok(()),
        Cloned::Child => {
            // SAFETY: the descriptors, strings and arrays live in this copy of the caller's memory; dup2, chdir and
            // execveat are async-signal-safe, and nothing else runs here.
            unsafe {
                libc::dup2(input.as_raw_fd(), 0);
                libc::dup2(output.as_raw_fd(), 1);
                libc::dup2(output.as_raw_fd(), 2);
                libc::chdir(c"/".as_ptr());
                libc::syscall(
                    libc::SYS_execveat,
                    program.as_raw_fd(),
                    c"".as_ptr(),
                    argv.as_ptr(),
                    envp.as_ptr(),
                    libc::AT_EMPTY_PATH,
                );
            }
            exit_now(127)
        }
    }
}

/// Does `work` with the rights over files that this user and group have, without those that root's capabilities give
/// (setfsuid(2)): for a look at what somebody else arranged.
pub fn with_files_of<T>(uid: u32, gid: u32, work: impl FnOnce() -> T) -> T {
    // Root's own files need no change, and no capability would be given up for them.
    let change = (uid, gid) != (0, 0);
    let become_one = |uid: u32, gid: u32| {
        // The group first: as another user this process may not change it any more.
        if uid == 0 {
            // SAFETY: only numbers are passed; the kernel takes them for this thread alone.
            unsafe { libc::syscall(libc::SYS_setfsuid, uid) };
        }
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_setfsgid, gid) };
        if uid != 0 {
            // SAFETY: as above.
            unsafe { libc::syscall(libc::SYS_setfsuid, uid) };
        }
    };
    if change {
        become_one(uid, gid);
    }
    let result = work();
    if change {
        become_one(0, 0);
    }
    result
}

/// Replaces the program of this process (execve(2)). Returns only if that failed.
pub fn exec(path: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(args), pointers(env));
    // SAFETY: both arrays are null-terminated and point at C strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// Marks every descriptor from `first` on close-on-exec (close_range(2)), so that nothing of ours is
/// inherited by what is executed next, whoever opened it.
///
/// # Errors
/// The kernel's error; ENOSYS before 5.9, EINVAL before 5.11.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: no memory is passed; descriptors stay open, only their flag changes.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })
        .map(drop)
}

/// Closes every descriptor from `first` on: for a process at its very beginning, which owns none of them yet and
/// wants nothing of what its starter happened to have open.
///
/// # Errors
/// The kernel's error; ENOSYS before 5.9.
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: no memory is passed. Descriptors that this process owns by then would be closed under their owners,
    // which is why it is for its beginning only.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Closes every descriptor from `first` on but those of `keep`: for a child right after its clone, which never returns
/// to the code that owns the others.
///
/// # Errors
/// The kernel's error; ENOSYS before 5.9.
pub fn close_all_but(first: u32, keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> =
        keep.iter().map(|fd| fd.as_raw_fd().unsigned_abs()).filter(|fd| *fd >= first).collect();
    kept.sort_unstable();
    let mut from = first;
    for fd in kept.into_iter().chain([u32::MAX]) {
        if fd > from {
            let last = if fd == u32::MAX { fd } else { fd - 1 };
            // SAFETY: no memory is passed; who calls this uses none of the descriptors that are closed.
            check(unsafe { libc::syscall(libc::SYS_close_range, from, last, 0) })?;
        }
        from = fd.saturating_add(1);
    }
    Ok(())
}

/// Ends this process at once, without destructors or exit handlers: what a child that shares a
/// terminal's or a file's state with its parent must use.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit never returns and touches no memory of ours.
    unsafe { libc::_exit(code) }
}
