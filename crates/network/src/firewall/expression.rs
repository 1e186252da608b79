//! The expressions that our rules are made of: each loads into, compares or looks up one register, and a rule goes on
//! to the next only while they hold (linux/netfilter/nf_tables.h; `nft --debug=netlink` shows the same form).

use crate::netlink::Message;

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_META_DREG: u16 = 1;
const NFTA_META_KEY: u16 = 2;
const NFTA_CMP_SREG: u16 = 1;
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;
const NFTA_LOOKUP_SET: u16 = 1;
const NFTA_LOOKUP_SREG: u16 = 2;
const NFTA_LOOKUP_FLAGS: u16 = 5;
const NFTA_IMMEDIATE_DREG: u16 = 1;
const NFTA_IMMEDIATE_DATA: u16 = 2;

const NFT_REG_VERDICT: u32 = 0;
const NFT_REG_1: u32 = 1;
const NFT_CMP_EQ: u32 = 0;
const NFT_LOOKUP_F_INV: u32 = 1;
const NF_ACCEPT: u32 = 1;
const NFPROTO_IPV4: u8 = 2;
const NFT_META_NFPROTO: u32 = 15;

/// The link that a packet came in on, or leaves by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    /// `iifname`
    Incoming = 6,
    /// `oifname`
    Outgoing = 7,
}

/// `iifname @set`, `oifname @set`.
pub(super) fn link_in(rule: &mut Message<'_>, direction: Direction, set: &str) {
    load_meta(rule, direction as u32);
    look_up(rule, set, 0);
}

/// `iifname != @set`, `oifname != @set`.
pub(super) fn link_not_in(rule: &mut Message<'_>, direction: Direction, set: &str) {
    load_meta(rule, direction as u32);
    look_up(rule, set, NFT_LOOKUP_F_INV);
}

/// `meta nfproto ipv4`.
pub(super) fn is_ipv4(rule: &mut Message<'_>) {
    load_meta(rule, NFT_META_NFPROTO);
    expression(rule, "cmp", |data| {
        data.number_be(NFTA_CMP_SREG, NFT_REG_1).number_be(NFTA_CMP_OP, NFT_CMP_EQ);
        data.nest(NFTA_CMP_DATA, |value| {
            value.bytes(NFTA_DATA_VALUE, &[NFPROTO_IPV4]);
        });
    });
}

/// `accept`.
pub(super) fn accept(rule: &mut Message<'_>) {
    expression(rule, "immediate", |data| {
        data.number_be(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT).nest(NFTA_IMMEDIATE_DATA, |value| {
            value.nest(NFTA_DATA_VERDICT, |verdict| {
                verdict.number_be(NFTA_VERDICT_CODE, NF_ACCEPT);
            });
        });
    });
}

/// `masquerade`.
pub(super) fn masquerade(rule: &mut Message<'_>) {
    expression(rule, "masq", |_| {});
}

fn load_meta(rule: &mut Message<'_>, key: u32) {
    expression(rule, "meta", |data| {
        data.number_be(NFTA_META_KEY, key).number_be(NFTA_META_DREG, NFT_REG_1);
    });
}

fn look_up(rule: &mut Message<'_>, set: &str, flags: u32) {
    expression(rule, "lookup", |data| {
        data.text(NFTA_LOOKUP_SET, set).number_be(NFTA_LOOKUP_SREG, NFT_REG_1);
        data.number_be(NFTA_LOOKUP_FLAGS, flags);
    });
}

fn expression(rule: &mut Message<'_>, name: &str, data: impl FnOnce(&mut Message<'_>)) {
    rule.nest(NFTA_LIST_ELEM, |element| {
        element.text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data);
    });
}
