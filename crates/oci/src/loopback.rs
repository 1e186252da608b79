//! A new network namespace has one link, its loopback, which is down (netdevice(7)); programs expect it up. One message
//! of rtnetlink(7) does that.

use std::os::fd::{AsFd, BorrowedFd};

use bulkhead_isolation::namespaces::net;
use bulkhead_isolation::{Result, Step};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const STEP: &str = "network";

/// Sets it up in `namespace`; this process, which has one thread, is in there for the moment.
pub(crate) fn up(namespace: BorrowedFd<'_>) -> Result<()> {
    let own =
        std::fs::File::open("/proc/thread-self/ns/net").step(STEP, || "open our own network namespace")?;
    bulkhead_sys::namespaces::join(namespace, net::FLAG).step(STEP, || "join the new network namespace")?;
    let done = set_up();
    if bulkhead_sys::namespaces::join(own.as_fd(), net::FLAG).is_err() {
        // Going on in the container's network would take it for the host's.
        bulkhead_sys::process::exit_now(1);
    }
    done.step(STEP, || "set the loopback link up")
}

fn set_up() -> std::io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    const LENGTH: u32 = 32;
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    // struct nlmsghdr, then struct ifinfomsg of the link 1, which a namespace's loopback always is.
    let mut message = Vec::with_capacity(32);
    message.extend(LENGTH.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_AND_ACK.to_ne_bytes());
    message.extend([0u8; 8]);
    message.extend([0u8; 4]);
    message.extend(1u32.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    rustix::net::send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0u8; 256];
    let (_, length) = rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
    // struct nlmsgerr: the error, negative, or 0.
    let code = answer.get(16..20).filter(|_| length >= 20).and_then(|code| code.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(std::io::Error::from_raw_os_error(-code)),
        None => Err(std::io::ErrorKind::InvalidData.into()),
    }
}
