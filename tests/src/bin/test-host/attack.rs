//! Single system calls that an attacker makes and no shell command does. Each ends with 0 where it succeeded, else with
//! 1 and the kernel's answer on standard error.

use std::ffi::OsStr;
use std::fmt::Display;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, XattrFlags};

/// Makes a file without a name in `folder` (open(2), O_TMPFILE), and then names it.
pub(crate) fn tmpfile(folder: &OsStr, name: &OsStr) -> ExitCode {
    let make = || {
        let file = rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR, Mode::RWXU)?;
        let shown = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file.as_fd()));
        let folder = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        rustix::fs::linkat(CWD, shown, folder, name, AtFlags::SYMLINK_FOLLOW)
    };
    ended(make())
}

/// Sets an extended attribute to a value in hexadecimal digits; no link is followed.
pub(crate) fn setxattr(path: &OsStr, name: &OsStr, hex: &OsStr) -> ExitCode {
    let hex = hex.to_str().unwrap().as_bytes();
    let digit = |digit: u8| (digit as char).to_digit(16).unwrap();
    let value: Vec<u8> = hex
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |value, &next| value * 16 + digit(next)))
        .map(|byte| u8::try_from(byte).unwrap())
        .collect();
    ended(rustix::fs::lsetxattr(path, name, &value, XattrFlags::empty()))
}

/// Hands an open folder to whoever connects to `socket`.
pub(crate) fn lend(socket: &OsStr, folder: &OsStr) -> ExitCode {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let lend = || -> std::io::Result<()> {
        rustix::process::umask(Mode::empty());
        let listener = UnixListener::bind(socket)?;
        let folder = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let (stream, _) = listener.accept()?;
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [folder.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        sendmsg(&stream, &[std::io::IoSlice::new(b"x")], &mut control, SendFlags::empty())?;
        Ok(())
    };
    ended(lend())
}

/// Takes a folder from `socket`, and prints the file `name` in it.
pub(crate) fn borrow(socket: &OsStr, name: &OsStr) -> ExitCode {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let borrow = || -> std::io::Result<()> {
        let stream = UnixStream::connect(socket)?;
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        recvmsg(&stream, &mut [std::io::IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty())?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                for folder in fds {
                    let file = rustix::fs::openat(folder, name, OFlags::RDONLY, Mode::empty())?;
                    std::io::copy(&mut std::fs::File::from(file), &mut std::io::stdout())?;
                }
            }
        }
        Ok(())
    };
    ended(borrow())
}

fn ended(result: Result<(), impl Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Exchanges two names for ever (renameat2(2), RENAME_EXCHANGE).
pub(crate) fn swap(one: &OsStr, other: &OsStr) -> ExitCode {
    loop {
        if let Err(error) = rustix::fs::renameat_with(CWD, one, CWD, other, rustix::fs::RenameFlags::EXCHANGE)
        {
            return ended(Err(error));
        }
    }
}
