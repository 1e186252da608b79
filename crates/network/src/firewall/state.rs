//! Looking at the firewall: is our table right, and does anybody else's stand in the way?

use rustix::io::Errno;

use super::batch::{INET, header, kind};
use super::layout::{
    BRIDGES, CHAINS, FORWARD, LAYOUT, MASQUERADE, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY,
    NFTA_CHAIN_TABLE, NFTA_HOOK_HOOKNUM, NFTA_TABLE_NAME, NFTA_TABLE_USERDATA, TABLE, comment, element,
};
use crate::error::{Error, Refusal, Result};
use crate::netlink::{Attributes, DUMP, Requests, Socket, number_be, text};

const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_GETCHAIN: u16 = 4;
const NFT_MSG_GETSETELEM: u16 = 13;
const NFT_MSG_GETGEN: u16 = 16;
const NFTA_GEN_ID: u16 = 1;
const NFTA_CHAIN_USE: u16 = 6;
const NFPROTO_IPV4: u8 = 2;
const NF_DROP: u32 = 0;
/// The bytes of `struct nfgenmsg`.
const HEADER: usize = 4;

/// How our table stands.
#[derive(Debug, Default)]
pub(super) struct State<'a> {
    /// The generation of the rule set that this is about.
    pub(super) generation: u32,
    /// Whether table and chains are there, with as many rules as they should have.
    pub(super) whole: bool,
    /// Whether there is a table, of another layout.
    pub(super) outdated: bool,
    /// The elements that were asked for and are there: (set, bridge).
    pub(super) elements: Vec<(&'static str, &'a str)>,
    asked: usize,
}

impl State<'_> {
    /// Whether all elements that were asked for are there.
    pub(super) fn holds_none_missing(&self) -> bool {
        self.elements.len() == self.asked
    }
}

/// Looks at the table, its chains, and at the elements for these bridges, in one round trip.
///
/// A flush by somebody leaves chains without rules, so their rules are counted. (Who edits single rules of ours by
/// hand is believed to know why.)
pub(super) fn look<'a>(socket: &mut Socket, bridges: &'a [&'a str]) -> Result<State<'a>> {
    let wanted: Vec<_> = bridges.iter().flat_map(|name| [(BRIDGES, *name), (MASQUERADE, *name)]).collect();
    let mut requests = socket.requests();
    // First the generation: whatever changes while the rest is read makes a batch for this one fail.
    requests.add(kind(NFT_MSG_GETGEN), 0, ("use nf_tables", ""), &header(0, 0), |_| {});
    requests.add(
        kind(NFT_MSG_GETTABLE),
        0,
        ("find the firewall table", TABLE),
        &header(INET, 0),
        |message| {
            message.text(NFTA_TABLE_NAME, TABLE);
        },
    );
    for chain in &CHAINS {
        let what = ("find the firewall chain", chain.name);
        requests.add(kind(NFT_MSG_GETCHAIN), 0, what, &header(INET, 0), |message| {
            message.text(NFTA_CHAIN_TABLE, TABLE).text(NFTA_CHAIN_NAME, chain.name);
        });
    }
    for &(set, name) in &wanted {
        let what = ("find in the firewall's bridges the link", name);
        requests
            .add(kind(NFT_MSG_GETSETELEM), 0, what, &header(INET, 0), |message| element(message, set, name));
    }

    let mut state = State { asked: wanted.len(), ..State::default() };
    let mut generation =
        Err(Error::Answer { operation: "find the firewall's generation", problem: "it has none" });
    let mut right = 0;
    let mut refused = None;
    socket.ask(&requests, |position, answer| match (position, answer) {
        (0, Ok(payload)) => {
            if let Some(id) = Attributes::after(payload, HEADER).find(NFTA_GEN_ID).and_then(number_be) {
                generation = Ok(id);
            }
        }
        // nfnetlink knows no subsystem nf_tables.
        (0, Err(errno @ (Errno::INVAL | Errno::OPNOTSUPP))) => {
            generation = Err(Error::NoFirewall { operation: "use nf_tables", errno });
        }
        (0, Err(errno)) => generation = Err(Refusal::new("use nf_tables", "", errno).into()),
        (1, Ok(payload)) => {
            let is_ours =
                Attributes::after(payload, HEADER).find(NFTA_TABLE_USERDATA) == Some(&comment(LAYOUT));
            state.outdated = !is_ours;
            right += usize::from(is_ours);
        }
        (position, Ok(payload)) => {
            if let Some(chain) = CHAINS.get(position - 2) {
                let rules = Attributes::after(payload, HEADER).find(NFTA_CHAIN_USE).and_then(number_be);
                right += usize::from(
                    rules.and_then(|count| usize::try_from(count).ok()) == Some(chain.rules.len()),
                );
            } else {
                state.elements.extend(wanted.get(position - 2 - CHAINS.len()));
            }
        }
        (_, Err(Errno::NOENT)) => {}
        (_, Err(errno)) => refused = Some(errno),
    })?;
    state.generation = generation?;
    state.whole = right == 1 + CHAINS.len();
    match refused {
        Some(errno) => Err(Refusal::new("look at the firewall table", TABLE, errno).into()),
        None => Ok(state),
    }
}

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
    let build = |requests: &mut Requests<'_>| {
        requests.add(kind(NFT_MSG_GETCHAIN), DUMP, ("list the firewall's chains", ""), &header(0, 0), |_| {});
    };
    socket.dump(build, |payload| {
        let family = match *payload.first()? {
            INET => "inet",
            NFPROTO_IPV4 => "ip",
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
    })
}
