//! IPv4 addresses of links (rtnetlink(7), linux/if_addr.h).

use ipnet::Ipv4Net;
use rustix::io::Errno;

use crate::error::Result;
use crate::netlink::{self, ACK, Attributes, CREATE, DUMP, EXCLUSIVE, Requests, Socket};

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const AF_INET: u8 = 2;
/// The bytes of `struct ifaddrmsg`.
const HEADER: usize = 8;

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The link's number.
    pub index: u32,
    /// The address, with the length of its network's prefix.
    pub address: Ipv4Net,
}

/// Lists the IPv4 addresses of all links in the socket's namespace.
///
/// # Errors
/// When the kernel refuses.
pub fn list(socket: &mut Socket) -> Result<Vec<Address>> {
    socket.dump(
        |requests| {
            let what = ("list addresses", "");
            requests.add(RTM_GETADDR, DUMP, what, &header(0, 0), |_| {});
        },
        parse,
    )
}

/// Gives a link an address. That it has it already is no error.
pub(crate) fn add<'a>(requests: &mut Requests<'a>, index: u32, name: &'a str, address: Ipv4Net) {
    let what = ("give an address to the link", name);
    let flags = ACK | CREATE | EXCLUSIVE;
    requests
        .add(RTM_NEWADDR, flags, what, &header(index, address.prefix_len()), |message| {
            let local = address.addr().octets();
            message.bytes(IFA_LOCAL, &local).bytes(IFA_ADDRESS, &local);
            // Subnets of one or two addresses have no broadcast address (RFC 3021).
            if address.prefix_len() < 31 {
                message.bytes(IFA_BROADCAST, &address.broadcast().octets());
            }
        })
        .tolerating(Errno::EXIST);
}

fn parse(payload: &[u8]) -> Option<Address> {
    let [family, prefix_len, _, _, index @ ..] = *payload.first_chunk::<HEADER>()?;
    // On links from point to point IFA_ADDRESS is the other side's.
    let attributes = Attributes::after(payload, HEADER);
    let local =
        attributes.find(IFA_LOCAL).or_else(|| attributes.find(IFA_ADDRESS)).and_then(netlink::address)?;
    let address = Ipv4Net::new(local, prefix_len).ok()?;
    (family == AF_INET).then(|| Address { index: u32::from_ne_bytes(index), address })
}

/// `struct ifaddrmsg`, of global scope.
fn header(index: u32, prefix_len: u8) -> [u8; HEADER] {
    let [a, b, c, d] = index.to_ne_bytes();
    [AF_INET, prefix_len, 0, 0, a, b, c, d]
}
