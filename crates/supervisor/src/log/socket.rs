//! A receiver's socket. Nothing done with it waits, but for the connection that a container's start needs.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt};

use crate::log_config::Address;

/// How long a start waits for a TCP connection.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// After how many milliseconds without an answer a TCP receiver is taken to have gone.
const SILENCE: u32 = 10_000;

/// A connected socket; one of TCP may still be connecting, and then takes nothing yet.
pub(super) fn open(address: &Address) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let local = |kind: SocketType, path: &str| -> io::Result<OwnedFd> {
        let socket = socket_with(AddressFamily::UNIX, kind, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(socket)
    };
    match address {
        Address::Stream(path) => local(SocketType::STREAM, path),
        Address::Datagram(path) => local(SocketType::DGRAM, path),
        Address::Udp(address) => {
            let socket = socket_with(family(address), SocketType::DGRAM, flags, None)?;
            connect(&socket, address)?;
            Ok(socket)
        }
        Address::Tcp(address) => {
            let socket = socket_with(family(address), SocketType::STREAM, flags, None)?;
            sockopt::set_tcp_user_timeout(&socket, SILENCE)?;
            match connect(&socket, address) {
                Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// Waits until a socket that was just opened is connected.
pub(super) fn wait(socket: &OwnedFd) -> io::Result<()> {
    let mut wanted = [PollFd::new(socket, PollFlags::OUT)];
    if poll(&mut wanted, Some(&PATIENCE))? == 0 {
        return Err(Errno::TIMEDOUT.into());
    }
    sockopt::socket_error(socket)?.map_err(io::Error::from)
}

/// Whether the other side has closed it.
pub(super) fn is_closed(socket: &OwnedFd) -> bool {
    let mut wanted = [PollFd::new(socket, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut wanted, Some(&now)).is_ok_and(|ready| ready > 0)
}

fn family(address: &std::net::SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}

/// Whether each message is a datagram of its own.
pub(super) fn has_messages(address: &Address) -> bool {
    matches!(address, Address::Datagram(_) | Address::Udp(_))
}
