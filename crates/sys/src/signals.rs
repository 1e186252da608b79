//! Signals read from a descriptor (signalfd(2)), so that one poll loop sees them among everything else, and
//! the clean slate that a program must find when it starts.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use crate::check;

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set that it is given; sigaddset only sets bits in it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}

/// Blocks `signals` for this thread and gives a descriptor, non-blocking and close-on-exec, from which they
/// are read with [`read`].
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn descriptor(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = set_of(signals);
    // SAFETY: `set` lives across both calls; the descriptor returned is new and ours alone.
    unsafe {
        check(libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()).into())?;
        let fd = check(libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC).into())?;
        Ok(OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)))
    }
}

/// The next signal's number waiting on a [`descriptor`], or `None`.
///
/// # Errors
/// Those of read(2), EAGAIN and EINTR excepted.
pub fn read(descriptor: &OwnedFd) -> io::Result<Option<i32>> {
    let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
    match rustix::io::read(descriptor, &mut info) {
        Ok(n) if n == info.len() => {
            // ssi_signo is the structure's first member, an u32 (signalfd(2)).
            let number = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
            Ok(i32::try_from(number).ok())
        }
        Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Gives every signal its default action and unblocks all: what an executed program expects. (Ignored
/// signals stay ignored across execve, and Rust's runtime ignores SIGPIPE.)
pub fn reset() {
    // The kernel's struct sigaction, all zero: SIG_DFL, no flags, an empty mask. The C library's own call would
    // leave out the two signals that it keeps for itself, which a parent may have left ignored.
    let default = [0u64; 4];
    // SAFETY: `default` is as large as the kernel's structure (four words) and outlives the calls; KILL and STOP
    // are refused by the kernel, as it should be. The mask set is empty.
    unsafe {
        for signal in 1..=64 {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null_mut::<u64>(), 8);
        }
        let empty = set_of(&[]);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const empty, std::ptr::null_mut());
    }
}

/// Ignores `signal` from now on, in what this process executes too.
pub fn ignore(signal: i32) {
    // SAFETY: SIG_IGN is a valid disposition.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Every signal that has a name, with it (without "SIG"), as signal(7) lists them for Linux.
pub const NAMES: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGIOT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// The number of a signal written as Docker's users do: `9`, `KILL`, `SIGKILL`, `sigkill`, `RTMIN+3`.
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    // The C library keeps 32 and 33 for itself: RTMIN is 34.
    let number = match name {
        "RTMIN" => Some(34),
        "RTMAX" => Some(64),
        _ => match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
            (Some(n), _) => n.parse::<i32>().ok().and_then(|n| n.checked_add(34)),
            (_, Some(n)) => n.parse::<i32>().ok().and_then(|n| 64i32.checked_sub(n)),
            _ => None,
        },
    }?;
    (34..=64).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn signals_are_read_as_docker_reads_them() {
        for (text, number) in
            [("9", 9), ("KILL", 9), ("SIGKILL", 9), ("sigterm", 15), ("RTMIN+3", 37), ("RTMAX", 64)]
        {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["", "0", "65", "-1", "NOPE", "RTMIN+99", "RTMAX-40", "SIG"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
