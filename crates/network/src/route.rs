//! IPv4 routes: the container's way out, and what the host routes already (rtnetlink(7), linux/rtnetlink.h).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::error::Result;
use crate::netlink::{self, ACK, Attributes, CREATE, DUMP, EXCLUSIVE, Requests, Socket};

const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const AF_INET: u8 = 2;
const RT_TABLE_MAIN: u8 = 254;
const RT_TABLE_LOCAL: u8 = 255;
const RTPROT_BOOT: u8 = 3;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RTN_UNICAST: u8 = 1;
/// The bytes of `struct rtmsg`.
const HEADER: usize = 12;

/// Lists the destinations that the socket's namespace has routes to, in all tables but the kernel's own of local
/// addresses; default routes, which lead everywhere, are not among them.
///
/// # Errors
/// When the kernel refuses.
pub fn list(socket: &mut Socket) -> Result<Vec<Ipv4Net>> {
    socket.dump(
        |requests| {
            let mut header = [0; HEADER];
            header[0] = AF_INET;
            requests.add(RTM_GETROUTE, DUMP, ("list routes", ""), &header, |_| {});
        },
        parse,
    )
}

/// Adds the default route by `gateway`, over a link that is up.
pub(crate) fn add_default<'a>(requests: &mut Requests<'a>, index: u32, name: &'a str, gateway: Ipv4Addr) {
    let header = [AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0, 0, 0, 0];
    let what = ("add the default route over the link", name);
    requests.add(RTM_NEWROUTE, ACK | CREATE | EXCLUSIVE, what, &header, |message| {
        message.bytes(RTA_GATEWAY, &gateway.octets()).number(RTA_OIF, index);
    });
}

fn parse(payload: &[u8]) -> Option<Ipv4Net> {
    let [family, prefix_len, _, _, table, ..] = *payload.first_chunk::<HEADER>()?;
    let destination = Attributes::after(payload, HEADER).find(RTA_DST).and_then(netlink::address)?;
    let wanted = family == AF_INET && table != RT_TABLE_LOCAL && prefix_len > 0;
    Ipv4Net::new(destination, prefix_len).ok().filter(|_| wanted)
}
