//! Looking at the firewall: are our tables right, and what is in them?

use rustix::io::Errno;

use super::batch::{BRIDGE, INET, header, kind};
use super::chains::{CHAINS, NFTA_CHAIN_NAME, NFTA_CHAIN_TABLE, NFTA_CHAIN_USE, NFTA_CHAIN_USERDATA, USER};
use super::layout::{LAYOUT, NFTA_TABLE_NAME, TABLE, comment_of};
use super::sets::{
    self, Element, NFTA_ELEMENTS, NFTA_LIST_ELEM, NFTA_SET_ELEM_USERDATA, NFTA_SET_KEY_TYPE, NFTA_SET_NAME,
    NFTA_SET_TABLE, link_name,
};
use crate::error::{Error, Refusal, Result};
use crate::netlink::{Attributes, DUMP, Requests, Socket, number_be, text};

const NFT_MSG_GETTABLE: u16 = 1;
pub(super) const NFT_MSG_GETCHAIN: u16 = 4;
const NFT_MSG_GETSET: u16 = 10;
pub(super) const NFT_MSG_GETSETELEM: u16 = 13;
const NFT_MSG_GETGEN: u16 = 16;
const NFTA_GEN_ID: u16 = 1;
/// The bytes of `struct nfgenmsg`.
pub(super) const HEADER: usize = 4;
/// How many questions are sent at once: their answers must fit into the socket's queue.
const QUESTIONS: usize = 64;

/// How our tables stand.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The generation of the rule set that this is about.
    pub(super) generation: u32,
    /// Whether tables and chains are there, with as many rules as they should have.
    pub(super) whole: bool,
    /// Whether there is a table, and not of this layout.
    pub(super) outdated: bool,
    /// For each bridge that was asked for what the table says of it, if it knows it.
    pub(super) bridges: Vec<Option<String>>,
}

/// Looks at the tables, their chains, and at what they know of the bridges with these names, in one round trip.
///
/// A flush by somebody leaves chains without rules, so their rules are counted. (Who edits single rules or elements
/// of ours by hand is believed to know why.)
pub(super) fn look<'a>(
    socket: &mut Socket,
    bridges: impl ExactSizeIterator<Item = &'a str>,
) -> Result<State> {
    let mut state = State { bridges: vec![None; bridges.len()], ..State::default() };
    let mut requests = socket.requests();
    // First the generation: whatever changes while the rest is read makes a batch for this one fail.
    requests.add(kind(NFT_MSG_GETGEN), 0, ("use nf_tables", ""), &header(0, 0), |_| {});
    let what = ("find the firewall table", TABLE);
    requests.add(kind(NFT_MSG_GETTABLE), 0, what, &header(INET, 0), |message| {
        message.text(NFTA_TABLE_NAME, TABLE);
    });
    for chain in &CHAINS {
        let what = ("find the firewall chain", chain.name);
        requests.add(kind(NFT_MSG_GETCHAIN), 0, what, &header(chain.family, 0), |message| {
            message.text(NFTA_CHAIN_TABLE, TABLE).text(NFTA_CHAIN_NAME, chain.name);
        });
    }
    for name in bridges {
        let element = Element::new(sets::BRIDGES, link_name(name).to_vec());
        let what = ("find in the firewall's bridges the link", name);
        requests.add(kind(NFT_MSG_GETSETELEM), 0, what, &header(INET, 0), |message| {
            sets::write(message, &[element], false);
        });
    }

    let mut generation =
        Err(Error::Answer { operation: "find the firewall's generation", problem: "it has none" });
    let (mut there, mut current, mut right) = (false, false, 0);
    let mut refused = None;
    socket.ask(&requests, |position, answer| match (position, answer) {
        (0, Ok(payload)) => {
            if let Some(id) = Attributes::after(payload, HEADER).find(NFTA_GEN_ID).and_then(number_be) {
                generation = Ok(id);
            }
        }
        // nfnetlink knows no subsystem nf_tables.
        (0, Err(errno @ (Errno::INVAL | Errno::OPNOTSUPP))) => {
            generation = Err(Error::NoFirewall { operation: "use", object: "nf_tables".into(), errno });
        }
        (0, Err(errno)) => generation = Err(Refusal::new("use nf_tables", "", errno).into()),
        (1, Ok(_)) => there = true,
        (position, Ok(payload)) => {
            let attributes = Attributes::after(payload, HEADER);
            if let Some(chain) = CHAINS.get(position - 2) {
                let rules = attributes.find(NFTA_CHAIN_USE).and_then(number_be);
                let rules = rules.and_then(|count| usize::try_from(count).ok());
                right += usize::from(rules == Some(chain.rules.len()));
                if position == 2 {
                    current = attributes.find(NFTA_CHAIN_USERDATA).and_then(comment_of) == Some(LAYOUT);
                }
            } else if let Some(place) = state.bridges.get_mut(position - 2 - CHAINS.len()) {
                *place = Some(description(attributes).unwrap_or_default());
            }
        }
        (_, Err(Errno::NOENT)) => {}
        (_, Err(errno)) => refused = Some(errno),
    })?;
    state.generation = generation?;
    state.outdated = there && !current;
    state.whole = there && current && right == CHAINS.len();
    match refused {
        Some(errno) => Err(Refusal::new("look at the firewall table", TABLE, errno).into()),
        None => Ok(state),
    }
}

/// Whether the user's chain has rules. (Its one use that is no rule is the jump to it.)
pub(super) fn user_has_rules(socket: &mut Socket) -> Result<bool> {
    let mut requests = socket.requests();
    let what = ("find the firewall chain", USER);
    requests.add(kind(NFT_MSG_GETCHAIN), 0, what, &header(INET, 0), |message| {
        message.text(NFTA_CHAIN_TABLE, TABLE).text(NFTA_CHAIN_NAME, USER);
    });
    let mut uses = 0;
    socket.ask(&requests, |_, answer| {
        let count = answer
            .ok()
            .and_then(|payload| Attributes::after(payload, HEADER).find(NFTA_CHAIN_USE).and_then(number_be));
        uses = count.unwrap_or(0);
    })?;
    Ok(uses > 1)
}

/// The comment of the one element in an answer.
fn description(attributes: Attributes<'_>) -> Option<String> {
    let elements = attributes.find(NFTA_ELEMENTS)?;
    let element = Attributes::of(elements).find(NFTA_LIST_ELEM)?;
    let userdata = Attributes::of(element).find(NFTA_SET_ELEM_USERDATA)?;
    comment_of(userdata).map(str::to_owned)
}

/// Those of the elements that are there (a map's whatever it leads to).
pub(super) fn present(socket: &mut Socket, elements: &[Element]) -> Result<Vec<Element>> {
    let mut found = Vec::new();
    for some in elements.chunks(QUESTIONS) {
        let mut requests = socket.requests();
        for element in some {
            let what = ("look into the firewall set", element.set);
            requests.add(kind(NFT_MSG_GETSETELEM), 0, what, &header(element.family, 0), |message| {
                sets::write(message, std::slice::from_ref(element), false);
            });
        }
        let mut refused = None;
        socket.ask(&requests, |position, answer| match answer {
            Ok(_) => found.extend(some.get(position).cloned()),
            Err(Errno::NOENT) => {}
            Err(errno) => refused = Some(errno),
        })?;
        if let Some(errno) = refused {
            return Err(Refusal::new("look into the firewall table", TABLE, errno).into());
        }
    }
    Ok(found)
}

/// The chains and sets that are in our tables.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// Family and name.
    pub(super) chains: Vec<(u8, String)>,
    /// Family, name, and the numbers of the key's and the data's types.
    pub(super) sets: Vec<(u8, String, (u32, u32))>,
}

/// Lists them.
pub(super) fn inventory(socket: &mut Socket) -> Result<Inventory> {
    let named = |attributes: Attributes<'_>, table, name| {
        let ours = attributes.find(table).and_then(text) == Some(TABLE);
        attributes.find(name).and_then(text).filter(|_| ours).map(str::to_owned)
    };
    let ours = |family: &u8| matches!(*family, INET | BRIDGE);
    let chains = socket.dump(
        |requests| all(requests, NFT_MSG_GETCHAIN, "list the firewall's chains"),
        |payload| {
            let family = *payload.first().filter(|family| ours(family))?;
            let attributes = Attributes::after(payload, HEADER);
            Some((family, named(attributes, NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME)?))
        },
    )?;
    let sets = socket.dump(
        |requests| all(requests, NFT_MSG_GETSET, "list the firewall's sets"),
        |payload| {
            let family = *payload.first().filter(|family| ours(family))?;
            let attributes = Attributes::after(payload, HEADER);
            let name = named(attributes, NFTA_SET_TABLE, NFTA_SET_NAME)?;
            let number = |kind| attributes.find(kind).and_then(number_be).unwrap_or(0);
            Some((family, name, (number(NFTA_SET_KEY_TYPE), number(sets::NFTA_SET_DATA_TYPE))))
        },
    )?;
    // Anonymous sets go with their rules.
    let sets = sets.into_iter().filter(|(_, name, _)| !name.starts_with("__")).collect();
    Ok(Inventory { chains, sets })
}

/// Asks for all of a kind, of all families.
pub(super) fn all(requests: &mut Requests<'_>, message: u16, operation: &'static str) {
    requests.add(kind(message), DUMP, (operation, ""), &header(0, 0), |_| {});
}
