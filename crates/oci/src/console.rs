//! `--console-socket`: a terminal's own side for whoever listens there (runc's docs/terminals.md): one message with the
//! descriptor, and its name.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};

use crate::error::{Doing, Result};

/// The socket, connected: before anything is made for which it would be needed.
pub(crate) fn connect(path: &Path) -> Result<OwnedFd> {
    let connect = || -> rustix::io::Result<OwnedFd> {
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(socket)
    };
    connect().doing(|| format!("connect to the console socket {}", path.display()))
}

/// Sends the terminal.
pub(crate) fn send(socket: &OwnedFd, terminal: &OwnedFd) -> Result<()> {
    let fds = [terminal.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(socket, &[IoSlice::new(b"/dev/ptmx")], &mut control, SendFlags::NOSIGNAL)
        .map(drop)
        .doing(|| "send the terminal to the console socket".into())
}
