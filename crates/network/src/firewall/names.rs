//! The table in a container's own namespace that leads to its name service: see
//! [`redirect_names`](crate::endpoint::redirect_names).

use std::net::Ipv4Addr;

use super::batch::{Batch, IPV4};
use super::chains::{self, Chain, Rule};
use super::expression::{DPORT, IP_DADDR, L4PROTO, dnat_to, is};
use super::{layout, unsupported};
use crate::error::Result;
use crate::netlink::{Message, Socket};

const ADDRESS: [u8; 4] = Ipv4Addr::new(127, 0, 0, 11).octets();
const PORT: [u8; 2] = 53_u16.to_be_bytes();
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;

/// Makes the table, or makes it anew, in the socket's namespace.
pub(crate) fn redirect_names(socket: &mut Socket, udp: u16, tcp: u16) -> Result<()> {
    let mut batch = Batch::begin(socket, None);
    layout::make_table(&mut batch, IPV4);
    chains::make(&mut batch, &CHAIN, None);
    for (text, protocol, port) in
        [("udp dport 53 dnat", IPPROTO_UDP, udp), ("tcp dport 53 dnat", IPPROTO_TCP, tcp)]
    {
        chains::add_rule(&mut batch, &CHAIN, text, |rule: &mut Message<'_>| {
            is(rule, IP_DADDR, &ADDRESS);
            is(rule, L4PROTO, &[protocol]);
            is(rule, DPORT, &PORT);
            dnat_to(rule, &ADDRESS, port);
        });
    }
    batch.commit(socket).map_err(unsupported)
}

const NO_RULES: &[Rule] = &[];
const CHAIN: Chain = Chain::output(IPV4, NO_RULES);
