//! Against false senders: from a port of ours comes only what its container may send with, by address and MAC. This is
//! a chain of the family `bridge`, since packets between two containers of one bridge pass no other.
//!
//! What is ours is known by the port's name ([`host_link_name`](crate::endpoint::host_link_name) gives it), not by a
//! set: so a port whose container has not been admitted yet sends nothing at all, rather than anything. Kernels can be
//! built without telling rules the bridge of a port (NFT_BRIDGE_META), and ports of others' bridges must not be
//! touched.

use super::super::expression::{
    ARP_SADDR_ETHER, ARP_SADDR_IP, ETHER_SADDR, Field, ICMPV6_TARGET, ICMPV6_TYPE, IIFNAME, IP_SADDR,
    IP6_SADDR, L4PROTO, PROTOCOL, accept, drop, is, is_in, is_not,
};
use super::super::sets;
use super::Rule;
use crate::endpoint::HOST_LINK_PREFIX;
use crate::netlink::Message;

const IP: &[u8] = &[0x08, 0x00];
const ARP: &[u8] = &[0x08, 0x06];
const IP6: &[u8] = &[0x86, 0xdd];
const ICMPV6: u8 = 58;
/// Messages of ICMPv6 (RFC 4861, RFC 3810).
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;
const MLD2_REPORT: u8 = 143;

pub(super) const PREROUTING: &[Rule] = &[
    Rule("iifname != \"bhp*\" accept", |rule| {
        is_not(rule, IIFNAME, HOST_LINK_PREFIX.as_bytes());
        accept(rule);
    }),
    Rule("iifname . ether saddr . ip saddr @senders accept", |rule| {
        is(rule, PROTOCOL, IP);
        is_in(rule, &[IIFNAME, ETHER_SADDR, IP_SADDR], sets::SENDERS);
        accept(rule);
    }),
    // Both the frame's sender and the one that it speaks of.
    Rule("iifname . ether saddr . arp saddr ip @senders accept", |rule| {
        is(rule, PROTOCOL, ARP);
        is_in(rule, &[IIFNAME, ETHER_SADDR, ARP_SADDR_IP], sets::SENDERS);
        is_in(rule, &[IIFNAME, ARP_SADDR_ETHER, ARP_SADDR_IP], sets::SENDERS);
        accept(rule);
    }),
    Rule("meta protocol != ip6 drop", |rule| {
        is_not(rule, PROTOCOL, IP6);
        drop(rule);
    }),
    // No container is its network's router.
    Rule("icmpv6 type nd-router-advert drop", |rule| {
        icmpv6(rule, ROUTER_ADVERTISEMENT);
        drop(rule);
    }),
    Rule("icmpv6 type nd-redirect drop", |rule| {
        icmpv6(rule, REDIRECT);
        drop(rule);
    }),
    // What an advertisement is about must be the sender's own, and the sender too.
    Rule("icmpv6 type nd-neighbor-advert, target and sender @senders6 accept", |rule| {
        icmpv6(rule, NEIGHBOUR_ADVERTISEMENT);
        from(rule, ICMPV6_TARGET);
        from(rule, IP6_SADDR);
        accept(rule);
    }),
    Rule("icmpv6 type nd-neighbor-advert drop", |rule| {
        icmpv6(rule, NEIGHBOUR_ADVERTISEMENT);
        drop(rule);
    }),
    Rule("iifname . ether saddr . ip6 saddr @senders6 accept", |rule| {
        is(rule, PROTOCOL, IP6);
        from(rule, IP6_SADDR);
        accept(rule);
    }),
    // Without an address yet: the question whether somebody else has one's own, and the groups that one hears.
    Rule("ip6 saddr :: icmpv6 type nd-neighbor-solicit, target @senders6 accept", |rule| {
        icmpv6(rule, NEIGHBOUR_SOLICITATION);
        is(rule, IP6_SADDR, &[0; 16]);
        from(rule, ICMPV6_TARGET);
        accept(rule);
    }),
    Rule("ip6 saddr :: icmpv6 type mld2-listener-report accept", |rule| {
        icmpv6(rule, MLD2_REPORT);
        is(rule, IP6_SADDR, &[0; 16]);
        accept(rule);
    }),
    Rule("drop", drop),
];

fn icmpv6(rule: &mut Message<'_>, message: u8) {
    is(rule, PROTOCOL, IP6);
    is(rule, L4PROTO, &[ICMPV6]);
    is(rule, ICMPV6_TYPE, &[message]);
}

/// `iifname . ether saddr . address @senders6`.
fn from(rule: &mut Message<'_>, address: Field) {
    is_in(rule, &[IIFNAME, ETHER_SADDR, address], sets::SENDERS6);
}
