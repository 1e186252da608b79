//! Tables of others that stand in the way of our packets.

use super::batch::{INET, IPV4};
use super::chains::{
    FORWARD, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE, NFTA_HOOK_HOOKNUM,
};
use super::layout::TABLE;
use super::state::{HEADER, NFT_MSG_GETCHAIN, all};
use crate::error::Result;
use crate::netlink::{Attributes, number_be, text};

const NF_DROP: u32 = 0;

/// A base chain of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignChain {
    /// "ip" or "inet".
    pub family: &'static str,
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
}

/// Finds chains of others that drop forwarded IPv4 packets unless a rule of theirs accepts them. Since a drop
/// anywhere is final, containers behind such a chain reach nothing beyond this host before its owner lets them:
/// `iptables -I FORWARD -i BRIDGE -j ACCEPT` and `-o`, or a rule of `DOCKER-USER`.
///
/// Rules of the old iptables (`iptables-legacy`) cannot be seen from here.
///
/// # Errors
/// What the kernel refused.
pub fn foreign_drops() -> Result<Vec<ForeignChain>> {
    let mut socket = super::open()?;
    socket.dump(
        |requests| all(requests, NFT_MSG_GETCHAIN, "list the firewall's chains"),
        |payload| {
            let family = match *payload.first()? {
                INET => "inet",
                IPV4 => "ip",
                _ => return None,
            };
            let attributes = Attributes::after(payload, HEADER);
            let hook = attributes.find(NFTA_CHAIN_HOOK)?;
            let forwards = Attributes::of(hook).find(NFTA_HOOK_HOOKNUM).and_then(number_be) == Some(FORWARD);
            let drops = attributes.find(NFTA_CHAIN_POLICY).and_then(number_be) == Some(NF_DROP);
            let table = attributes.find(NFTA_CHAIN_TABLE).and_then(text)?;
            let chain = attributes.find(NFTA_CHAIN_NAME).and_then(text)?;
            let found = ForeignChain { family, table: table.to_owned(), chain: chain.to_owned() };
            (forwards && drops && table != TABLE).then_some(found)
        },
    )
}
