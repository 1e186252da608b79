//! Addresses of links (rtnetlink(7), linux/if_addr.h).

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use rustix::io::Errno;

use crate::error::Result;
use crate::link::Mac;
use crate::mac;
use crate::netlink::{self, ACK, Attributes, CREATE, DUMP, EXCLUSIVE, Requests, Socket};

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
/// No detection of duplicates: addresses are leases, and an address is usable at once.
const IFA_F_NODAD: u8 = 2;
const AF_UNSPEC: u8 = 0;
/// The bytes of `struct ifaddrmsg`.
const HEADER: usize = 8;

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The link's number.
    pub index: u32,
    /// The address, with the length of its network's prefix.
    pub address: IpNet,
}

/// Lists the addresses of both families of all links in the socket's namespace.
///
/// # Errors
/// When the kernel refuses.
pub fn list(socket: &mut Socket) -> Result<Vec<Address>> {
    socket.dump(
        |requests| {
            let what = ("list addresses", "");
            requests.add(RTM_GETADDR, DUMP, what, &[AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0], |_| {});
        },
        parse,
    )
}

/// Gives a link an address. That it has it already is no error.
pub(crate) fn add<'a>(requests: &mut Requests<'a>, index: u32, name: &'a str, address: IpNet) {
    let what = ("give an address to the link", name);
    let flags = ACK | CREATE | EXCLUSIVE;
    requests
        .add(RTM_NEWADDR, flags, what, &header(index, address), |message| match address {
            IpNet::V4(address) => {
                let local = address.addr().octets();
                message.bytes(IFA_LOCAL, &local).bytes(IFA_ADDRESS, &local);
                // Subnets of one or two addresses have no broadcast address (RFC 3021).
                if address.prefix_len() < 31 {
                    message.bytes(IFA_BROADCAST, &address.broadcast().octets());
                }
            }
            IpNet::V6(address) => {
                message.bytes(IFA_ADDRESS, &address.addr().octets());
            }
        })
        .tolerating(Errno::EXIST);
}

/// Takes an address from a link. That it has it not is no error.
pub(crate) fn remove<'a>(requests: &mut Requests<'a>, index: u32, name: &'a str, address: IpNet) {
    let what = ("take an address from the link", name);
    requests
        .add(RTM_DELADDR, ACK, what, &header(index, address), |message| match address {
            IpNet::V4(address) => {
                message.bytes(IFA_LOCAL, &address.addr().octets());
            }
            IpNet::V6(address) => {
                message.bytes(IFA_LOCAL, &address.addr().octets());
            }
        })
        .tolerating(Errno::ADDRNOTAVAIL);
}

/// The link-local address of a link with that MAC address.
pub(crate) fn link_local(mac: Mac) -> IpNet {
    Ipv6Net::new_assert(mac::link_local(mac), 64).into()
}

fn parse(payload: &[u8]) -> Option<Address> {
    let [_, prefix_len, _, _, index @ ..] = *payload.first_chunk::<HEADER>()?;
    // On links from point to point IFA_ADDRESS is the other side's.
    let attributes = Attributes::after(payload, HEADER);
    let local: IpAddr =
        attributes.find(IFA_LOCAL).or_else(|| attributes.find(IFA_ADDRESS)).and_then(netlink::address)?;
    let address = IpNet::new(local, prefix_len).ok()?;
    Some(Address { index: u32::from_ne_bytes(index), address })
}

/// `struct ifaddrmsg`, of global scope (the kernel knows link-local IPv6 addresses when it sees them).
fn header(index: u32, address: IpNet) -> [u8; HEADER] {
    let [a, b, c, d] = index.to_ne_bytes();
    let (family, flags) = match address {
        IpNet::V4(_) => (netlink::AF_INET, 0),
        IpNet::V6(_) => (netlink::AF_INET6, IFA_F_NODAD),
    };
    [family, address.prefix_len(), flags, 0, a, b, c, d]
}
