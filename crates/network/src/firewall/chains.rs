//! Our chains and the rules in them: fixed, the same on each host. Each file below has one subject.

mod filter;
mod nat;
mod senders;

use super::batch::{BRIDGE, Batch, INET};
use super::layout::{LAYOUT, TABLE, comment};
use crate::netlink::{CREATE, Message};

const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_DELCHAIN: u16 = 5;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_DELRULE: u16 = 8;
const NLM_F_APPEND: u16 = 0x800;

pub(super) const NFTA_CHAIN_TABLE: u16 = 1;
pub(super) const NFTA_CHAIN_NAME: u16 = 3;
pub(super) const NFTA_CHAIN_HOOK: u16 = 4;
pub(super) const NFTA_CHAIN_POLICY: u16 = 5;
pub(super) const NFTA_CHAIN_USE: u16 = 6;
const NFTA_CHAIN_TYPE: u16 = 7;
pub(super) const NFTA_CHAIN_USERDATA: u16 = 12;
pub(super) const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;

const PRE_ROUTING: u32 = 0;
const LOCAL_IN: u32 = 1;
pub(super) const FORWARD: u32 = 2;
const LOCAL_OUT: u32 = 3;
const POST_ROUTING: u32 = 4;
const NF_ACCEPT: u32 = 1;

/// The user's own chain in `inet bulkhead`: `forward` asks it first. It is made empty, and never changed after.
pub(super) const USER: &str = "bulkhead-user";

/// A base chain with its fixed rules.
pub(super) struct Chain {
    pub(super) family: u8,
    pub(super) name: &'static str,
    kind: &'static str,
    hook: u32,
    priority: i32,
    pub(super) rules: &'static [Rule],
}

impl Chain {
    /// The chain that translates the destinations of what this host's own programs send.
    pub(super) const fn output(family: u8, rules: &'static [Rule]) -> Self {
        Self { family, name: "output", kind: "nat", hook: LOCAL_OUT, priority: -100, rules }
    }
}

/// A rule: its text for errors, and what writes its expressions.
pub(super) struct Rule(&'static str, fn(&mut Message<'_>));

/// All of them. The first carries the layout's number as its comment.
pub(super) const CHAINS: [Chain; 7] = [
    Chain {
        family: INET,
        name: "forward",
        kind: "filter",
        hook: FORWARD,
        priority: 0,
        rules: filter::FORWARD,
    },
    Chain { family: INET, name: "input", kind: "filter", hook: LOCAL_IN, priority: 0, rules: filter::INPUT },
    Chain {
        family: INET,
        name: "prerouting-filter",
        kind: "filter",
        hook: PRE_ROUTING,
        // `raw`: before addresses are translated.
        priority: -300,
        rules: filter::PREROUTING,
    },
    // `dstnat` and `srcnat`, where everybody translates.
    Chain {
        family: INET,
        name: "prerouting",
        kind: "nat",
        hook: PRE_ROUTING,
        priority: -100,
        rules: nat::PREROUTING,
    },
    Chain::output(INET, nat::OUTPUT),
    Chain {
        family: INET,
        name: "postrouting",
        kind: "nat",
        hook: POST_ROUTING,
        priority: 100,
        rules: nat::POSTROUTING,
    },
    Chain {
        family: BRIDGE,
        name: "prerouting",
        kind: "filter",
        hook: PRE_ROUTING,
        // Before anything looks at the packet, br_netfilter's way through `inet` too.
        priority: -300,
        rules: senders::PREROUTING,
    },
];

/// Makes the chains, where they are missing, and writes their rules anew.
pub(super) fn build(batch: &mut Batch<'_>) {
    batch.change(NFT_MSG_NEWCHAIN, INET, CREATE, ("make the firewall chain", USER), |message| {
        message.text(NFTA_CHAIN_TABLE, TABLE).text(NFTA_CHAIN_NAME, USER);
    });
    for (number, chain) in CHAINS.iter().enumerate() {
        make(batch, chain, (number == 0).then_some(LAYOUT));
        for Rule(text, expressions) in chain.rules {
            add_rule(batch, chain, text, expressions);
        }
    }
}

/// Makes a chain without rules, or empties it.
pub(super) fn make(batch: &mut Batch<'_>, chain: &Chain, note: Option<&str>) {
    let what = ("make a firewall chain that filters or translates addresses:", chain.name);
    batch.change(NFT_MSG_NEWCHAIN, chain.family, CREATE, what, |message| {
        message.text(NFTA_CHAIN_TABLE, TABLE).text(NFTA_CHAIN_NAME, chain.name);
        message.nest(NFTA_CHAIN_HOOK, |hook| {
            hook.number_be(NFTA_HOOK_HOOKNUM, chain.hook);
            hook.bytes(NFTA_HOOK_PRIORITY, &chain.priority.to_be_bytes());
        });
        message.number_be(NFTA_CHAIN_POLICY, NF_ACCEPT).text(NFTA_CHAIN_TYPE, chain.kind);
        if let Some(note) = note {
            message.bytes(NFTA_CHAIN_USERDATA, &comment(note));
        }
    });
    empty(batch, chain.family, chain.name);
}

/// Adds a rule at a chain's end.
pub(super) fn add_rule<'a>(
    batch: &mut Batch<'a>,
    chain: &Chain,
    text: &'a str,
    expressions: impl FnOnce(&mut Message<'_>),
) {
    let what = ("add the firewall rule", text);
    batch.change(NFT_MSG_NEWRULE, chain.family, CREATE | NLM_F_APPEND, what, |message| {
        message.text(NFTA_RULE_TABLE, TABLE).text(NFTA_RULE_CHAIN, chain.name);
        message.nest(NFTA_RULE_EXPRESSIONS, expressions);
    });
}

/// Deletes all rules of a chain.
pub(super) fn empty<'a>(batch: &mut Batch<'a>, family: u8, chain: &'a str) {
    batch.change(NFT_MSG_DELRULE, family, 0, ("empty the firewall chain", chain), |message| {
        message.text(NFTA_RULE_TABLE, TABLE).text(NFTA_RULE_CHAIN, chain);
    });
}

/// Deletes a chain that is empty.
pub(super) fn delete<'a>(batch: &mut Batch<'a>, family: u8, chain: &'a str) {
    batch.change(NFT_MSG_DELCHAIN, family, 0, ("delete the firewall chain", chain), |message| {
        message.text(NFTA_CHAIN_TABLE, TABLE).text(NFTA_CHAIN_NAME, chain);
    });
}
