//! The expressions that our rules are made of: each loads into, compares or looks up registers, and a rule goes on to
//! the next only while they hold (linux/netfilter/nf_tables.h; `nft --debug=netlink` shows the same form).

use crate::netlink::Message;

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;
const NFTA_META_DREG: u16 = 1;
const NFTA_META_KEY: u16 = 2;
const NFTA_PAYLOAD_DREG: u16 = 1;
const NFTA_PAYLOAD_BASE: u16 = 2;
const NFTA_PAYLOAD_OFFSET: u16 = 3;
const NFTA_PAYLOAD_LEN: u16 = 4;
const NFTA_CMP_SREG: u16 = 1;
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;
const NFTA_BITWISE_SREG: u16 = 1;
const NFTA_BITWISE_DREG: u16 = 2;
const NFTA_BITWISE_LEN: u16 = 3;
const NFTA_BITWISE_MASK: u16 = 4;
const NFTA_BITWISE_XOR: u16 = 5;
const NFTA_LOOKUP_SET: u16 = 1;
const NFTA_LOOKUP_SREG: u16 = 2;
const NFTA_LOOKUP_DREG: u16 = 3;
const NFTA_LOOKUP_FLAGS: u16 = 5;
const NFTA_IMMEDIATE_DREG: u16 = 1;
const NFTA_IMMEDIATE_DATA: u16 = 2;
const NFTA_CT_DREG: u16 = 1;
const NFTA_CT_KEY: u16 = 2;
const NFTA_FIB_DREG: u16 = 1;
const NFTA_FIB_RESULT: u16 = 2;
const NFTA_FIB_FLAGS: u16 = 3;
const NFTA_NAT_TYPE: u16 = 1;
const NFTA_NAT_FAMILY: u16 = 2;
const NFTA_NAT_REG_ADDR_MIN: u16 = 3;
const NFTA_NAT_REG_PROTO_MIN: u16 = 5;

const NFT_REG_VERDICT: u32 = 0;
const NFT_CMP_EQ: u32 = 0;
const NFT_CMP_NEQ: u32 = 1;
const NFT_LOOKUP_F_INV: u32 = 1;
const NF_DROP: i32 = 0;
const NF_ACCEPT: i32 = 1;
const NFT_JUMP: i32 = -3;
const NFT_CT_STATE: u32 = 0;
const NFT_CT_STATUS: u32 = 2;
const NFT_FIB_RESULT_ADDRTYPE: u32 = 3;
const NFTA_FIB_F_DADDR: u32 = 2;
const RTN_LOCAL: u32 = 2;
const NFT_NAT_DNAT: u32 = 1;

/// Something of a packet that is loaded into a register.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    /// `meta`: a number of what the kernel knows, and its length in bytes.
    Meta(u32, u32),
    /// Bytes of the packet: the header (0 link, 1 network, 2 transport), offset, length.
    Payload(u32, u32, u32),
}

/// `iifname`: the link that a packet came in on.
pub(super) const IIFNAME: Field = Field::Meta(6, 16);
/// `oifname`: the link that it leaves by.
pub(super) const OIFNAME: Field = Field::Meta(7, 16);
/// `meta protocol`: the EtherType.
pub(super) const PROTOCOL: Field = Field::Meta(1, 2);
/// `meta nfproto`: the family.
pub(super) const NFPROTO: Field = Field::Meta(15, 1);
/// `meta l4proto`: the protocol above IP, behind all extension headers.
pub(super) const L4PROTO: Field = Field::Meta(16, 1);
pub(super) const ETHER_SADDR: Field = Field::Payload(0, 6, 6);
pub(super) const ARP_SADDR_ETHER: Field = Field::Payload(1, 8, 6);
pub(super) const ARP_SADDR_IP: Field = Field::Payload(1, 14, 4);
pub(super) const IP_SADDR: Field = Field::Payload(1, 12, 4);
pub(super) const IP_DADDR: Field = Field::Payload(1, 16, 4);
/// The first byte of an IPv4 address, for prefixes of eight bits.
pub(super) const IP_SADDR_8: Field = Field::Payload(1, 12, 1);
pub(super) const IP_DADDR_8: Field = Field::Payload(1, 16, 1);
pub(super) const IP6_SADDR: Field = Field::Payload(1, 8, 16);
pub(super) const IP6_DADDR: Field = Field::Payload(1, 24, 16);
pub(super) const DPORT: Field = Field::Payload(2, 2, 2);
pub(super) const ICMPV6_TYPE: Field = Field::Payload(2, 0, 1);
/// The address that a neighbour solicitation or advertisement is about (RFC 4861).
pub(super) const ICMPV6_TARGET: Field = Field::Payload(2, 8, 16);

impl Field {
    /// Its place in a concatenation: whole registers of four bytes.
    fn padded(self) -> u32 {
        let (Self::Meta(_, length) | Self::Payload(_, _, length)) = self;
        length.next_multiple_of(4)
    }

    fn load(self, rule: &mut Message<'_>, offset: u32) {
        match self {
            Self::Meta(key, _) => expression(rule, "meta", |data| {
                data.number_be(NFTA_META_KEY, key).number_be(NFTA_META_DREG, register(offset));
            }),
            Self::Payload(base, start, length) => expression(rule, "payload", |data| {
                data.number_be(NFTA_PAYLOAD_DREG, register(offset)).number_be(NFTA_PAYLOAD_BASE, base);
                data.number_be(NFTA_PAYLOAD_OFFSET, start).number_be(NFTA_PAYLOAD_LEN, length);
            }),
        }
    }
}

/// The register at that many bytes from the first: those of 16 bytes are 1 to 4, those of 4 bytes 8 and on.
fn register(offset: u32) -> u32 {
    if offset.is_multiple_of(16) { 1 + offset / 16 } else { 8 + offset / 4 }
}

/// `field . field … @set`.
pub(super) fn is_in(rule: &mut Message<'_>, key: &[Field], set: &str) {
    load_all(rule, key);
    look_up(rule, set, 0, None);
}

/// `field . field … != @set`.
pub(super) fn is_not_in(rule: &mut Message<'_>, key: &[Field], set: &str) {
    load_all(rule, key);
    look_up(rule, set, NFT_LOOKUP_F_INV, None);
}

/// `dnat ip to field . field … map @map`, in a family: the packet goes on to what the map says, if it says anything.
pub(super) fn dnat(rule: &mut Message<'_>, family: u8, key: &[Field], map: &str) {
    load_all(rule, key);
    look_up(rule, map, 0, Some(register(0)));
    let address = if family == super::batch::IPV4 { 4 } else { 16 };
    translate(rule, family, address);
}

/// `dnat to address:port`, both IPv4.
pub(super) fn dnat_to(rule: &mut Message<'_>, address: &[u8; 4], port: u16) {
    for (offset, value) in [(0, address.as_slice()), (16, &port.to_be_bytes())] {
        expression(rule, "immediate", |data| {
            data.number_be(NFTA_IMMEDIATE_DREG, register(offset)).nest(NFTA_IMMEDIATE_DATA, |data| {
                data.bytes(NFTA_DATA_VALUE, value);
            });
        });
    }
    translate(rule, super::batch::IPV4, 16);
}

/// `dnat` to the address in the first register and the port in the one at `port` bytes from it.
fn translate(rule: &mut Message<'_>, family: u8, port: u32) {
    expression(rule, "nat", |data| {
        data.number_be(NFTA_NAT_TYPE, NFT_NAT_DNAT).number_be(NFTA_NAT_FAMILY, family.into());
        data.number_be(NFTA_NAT_REG_ADDR_MIN, register(0)).number_be(NFTA_NAT_REG_PROTO_MIN, register(port));
    });
}

/// `field value`; of a value that is shorter than the field, only the start is compared (`iifname "bhp*"`).
pub(super) fn is(rule: &mut Message<'_>, field: Field, value: &[u8]) {
    field.load(rule, 0);
    compare(rule, NFT_CMP_EQ, value);
}

/// `field != value`, in the same way.
pub(super) fn is_not(rule: &mut Message<'_>, field: Field, value: &[u8]) {
    field.load(rule, 0);
    compare(rule, NFT_CMP_NEQ, value);
}

/// `ct state established,related`: an answer to what was let through before, or an error about it.
pub(super) fn is_known(rule: &mut Message<'_>) {
    has_one_of(rule, NFT_CT_STATE, 0x2 | 0x4);
}

/// `ct status dnat`: it came by a published port.
pub(super) fn is_translated(rule: &mut Message<'_>) {
    has_one_of(rule, NFT_CT_STATUS, 0x20);
}

/// `fib daddr type local`: to an address of this host's.
pub(super) fn is_to_this_host(rule: &mut Message<'_>) {
    expression(rule, "fib", |data| {
        data.number_be(NFTA_FIB_DREG, register(0)).number_be(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
        data.number_be(NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
    });
    compare(rule, NFT_CMP_EQ, &RTN_LOCAL.to_ne_bytes());
}

/// `accept`.
pub(super) fn accept(rule: &mut Message<'_>) {
    verdict(rule, NF_ACCEPT, None);
}

/// `drop`.
pub(super) fn drop(rule: &mut Message<'_>) {
    verdict(rule, NF_DROP, None);
}

/// `jump chain`.
pub(super) fn jump(rule: &mut Message<'_>, chain: &str) {
    verdict(rule, NFT_JUMP, Some(chain));
}

/// `masquerade`.
pub(super) fn masquerade(rule: &mut Message<'_>) {
    expression(rule, "masq", |_| {});
}

fn load_all(rule: &mut Message<'_>, key: &[Field]) {
    let mut offset = 0;
    for field in key {
        field.load(rule, offset);
        offset += field.padded();
    }
}

fn look_up(rule: &mut Message<'_>, set: &str, flags: u32, result: Option<u32>) {
    expression(rule, "lookup", |data| {
        data.text(NFTA_LOOKUP_SET, set).number_be(NFTA_LOOKUP_SREG, register(0));
        if let Some(result) = result {
            data.number_be(NFTA_LOOKUP_DREG, result);
        }
        data.number_be(NFTA_LOOKUP_FLAGS, flags);
    });
}

fn compare(rule: &mut Message<'_>, operation: u32, value: &[u8]) {
    expression(rule, "cmp", |data| {
        data.number_be(NFTA_CMP_SREG, register(0)).number_be(NFTA_CMP_OP, operation);
        data.nest(NFTA_CMP_DATA, |data| {
            data.bytes(NFTA_DATA_VALUE, value);
        });
    });
}

fn has_one_of(rule: &mut Message<'_>, key: u32, bits: u32) {
    expression(rule, "ct", |data| {
        data.number_be(NFTA_CT_KEY, key).number_be(NFTA_CT_DREG, register(0));
    });
    expression(rule, "bitwise", |data| {
        data.number_be(NFTA_BITWISE_SREG, register(0)).number_be(NFTA_BITWISE_DREG, register(0));
        data.number_be(NFTA_BITWISE_LEN, 4);
        for (attribute, value) in [(NFTA_BITWISE_MASK, bits), (NFTA_BITWISE_XOR, 0)] {
            data.nest(attribute, |data| {
                data.bytes(NFTA_DATA_VALUE, &value.to_ne_bytes());
            });
        }
    });
    compare(rule, NFT_CMP_NEQ, &[0; 4]);
}

fn verdict(rule: &mut Message<'_>, code: i32, chain: Option<&str>) {
    expression(rule, "immediate", |data| {
        data.number_be(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT).nest(NFTA_IMMEDIATE_DATA, |value| {
            value.nest(NFTA_DATA_VERDICT, |verdict| {
                verdict.bytes(NFTA_VERDICT_CODE, &code.to_be_bytes());
                if let Some(chain) = chain {
                    verdict.text(NFTA_VERDICT_CHAIN, chain);
                }
            });
        });
    });
}

fn expression(rule: &mut Message<'_>, name: &str, data: impl FnOnce(&mut Message<'_>)) {
    rule.nest(NFTA_LIST_ELEM, |element| {
        element.text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data);
    });
}
