//! What the kernel remembers of flows, and making it forget (linux/netfilter/nfnetlink_conntrack.h).
//!
//! A flow is translated as it was when its first packet came. A TCP connection ends with its program; but datagrams of
//! one client to one port are one flow for as long as they keep coming, and go on to where that port led before it was
//! published, or to the address of a container that is gone. So whoever publishes or withdraws a UDP or SCTP port has
//! its flows forgotten.

use std::net::IpAddr;

use rustix::io::Errno;

use crate::address as addresses;
use crate::error::Result;
use crate::firewall::{Protocol, PublishedPort};
use crate::netlink::{ACK, AF_INET, AF_INET6, Attributes, DUMP, Socket, address};

const NFNL_SUBSYS_CTNETLINK: u16 = 1;
const IPCTNL_MSG_CT_GET: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_ID: u16 = 12;
/// The bytes of `struct nfgenmsg`.
const HEADER: usize = 4;
/// How many flows are deleted with one send: their answers must fit into the socket's queue.
const AT_ONCE: usize = 64;

/// A flow, as far as it matters here.
struct Flow {
    family: u8,
    protocol: u8,
    /// Where it was sent to, and where it is answered from: what it was sent to, translated.
    to: (IpAddr, u16),
    from: IpAddr,
    /// What names it when it is deleted: its original tuple, and the kernel's number for it.
    tuple: Vec<u8>,
    id: Vec<u8>,
}

/// Has the kernel forget the flows of UDP and SCTP that were sent to one of these ports of the host, or lead to one of
/// the containers' addresses that they stand for; gives how many. TCP ports are passed over. Costs nothing where there
/// are none but those.
///
/// # Errors
/// What the kernel refused. One without connection tracking has nothing to forget.
pub fn forget(ports: &[PublishedPort]) -> Result<usize> {
    let ports: Vec<_> = ports.iter().filter(|port| port.protocol != Protocol::Tcp).collect();
    if ports.is_empty() {
        return Ok(0);
    }
    let own: Vec<IpAddr> =
        addresses::list(&mut Socket::open()?)?.iter().map(|found| found.address.addr()).collect();
    let concerned = |flow: &Flow| {
        ports.iter().any(|port| {
            let (to, to_port) = flow.to;
            let this_host = to == port.address
                || (port.address.is_unspecified()
                    && to.is_ipv4() == port.address.is_ipv4()
                    && (to.is_loopback() || own.contains(&to)));
            let here = to_port == port.port && this_host;
            flow.protocol == port.protocol.number() && (here || flow.from == port.to.ip())
        })
    };
    let mut socket = Socket::open_netfilter()?;
    let mut flows = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let found = socket.dump(
            |requests| {
                let what = ("list the flows that the kernel tracks", "");
                requests.add(message(IPCTNL_MSG_CT_GET), DUMP, what, &[family, 0, 0, 0], |_| {});
            },
            |payload| parse(payload).filter(&concerned),
        );
        match found {
            Ok(found) => flows.extend(found),
            // No such subsystem: nothing is tracked.
            Err(error) if matches!(error.errno(), Some(Errno::INVAL | Errno::OPNOTSUPP)) => return Ok(0),
            Err(error) => return Err(error),
        }
    }
    for some in flows.chunks(AT_ONCE) {
        let mut requests = socket.requests();
        for flow in some {
            let what = ("forget a flow that the kernel tracks", "");
            requests
                .add(message(IPCTNL_MSG_CT_DELETE), ACK, what, &[flow.family, 0, 0, 0], |message| {
                    message.nest_as_is(CTA_TUPLE_ORIG, &flow.tuple).bytes(CTA_ID, &flow.id);
                })
                // It has ended by itself.
                .tolerating(Errno::NOENT);
        }
        socket.run(&requests)?;
    }
    Ok(flows.len())
}

fn message(number: u16) -> u16 {
    (NFNL_SUBSYS_CTNETLINK << 8) | number
}

fn parse(payload: &[u8]) -> Option<Flow> {
    let family = *payload.first()?;
    let (source, destination) = match family {
        AF_INET => (CTA_IP_V4_SRC, CTA_IP_V4_DST),
        AF_INET6 => (CTA_IP_V6_SRC, CTA_IP_V6_DST),
        _ => return None,
    };
    let attributes = Attributes::after(payload, HEADER);
    let tuple = attributes.find(CTA_TUPLE_ORIG)?;
    let reply = attributes.find(CTA_TUPLE_REPLY)?;
    let ip =
        |tuple, kind| Attributes::of(Attributes::of(tuple).find(CTA_TUPLE_IP)?).find(kind).and_then(address);
    let protocol = Attributes::of(Attributes::of(tuple).find(CTA_TUPLE_PROTO)?);
    let port = *protocol.find(CTA_PROTO_DST_PORT)?.first_chunk()?;
    Some(Flow {
        family,
        protocol: *protocol.find(CTA_PROTO_NUM)?.first()?,
        to: (ip(tuple, destination)?, u16::from_be_bytes(port)),
        from: ip(reply, source)?,
        tuple: tuple.to_vec(),
        id: attributes.find(CTA_ID)?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_answer_is_read(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&payload);
        }
    }
}
