//! The way to a container's name service: 127.0.0.11, port 53, within the container's own namespace.
//!
//! The service listens at ports of its own choice, so that a container may have a name server itself, at port 53 of all
//! its addresses. A table of nf_tables in the container's namespace sends what its programs ask there to those ports,
//! and makes the answers come from port 53. It is the container's own: who is root in there may delete it, and loses
//! names by it, nothing else.

use std::os::fd::BorrowedFd;

use crate::error::Result;
use crate::firewall;
use crate::netlink::Socket;

/// In the network namespace `netns`, sends what its programs send to 127.0.0.11, port 53, to these ports of that
/// address. Done again, it is the new ports' alone.
///
/// # Errors
/// [`Error::NoFirewall`](crate::Error::NoFirewall) where the kernel cannot translate addresses, when the namespace
/// cannot be entered, else what the kernel refused.
pub fn redirect_names(netns: BorrowedFd<'_>, udp: u16, tcp: u16) -> Result<()> {
    firewall::redirect_names(&mut Socket::open_netfilter_in(netns)?, udp, tcp)
}
