//! Routes: the container's way out, and what the host routes already (rtnetlink(7), linux/rtnetlink.h).

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rustix::io::Errno;

use crate::error::Result;
use crate::netlink::{
    self, ACK, AF_INET, AF_INET6, Attributes, CREATE, DUMP, EXCLUSIVE, REPLACE, Requests, Socket,
};

const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RT_TABLE_MAIN: u8 = 254;
const RT_TABLE_LOCAL: u8 = 255;
const RTPROT_BOOT: u8 = 3;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
/// The bytes of `struct rtmsg`.
const HEADER: usize = 12;
/// Weaker than any route to ::1 that the kernel or people make.
const LOOPBACK_METRIC: u32 = 4096;

/// Lists the IPv4 destinations that the socket's namespace has routes to, in all tables but the kernel's own of local
/// addresses; default routes, which lead everywhere, are not among them.
///
/// # Errors
/// When the kernel refuses.
pub fn list(socket: &mut Socket) -> Result<Vec<Ipv4Net>> {
    list_of(socket, AF_INET, |destination| match destination {
        IpNet::V4(destination) => Some(destination),
        IpNet::V6(_) => None,
    })
}

/// Lists the IPv6 destinations like [`list`], without those of link-local addresses and of groups (multicast), which
/// each link has and no network can collide with.
///
/// # Errors
/// When the kernel refuses.
pub fn list_ipv6(socket: &mut Socket) -> Result<Vec<Ipv6Net>> {
    list_of(socket, AF_INET6, |destination| match destination {
        IpNet::V6(destination) => {
            let address = destination.addr();
            (!address.is_unicast_link_local() && !address.is_multicast()).then_some(destination)
        }
        IpNet::V4(_) => None,
    })
}

fn list_of<N>(socket: &mut Socket, family: u8, wanted: fn(IpNet) -> Option<N>) -> Result<Vec<N>> {
    socket.dump(
        |requests| {
            let mut header = [0; HEADER];
            header[0] = family;
            requests.add(RTM_GETROUTE, DUMP, ("list routes", ""), &header, |_| {});
        },
        |payload| parse(payload).and_then(wanted),
    )
}

/// Adds the default route by `gateway`, over a link that is up. An error if there is one.
pub(crate) fn add_default<'a>(requests: &mut Requests<'a>, index: u32, name: &'a str, gateway: IpAddr) {
    default_by(requests, EXCLUSIVE, index, name, gateway);
}

/// Makes `gateway` the default route, in place of the one that there may be.
pub(crate) fn replace_default<'a>(requests: &mut Requests<'a>, index: u32, name: &'a str, gateway: IpAddr) {
    default_by(requests, REPLACE, index, name, gateway);
}

fn default_by<'a>(requests: &mut Requests<'a>, how: u16, index: u32, name: &'a str, gateway: IpAddr) {
    let (family, metric) = match gateway {
        IpAddr::V4(_) => (AF_INET, 0),
        // What the kernel gives IPv6 routes without one; without EXCLUSIVE a second would be a way beside the first.
        IpAddr::V6(_) => (AF_INET6, 1024),
    };
    let header = [family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0, 0, 0, 0];
    let what = ("add the default route over the link", name);
    requests.add(RTM_NEWROUTE, ACK | CREATE | how, what, &header, |message| {
        match gateway {
            IpAddr::V4(gateway) => message.bytes(RTA_GATEWAY, &gateway.octets()),
            IpAddr::V6(gateway) => message.bytes(RTA_GATEWAY, &gateway.octets()),
        };
        message.number(RTA_OIF, index);
        if metric > 0 {
            message.number(RTA_PRIORITY, metric);
        }
    });
}

/// Lets ::1 be an address of this link too, so that an answer to it is taken in there. That it is one already is no
/// error.
pub(crate) fn add_local_loopback<'a>(requests: &mut Requests<'a>, index: u32, name: &'a str) {
    let header = [AF_INET6, 128, 0, 0, RT_TABLE_LOCAL, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_LOCAL, 0, 0, 0, 0];
    let what = ("add the local route of ::1 to the link", name);
    requests
        .add(RTM_NEWROUTE, ACK | CREATE | EXCLUSIVE, what, &header, |message| {
            message.bytes(RTA_DST, &Ipv6Addr::LOCALHOST.octets());
            message.number(RTA_OIF, index).number(RTA_PRIORITY, LOOPBACK_METRIC);
        })
        .tolerating(Errno::EXIST);
}

fn parse(payload: &[u8]) -> Option<IpNet> {
    let [_, prefix_len, _, _, table, ..] = *payload.first_chunk::<HEADER>()?;
    let destination = Attributes::after(payload, HEADER).find(RTA_DST).and_then(netlink::address)?;
    let wanted = table != RT_TABLE_LOCAL && prefix_len > 0;
    IpNet::new(destination, prefix_len).ok().filter(|_| wanted)
}
