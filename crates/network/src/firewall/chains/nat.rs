//! Whose address a packet has: published ports lead to containers, and what containers send leaves with the host's.
//!
//! Sources are kept wherever an answer finds its way back to us without help. It does not in four cases, and there
//! alone the source becomes the bridge's own address (or the host's):
//! - to the world beyond this host, which knows no route to containers;
//! - from this host's loopback addresses, which a container would answer to itself;
//! - between containers of one network by a published port: the answer would go straight to the other, who never
//!   asked that address (where br_netfilter is on, the kernel sees to it);
//! - from a container to itself by a published port (`self`).

use super::super::batch::{IPV4, IPV6};
use super::super::expression::{
    DPORT, IIFNAME, IP_DADDR, IP_DADDR_8, IP_SADDR, IP_SADDR_8, IP6_DADDR, IP6_SADDR, L4PROTO, NFPROTO,
    OIFNAME, accept, dnat, is, is_in, is_not, is_not_in, is_to_this_host, is_translated, masquerade,
};
use super::super::sets;
use super::Rule;

const LOOPBACK: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// What this host's own programs send. A key that a map does not have ends its rule, and the next is tried.
pub(super) const OUTPUT: &[Rule] = &[PORTS, PORTS_ANY, PORTS6, PORTS6_ANY];

/// What comes from elsewhere. Nobody but this host's own programs speaks to its loopback addresses, and they pass
/// `output`. A packet of another machine's to 127.0.0.1 would go on as one to the container, before the kernel could drop it
/// as what it is. (One to ::1 it drops before any chain.)
pub(super) const PREROUTING: &[Rule] = &[
    Rule("ip daddr 127.0.0.0/8 accept", |rule| {
        is(rule, NFPROTO, &[IPV4]);
        is(rule, IP_DADDR_8, &[127]);
        accept(rule);
    }),
    PORTS,
    PORTS_ANY,
    PORTS6,
    PORTS6_ANY,
];

const PORTS: Rule = Rule("dnat ip to ip daddr . meta l4proto . th dport map @ports", |rule| {
    is(rule, NFPROTO, &[IPV4]);
    dnat(rule, IPV4, &[IP_DADDR, L4PROTO, DPORT], sets::PORTS);
});
const PORTS_ANY: Rule =
    Rule("fib daddr type local dnat ip to meta l4proto . th dport map @ports_any", |rule| {
        is(rule, NFPROTO, &[IPV4]);
        is_to_this_host(rule);
        dnat(rule, IPV4, &[L4PROTO, DPORT], sets::PORTS_ANY);
    });
const PORTS6: Rule = Rule("dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6", |rule| {
    is(rule, NFPROTO, &[IPV6]);
    dnat(rule, IPV6, &[IP6_DADDR, L4PROTO, DPORT], sets::PORTS6);
});
/// Whether ::1 can be translated depends on the machine: where it can, it is an element of `ports6`.
const PORTS6_ANY: Rule = Rule(
    "ip6 daddr != ::1 fib daddr type local dnat ip6 to meta l4proto . th dport map @ports6_any",
    |rule| {
        is(rule, NFPROTO, &[IPV6]);
        is_not(rule, IP6_DADDR, LOOPBACK);
        is_to_this_host(rule);
        dnat(rule, IPV6, &[L4PROTO, DPORT], sets::PORTS6_ANY);
    },
);

pub(super) const POSTROUTING: &[Rule] = &[
    Rule("iifname @masqueraded oifname != @bridges masquerade", |rule| {
        is_in(rule, &[IIFNAME], sets::MASQUERADED);
        is_not_in(rule, &[OIFNAME], sets::BRIDGES);
        masquerade(rule);
    }),
    Rule("oifname @bridges ip saddr 127.0.0.0/8 masquerade", |rule| {
        is_in(rule, &[OIFNAME], sets::BRIDGES);
        is(rule, NFPROTO, &[IPV4]);
        is(rule, IP_SADDR_8, &[127]);
        masquerade(rule);
    }),
    Rule("oifname @bridges ip6 saddr ::1 masquerade", |rule| {
        is_in(rule, &[OIFNAME], sets::BRIDGES);
        is(rule, NFPROTO, &[IPV6]);
        is(rule, IP6_SADDR, LOOPBACK);
        masquerade(rule);
    }),
    Rule("iifname . oifname @loops ct status dnat masquerade", |rule| {
        is_in(rule, &[IIFNAME, OIFNAME], sets::LOOPS);
        is_translated(rule);
        masquerade(rule);
    }),
    Rule("oifname @bridges ip saddr . ip daddr @self masquerade", |rule| {
        is_in(rule, &[OIFNAME], sets::BRIDGES);
        is(rule, NFPROTO, &[IPV4]);
        is_in(rule, &[IP_SADDR, IP_DADDR], sets::SELF);
        masquerade(rule);
    }),
    Rule("oifname @bridges ip6 saddr . ip6 daddr @self6 masquerade", |rule| {
        is_in(rule, &[OIFNAME], sets::BRIDGES);
        is(rule, NFPROTO, &[IPV6]);
        is_in(rule, &[IP6_SADDR, IP6_DADDR], sets::SELF6);
        masquerade(rule);
    }),
];
