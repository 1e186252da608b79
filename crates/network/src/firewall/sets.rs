//! Our sets and maps, and how an element of one is written. All are hashes of whole keys: a change costs the same
//! however many there are, and so does a look-up. (Sets of intervals are copied whole at each change.)

use std::net::IpAddr;

use super::batch::{BRIDGE, Batch, INET};
use super::layout::{TABLE, comment};
use crate::link::Mac;
use crate::netlink::{CREATE, Message};

pub(super) const BRIDGES: &str = "bridges";
pub(super) const INTERNAL: &str = "internal";
/// Not `masquerade`: that is a word of `nft`'s, which could not read its own listing.
pub(super) const MASQUERADED: &str = "masqueraded";
pub(super) const PAIRS: &str = "pairs";
pub(super) const LOOPS: &str = "loops";
pub(super) const GATEWAYS: &str = "gateways";
pub(super) const GATEWAYS6: &str = "gateways6";
pub(super) const OWN_GATEWAYS: &str = "own_gateways";
pub(super) const OWN_GATEWAYS6: &str = "own_gateways6";
pub(super) const PORTS: &str = "ports";
pub(super) const PORTS_ANY: &str = "ports_any";
pub(super) const PORTS6: &str = "ports6";
pub(super) const PORTS6_ANY: &str = "ports6_any";
pub(super) const SELF: &str = "self";
pub(super) const SELF6: &str = "self6";
pub(super) const SENDERS: &str = "senders";
pub(super) const SENDERS6: &str = "senders6";

const NFT_MSG_NEWSET: u16 = 9;
const NFT_MSG_DELSET: u16 = 11;
pub(super) const NFT_MSG_NEWSETELEM: u16 = 12;
pub(super) const NFT_MSG_DELSETELEM: u16 = 14;
/// From Linux 6.3 on: no error if it is not there.
pub(super) const NFT_MSG_DESTROYSETELEM: u16 = 30;
pub(super) const NFTA_SET_TABLE: u16 = 1;
pub(super) const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
pub(super) const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
pub(super) const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_USERDATA: u16 = 13;
const NFTA_ELEMENTS_TABLE: u16 = 1;
const NFTA_ELEMENTS_SET: u16 = 2;
pub(super) const NFTA_ELEMENTS: u16 = 3;
pub(super) const NFTA_LIST_ELEM: u16 = 1;
pub(super) const NFTA_SET_ELEM_KEY: u16 = 1;
pub(super) const NFTA_SET_ELEM_DATA: u16 = 2;
pub(super) const NFTA_SET_ELEM_USERDATA: u16 = 6;
pub(super) const NFTA_DATA_VALUE: u16 = 1;
const NFT_SET_MAP: u32 = 8;

/// What keys and data consist of: `nft`'s own number for it (the kernel only keeps it), and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Type(u32, u32);

const IPV4_ADDR: Type = Type(7, 4);
const IPV6_ADDR: Type = Type(8, 16);
const ETHER_ADDR: Type = Type(9, 6);
const INET_PROTO: Type = Type(12, 1);
const INET_SERVICE: Type = Type(13, 2);
const IFNAME: Type = Type(41, 16);

/// A set, or a map if it has data.
pub(super) struct Set {
    pub(super) family: u8,
    pub(super) name: &'static str,
    key: &'static [Type],
    data: &'static [Type],
}

const fn set(name: &'static str, key: &'static [Type]) -> Set {
    Set { family: INET, name, key, data: &[] }
}

const fn map(name: &'static str, key: &'static [Type], data: &'static [Type]) -> Set {
    Set { family: INET, name, key, data }
}

/// All of them.
pub(super) const SETS: [Set; 17] = [
    set(BRIDGES, &[IFNAME]),
    set(INTERNAL, &[IFNAME]),
    set(MASQUERADED, &[IFNAME]),
    set(PAIRS, &[IFNAME, IFNAME]),
    set(LOOPS, &[IFNAME, IFNAME]),
    set(GATEWAYS, &[IPV4_ADDR]),
    set(GATEWAYS6, &[IPV6_ADDR]),
    set(OWN_GATEWAYS, &[IFNAME, IPV4_ADDR]),
    set(OWN_GATEWAYS6, &[IFNAME, IPV6_ADDR]),
    map(PORTS, &[IPV4_ADDR, INET_PROTO, INET_SERVICE], &[IPV4_ADDR, INET_SERVICE]),
    map(PORTS_ANY, &[INET_PROTO, INET_SERVICE], &[IPV4_ADDR, INET_SERVICE]),
    map(PORTS6, &[IPV6_ADDR, INET_PROTO, INET_SERVICE], &[IPV6_ADDR, INET_SERVICE]),
    map(PORTS6_ANY, &[INET_PROTO, INET_SERVICE], &[IPV6_ADDR, INET_SERVICE]),
    set(SELF, &[IPV4_ADDR, IPV4_ADDR]),
    set(SELF6, &[IPV6_ADDR, IPV6_ADDR]),
    Set { family: BRIDGE, name: SENDERS, key: &[IFNAME, ETHER_ADDR, IPV4_ADDR], data: &[] },
    Set { family: BRIDGE, name: SENDERS6, key: &[IFNAME, ETHER_ADDR, IPV6_ADDR], data: &[] },
];

impl Set {
    /// The numbers of its key's and its data's types.
    pub(super) fn types(&self) -> (u32, u32) {
        (type_of(self.key), type_of(self.data))
    }
}

/// `nft`'s number for several types together has six bits for each.
fn type_of(types: &[Type]) -> u32 {
    types.iter().fold(0, |number, Type(one, _)| (number << 6) | one)
}

fn length_of(types: &[Type]) -> u32 {
    match types {
        [Type(_, length)] => *length,
        many => many.iter().map(|Type(_, length)| length.next_multiple_of(4)).sum(),
    }
}

/// Makes the sets that are missing; those that are there keep what they hold.
pub(super) fn build(batch: &mut Batch<'_>) {
    for (id, set) in (1..).zip(&SETS) {
        let what = ("make the firewall set", set.name);
        batch.change(NFT_MSG_NEWSET, set.family, CREATE, what, |message| {
            message.text(NFTA_SET_TABLE, TABLE).text(NFTA_SET_NAME, set.name).number_be(NFTA_SET_ID, id);
            let (key, data) = set.types();
            message.number_be(NFTA_SET_KEY_TYPE, key).number_be(NFTA_SET_KEY_LEN, length_of(set.key));
            if !set.data.is_empty() {
                message.number_be(NFTA_SET_FLAGS, NFT_SET_MAP);
                message.number_be(NFTA_SET_DATA_TYPE, data);
                message.number_be(NFTA_SET_DATA_LEN, length_of(set.data));
            }
            if matches!(set.key, [IFNAME]) {
                message.bytes(NFTA_SET_USERDATA, &host_byte_order());
            }
        });
    }
}

/// Takes all elements out of a set.
pub(super) fn empty<'a>(batch: &mut Batch<'a>, family: u8, set: &'a str) {
    batch.change(NFT_MSG_DELSETELEM, family, 0, ("empty the firewall set", set), |message| {
        name(message, set);
    });
}

/// Writes which set a message about elements means.
pub(super) fn name(message: &mut Message<'_>, set: &str) {
    message.text(NFTA_ELEMENTS_TABLE, TABLE).text(NFTA_ELEMENTS_SET, set);
}

/// Deletes a set that no rule uses.
pub(super) fn delete<'a>(batch: &mut Batch<'a>, family: u8, set: &'a str) {
    batch.change(NFT_MSG_DELSET, family, 0, ("delete the firewall set", set), |message| {
        message.text(NFTA_SET_TABLE, TABLE).text(NFTA_SET_NAME, set);
    });
}

/// An element of one of the sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) family: u8,
    pub(super) set: &'static str,
    pub(super) key: Vec<u8>,
    /// What a map gives for the key; empty in sets.
    pub(super) data: Vec<u8>,
    /// What `nft` shows beside it.
    pub(super) comment: Option<String>,
}

impl Element {
    /// One of a set of family `inet`.
    pub(super) fn new(set: &'static str, key: Vec<u8>) -> Self {
        Self { family: INET, set, key, data: Vec::new(), comment: None }
    }

    /// Writes it into the list of elements of a message about its set.
    fn write(&self, elements: &mut Message<'_>, with_data: bool) {
        elements.nest(NFTA_LIST_ELEM, |element| {
            element.nest(NFTA_SET_ELEM_KEY, |data| {
                data.bytes(NFTA_DATA_VALUE, &self.key);
            });
            if !with_data {
                return;
            }
            if !self.data.is_empty() {
                element.nest(NFTA_SET_ELEM_DATA, |data| {
                    data.bytes(NFTA_DATA_VALUE, &self.data);
                });
            }
            if let Some(text) = &self.comment {
                element.bytes(NFTA_SET_ELEM_USERDATA, &comment(text));
            }
        });
    }
}

/// Writes the attributes of a message about elements of one set: the first of them says which.
pub(super) fn write(message: &mut Message<'_>, elements: &[Element], with_data: bool) {
    let Some(first) = elements.first() else { return };
    name(message, first.set);
    message.nest(NFTA_ELEMENTS, |list| elements.iter().for_each(|element| element.write(list, with_data)));
}

/// A key or data of several parts: each is padded to four bytes.
pub(super) fn concatenation(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    for part in parts {
        bytes.extend_from_slice(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// A link's name as a key.
pub(super) fn link_name(name: &str) -> [u8; 16] {
    let mut key = [0; 16];
    key.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
    key
}

/// (link, MAC address, address) as a key of `senders` or `senders6`.
pub(super) fn sender_key(link: &str, mac: Mac, address: IpAddr) -> Vec<u8> {
    concatenation(&[&link_name(link), &mac, &octets(address)])
}

/// The bytes of an address, in network byte order.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// What `nft` keeps beside sets whose keys are in the machine's byte order, and needs to show them: type 0 (the keys'
/// byte order), length, 1 (the machine's).
fn host_byte_order() -> [u8; 6] {
    let [a, b, c, d] = 1u32.to_ne_bytes();
    [0, 4, a, b, c, d]
}
