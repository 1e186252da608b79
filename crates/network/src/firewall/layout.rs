//! What our table consists of: its sets, its chains, their rules. Whoever changes anything here raises [`LAYOUT`], and
//! hosts with a table of the old layout get the new one at the next start of a container.

use super::batch::Batch;
use super::expression::{Direction, accept, is_ipv4, link_in, link_not_in, masquerade};
use crate::netlink::{CREATE, Message};

/// The table's name. Its family is `inet`.
pub const TABLE: &str = "bulkhead";
/// The table's comment, which tells versions of this file apart; `nft list table inet bulkhead` shows it.
pub(super) const LAYOUT: &str = "layout 1, kept by bulkhead";

pub(super) const BRIDGES: &str = "bridges";
pub(super) const MASQUERADE: &str = "masquerade";
const PORTS: &str = "ports";

pub(super) const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_DELRULE: u16 = 8;
const NFT_MSG_NEWSET: u16 = 9;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NFT_MSG_DELSETELEM: u16 = 14;
const NLM_F_APPEND: u16 = 0x800;

pub(super) const NFTA_TABLE_NAME: u16 = 1;
pub(super) const NFTA_TABLE_USERDATA: u16 = 6;
pub(super) const NFTA_CHAIN_TABLE: u16 = 1;
pub(super) const NFTA_CHAIN_NAME: u16 = 3;
pub(super) const NFTA_CHAIN_HOOK: u16 = 4;
pub(super) const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
pub(super) const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_SET_TABLE: u16 = 1;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_USERDATA: u16 = 13;
const NFTA_ELEMENTS_TABLE: u16 = 1;
const NFTA_ELEMENTS_SET: u16 = 2;
const NFTA_ELEMENTS: u16 = 3;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_DATA_VALUE: u16 = 1;

/// NF_INET_FORWARD and NF_INET_POST_ROUTING.
pub(super) const FORWARD: u32 = 2;
const POST_ROUTING: u32 = 4;
const NF_ACCEPT: u32 = 1;
const NFT_SET_MAP: u32 = 8;

/// The types of keys, as `nft` numbers them for itself; the kernel only keeps them. A concatenation has six bits
/// for each.
const TYPE_IPV4_ADDR: u32 = 7;
const TYPE_INET_PROTO: u32 = 12;
const TYPE_INET_SERVICE: u32 = 13;
const TYPE_IFNAME: u32 = 41;
const LINK_NAME: usize = 16;

/// A base chain with its fixed rules.
pub(super) struct Chain {
    pub(super) name: &'static str,
    kind: &'static str,
    hook: u32,
    priority: i32,
    pub(super) rules: &'static [Rule],
}

/// A rule: a name for errors, and what writes its expressions.
pub(super) struct Rule(&'static str, fn(&mut Message<'_>));

pub(super) const CHAINS: [Chain; 2] = [
    Chain {
        name: "forward",
        kind: "filter",
        hook: FORWARD,
        priority: 0,
        rules: &[
            Rule("iifname @bridges accept", |rule| {
                link_in(rule, Direction::Incoming, BRIDGES);
                accept(rule);
            }),
            Rule("oifname @bridges accept", |rule| {
                link_in(rule, Direction::Outgoing, BRIDGES);
                accept(rule);
            }),
        ],
    },
    Chain {
        name: "postrouting",
        kind: "nat",
        hook: POST_ROUTING,
        // `srcnat`, where everybody translates sources.
        priority: 100,
        rules: &[Rule("iifname @masquerade oifname != @bridges masquerade", |rule| {
            is_ipv4(rule);
            link_in(rule, Direction::Incoming, MASQUERADE);
            link_not_in(rule, Direction::Outgoing, BRIDGES);
            masquerade(rule);
        })],
    },
];

/// Makes the table, or puts back what of it is missing: what a set or map holds already stays, rules are written
/// anew. With `anew`, everything that was in it goes.
pub(super) fn build(batch: &mut Batch<'_>, anew: bool) {
    if anew {
        delete_table(batch);
    }
    batch.change(NFT_MSG_NEWTABLE, CREATE, ("use nf_tables to make the firewall table", TABLE), |message| {
        message.text(NFTA_TABLE_NAME, TABLE).bytes(NFTA_TABLE_USERDATA, &comment(LAYOUT));
    });
    for (id, name) in [(1, BRIDGES), (2, MASQUERADE)] {
        set(batch, name, |message| {
            message.number_be(NFTA_SET_KEY_TYPE, TYPE_IFNAME).number_be(NFTA_SET_KEY_LEN, 16);
            message.number_be(NFTA_SET_ID, id).bytes(NFTA_SET_USERDATA, &host_byte_order());
        });
    }
    set(batch, PORTS, |message| {
        let key = (TYPE_IPV4_ADDR << 12) | (TYPE_INET_PROTO << 6) | TYPE_INET_SERVICE;
        let data = (TYPE_IPV4_ADDR << 6) | TYPE_INET_SERVICE;
        message.number_be(NFTA_SET_FLAGS, NFT_SET_MAP).number_be(NFTA_SET_ID, 3);
        message.number_be(NFTA_SET_KEY_TYPE, key).number_be(NFTA_SET_KEY_LEN, 12);
        message.number_be(NFTA_SET_DATA_TYPE, data).number_be(NFTA_SET_DATA_LEN, 8);
    });
    CHAINS.iter().for_each(|chain| fill(batch, chain));
}

fn set(batch: &mut Batch<'_>, name: &'static str, rest: impl FnOnce(&mut Message<'_>)) {
    batch.change(NFT_MSG_NEWSET, CREATE, ("make the firewall set", name), |message| {
        message.text(NFTA_SET_TABLE, TABLE).text(NFTA_SET_NAME, name);
        rest(message);
    });
}

fn fill(batch: &mut Batch<'_>, chain: &'static Chain) {
    let what = ("make a firewall chain that filters or translates addresses:", chain.name);
    batch.change(NFT_MSG_NEWCHAIN, CREATE, what, |message| {
        message.text(NFTA_CHAIN_TABLE, TABLE).text(NFTA_CHAIN_NAME, chain.name);
        message.nest(NFTA_CHAIN_HOOK, |hook| {
            hook.number_be(NFTA_HOOK_HOOKNUM, chain.hook);
            hook.bytes(NFTA_HOOK_PRIORITY, &chain.priority.to_be_bytes());
        });
        message.number_be(NFTA_CHAIN_POLICY, NF_ACCEPT).text(NFTA_CHAIN_TYPE, chain.kind);
    });
    batch.change(NFT_MSG_DELRULE, 0, ("empty the firewall chain", chain.name), |message| {
        message.text(NFTA_RULE_TABLE, TABLE).text(NFTA_RULE_CHAIN, chain.name);
    });
    for Rule(text, expressions) in chain.rules {
        batch.change(NFT_MSG_NEWRULE, CREATE | NLM_F_APPEND, ("add the firewall rule", text), |message| {
            message.text(NFTA_RULE_TABLE, TABLE).text(NFTA_RULE_CHAIN, chain.name);
            message.nest(NFTA_RULE_EXPRESSIONS, expressions);
        });
    }
}

pub(super) fn delete_table(batch: &mut Batch<'_>) {
    batch.change(NFT_MSG_DELTABLE, 0, ("delete the firewall table", TABLE), |message| {
        message.text(NFTA_TABLE_NAME, TABLE);
    });
}

/// Adds the names of bridges to the sets that know them.
pub(super) fn add_bridges<'a>(batch: &mut Batch<'a>, bridges: &'a [&'a str]) {
    for (set, name) in bridges.iter().flat_map(|name| [(BRIDGES, *name), (MASQUERADE, *name)]) {
        batch.change(
            NFT_MSG_NEWSETELEM,
            CREATE,
            ("add to the firewall's bridges the link", name),
            |message| {
                element(message, set, name);
            },
        );
    }
}

/// Takes names of bridges out of sets.
pub(super) fn delete_bridges<'a>(batch: &mut Batch<'a>, elements: &[(&'static str, &'a str)]) {
    for &(set, name) in elements {
        batch.change(
            NFT_MSG_DELSETELEM,
            0,
            ("remove from the firewall's bridges the link", name),
            |message| {
                element(message, set, name);
            },
        );
    }
}

/// One element of a set of link names.
pub(super) fn element(message: &mut Message<'_>, set: &str, name: &str) {
    let mut key = [0; LINK_NAME];
    key.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
    message.text(NFTA_ELEMENTS_TABLE, TABLE).text(NFTA_ELEMENTS_SET, set).nest(NFTA_ELEMENTS, |elements| {
        elements.nest(NFTA_LIST_ELEM, |element| {
            element.nest(NFTA_SET_ELEM_KEY, |data| {
                data.bytes(NFTA_DATA_VALUE, &key);
            });
        });
    });
}

/// A comment in the form that `nft` keeps beside tables: type 0, length, text with its zero byte.
pub(super) fn comment(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    [&[0, length], text.as_bytes(), &[0]].concat()
}

/// What `nft` keeps beside sets whose keys are in the machine's byte order, and needs to show them: type 0 (the keys'
/// byte order), length, 1 (the machine's).
fn host_byte_order() -> [u8; 6] {
    let [a, b, c, d] = 1u32.to_ne_bytes();
    [0, 4, a, b, c, d]
}
