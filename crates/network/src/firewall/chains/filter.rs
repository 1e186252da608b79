//! Who reaches whom: between networks, from other hosts, and what of this host containers reach.
//!
//! A packet within one bridge is only seen here where br_netfilter is on (net.bridge.bridge-nf-call-iptables): then
//! it comes in and leaves by the bridge itself, which `pairs` has for networks whose containers may talk. A network
//! without that is kept apart by its ports, which are isolated, whatever that setting says.

use super::super::batch::{IPV4, IPV6};
use super::super::expression::{
    ICMPV6_TYPE, IIFNAME, IP_DADDR, IP_DADDR_8, IP6_DADDR, L4PROTO, NFPROTO, OIFNAME, accept, drop, is,
    is_in, is_known, is_translated, jump,
};
use super::super::sets;
use super::{Rule, USER};
use crate::endpoint::HOST_LINK_PREFIX;

const ICMPV6: u8 = 58;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const LOOPBACK: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

pub(super) const FORWARD: &[Rule] = &[
    Rule("jump bulkhead-user", |rule| jump(rule, USER)),
    // Nearly every packet ends here.
    Rule("ct state established,related accept", |rule| {
        is_known(rule);
        accept(rule);
    }),
    Rule("iifname . oifname @pairs accept", |rule| {
        is_in(rule, &[IIFNAME, OIFNAME], sets::PAIRS);
        accept(rule);
    }),
    Rule("iifname @internal drop", |rule| {
        is_in(rule, &[IIFNAME], sets::INTERNAL);
        drop(rule);
    }),
    Rule("oifname @internal drop", |rule| {
        is_in(rule, &[OIFNAME], sets::INTERNAL);
        drop(rule);
    }),
    Rule("oifname @bridges ct status dnat accept", |rule| {
        is_in(rule, &[OIFNAME], sets::BRIDGES);
        is_translated(rule);
        accept(rule);
    }),
    // What is not published is reached by no other network and no other host, not even by one with a route.
    Rule("oifname @bridges drop", |rule| {
        is_in(rule, &[OIFNAME], sets::BRIDGES);
        drop(rule);
    }),
];

pub(super) const INPUT: &[Rule] = &[
    Rule("ct state established,related accept", |rule| {
        is_known(rule);
        accept(rule);
    }),
    Rule("iifname @bridges icmpv6 type nd-neighbor-solicit accept", |rule| {
        neighbours(rule, NEIGHBOUR_SOLICITATION)
    }),
    Rule("iifname @bridges icmpv6 type nd-neighbor-advert accept", |rule| {
        neighbours(rule, NEIGHBOUR_ADVERTISEMENT)
    }),
    Rule("iifname . ip daddr @own_gateways accept", |rule| {
        is(rule, NFPROTO, &[IPV4]);
        is_in(rule, &[IIFNAME, IP_DADDR], sets::OWN_GATEWAYS);
        accept(rule);
    }),
    Rule("iifname . ip6 daddr @own_gateways6 accept", |rule| {
        is(rule, NFPROTO, &[IPV6]);
        is_in(rule, &[IIFNAME, IP6_DADDR], sets::OWN_GATEWAYS6);
        accept(rule);
    }),
    // What listens at another network's gateway is that network's.
    Rule("iifname @bridges ip daddr @gateways drop", |rule| {
        is_in(rule, &[IIFNAME], sets::BRIDGES);
        is(rule, NFPROTO, &[IPV4]);
        is_in(rule, &[IP_DADDR], sets::GATEWAYS);
        drop(rule);
    }),
    Rule("iifname @bridges ip6 daddr @gateways6 drop", |rule| {
        is_in(rule, &[IIFNAME], sets::BRIDGES);
        is(rule, NFPROTO, &[IPV6]);
        is_in(rule, &[IP6_DADDR], sets::GATEWAYS6);
        drop(rule);
    }),
    Rule("iifname @internal drop", |rule| {
        is_in(rule, &[IIFNAME], sets::INTERNAL);
        drop(rule);
    }),
];

/// Bridges whose networks publish ports take in packets for loopback addresses (route_localnet, a local route of
/// ::1), so that answers to this host's own programs come back. Nobody may send such from a container.
pub(super) const PREROUTING: &[Rule] = &[
    // What a container sends is the bridge's, by which it comes in and is judged here. Frames to 01:80:c2:00:00:0e and
    // the like (IEEE 802.1D) are given to the host as the port's own instead, and pass by the family `bridge`.
    Rule("iifname \"bhp*\" drop", |rule| {
        is(rule, IIFNAME, HOST_LINK_PREFIX.as_bytes());
        drop(rule);
    }),
    Rule("iifname @bridges ip daddr 127.0.0.0/8 drop", |rule| {
        is_in(rule, &[IIFNAME], sets::BRIDGES);
        is(rule, NFPROTO, &[IPV4]);
        is(rule, IP_DADDR_8, &[127]);
        drop(rule);
    }),
    Rule("iifname @bridges ip6 daddr ::1 drop", |rule| {
        is_in(rule, &[IIFNAME], sets::BRIDGES);
        is(rule, NFPROTO, &[IPV6]);
        is(rule, IP6_DADDR, LOOPBACK);
        drop(rule);
    }),
];

fn neighbours(rule: &mut crate::netlink::Message<'_>, message: u8) {
    is_in(rule, &[IIFNAME], sets::BRIDGES);
    is(rule, NFPROTO, &[IPV6]);
    is(rule, L4PROTO, &[ICMPV6]);
    is(rule, ICMPV6_TYPE, &[message]);
    accept(rule);
}
