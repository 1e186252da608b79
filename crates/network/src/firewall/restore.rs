//! Making everything right again, after a flush by somebody or an update of ours.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rustix::io::Errno;

use super::batch::{Batch, header, kind};
use super::presence::Presence;
use super::sets::{self, Element, NFTA_DATA_VALUE, NFTA_ELEMENTS, NFTA_LIST_ELEM, Set};
use super::state::{self, HEADER, NFT_MSG_GETSETELEM};
use super::{TRIES, contents, layout, outrun, unsupported};
use crate::bridge::Bridge;
use crate::error::{Error, Result};
use crate::link;
use crate::netlink::{self, Attributes, DUMP, Socket};

/// Makes the tables anew, with these bridges and containers in them, in one change that packets never see half. Nothing
/// else of ours stays; another engine's bridges, and what of their subnets is in the sets, do, if their links are still
/// there. The chain `bulkhead-user` is not touched.
///
/// # Errors
/// [`Error::NoFirewall`] where the kernel cannot, else what it refused; nothing was changed then.
pub fn restore(bridges: &[&Bridge], presences: &[Presence]) -> Result<()> {
    bridges.iter().try_for_each(|bridge| link::check_name(&bridge.name))?;
    let mut socket = super::open()?;
    for _ in 0..TRIES {
        let state = state::look(&mut socket, std::iter::empty())?;
        let left = state::inventory(&mut socket)?;
        let mut elements: Vec<Element> =
            bridges.iter().flat_map(|bridge| contents::of_bridge(bridge)).collect();
        elements.extend(presences.iter().flat_map(contents::of_presence));
        if !state.outdated {
            elements.extend(of_others(&mut socket, bridges)?);
        }
        let elements = sorted(elements);

        let mut batch = Batch::begin(&socket, Some(state.generation));
        if state.outdated {
            layout::clear(&mut batch, &left);
        }
        if !state.whole {
            layout::build(&mut batch);
        }
        sets::SETS.iter().for_each(|set| sets::empty(&mut batch, set.family, set.name));
        batch.add(&elements);
        match batch.commit(&mut socket) {
            Ok(()) => return Ok(()),
            Err(error) if outrun(&error) => {}
            Err(error) => return Err(unsupported(error)),
        }
    }
    Err(Error::FirewallBusy { table: layout::TABLE, tries: TRIES })
}

/// Removes what lets links send that are not there any more; gives how many elements that were.
///
/// A container's link that comes back just now, by a restart, may lose its elements by this: they are put back.
///
/// # Errors
/// What the kernel refused.
pub fn sweep() -> Result<usize> {
    let mut socket = match super::open() {
        Err(Error::NoFirewall { .. }) => return Ok(0),
        other => other?,
    };
    let links = Socket::open()?;
    let mut there = BTreeMap::new();
    let mut has_link = |element: &Element, anew: bool| -> Result<bool> {
        let Some(name) = netlink::text(element.key.get(..LINK).unwrap_or_default()).map(str::to_owned) else {
            return Ok(false);
        };
        match there.get(&name).filter(|_| !anew) {
            Some(known) => Ok(*known),
            None => {
                let found = links.index_of(&name)?.is_some();
                there.insert(name, found);
                Ok(found)
            }
        }
    };
    let mut old = Vec::new();
    for set in sets::SETS.iter().filter(|set| matches!(set.name, sets::SENDERS | sets::SENDERS6)) {
        for element in dump(&mut socket, set)? {
            if !has_link(&element, false)? {
                old.push(element);
            }
        }
    }
    if old.is_empty() {
        return Ok(0);
    }
    for some in old.chunks(MANY) {
        // Somebody else may be at it, too.
        let some = state::present(&mut socket, some)?;
        let mut batch = Batch::begin(&socket, None);
        batch.delete(&some);
        match batch.commit(&mut socket) {
            Ok(()) => {}
            Err(error) if error.errno() == Some(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    let mut back = Vec::new();
    for element in &old {
        if has_link(element, true)? {
            back.push(element.clone());
        }
    }
    if !back.is_empty() {
        let mut batch = Batch::begin(&socket, None);
        batch.add(&back);
        batch.commit(&mut socket)?;
    }
    Ok(old.len() - back.len())
}

/// How many elements are taken out by one message.
const MANY: usize = 256;
/// The bytes of a link's name in a key.
const LINK: usize = 16;

/// Whether the tables know any bridge.
pub(super) fn knows_bridges(socket: &mut Socket) -> Result<bool> {
    for set in sets::SETS.iter().filter(|set| set.name == sets::BRIDGES) {
        if !dump(socket, set)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Those of one set together; of two with one key, the first.
fn sorted(elements: Vec<Element>) -> Vec<Element> {
    let mut first_of: BTreeMap<(u8, &'static str, Vec<u8>), Element> = BTreeMap::new();
    for element in elements {
        first_of.entry((element.family, element.set, element.key.clone())).or_insert(element);
    }
    first_of.into_values().collect()
}

/// What belongs to bridges that are not among `ours`, and are still there.
fn of_others(socket: &mut Socket, ours: &[&Bridge]) -> Result<Vec<Element>> {
    let mut links = Socket::open()?;
    let mut elements = Vec::new();
    let mut subnets = Vec::new();
    for element in sets::SETS.iter().filter(|set| set.name == sets::BRIDGES).map(|set| dump(socket, set)) {
        for element in element? {
            let Some(name) = netlink::text(&element.key) else { continue };
            let known = ours.iter().any(|bridge| bridge.name == name);
            if known || link::find(&mut links, name)?.is_none() {
                continue;
            }
            let bridge = contents::read(name, element.comment.as_deref().unwrap_or_default());
            subnets.extend(bridge.addresses.iter().map(ipnet::IpNet::trunc));
            elements.extend(contents::of_bridge(&bridge));
        }
    }
    if subnets.is_empty() {
        return Ok(elements);
    }
    let theirs = |address: Option<IpAddr>| {
        address.is_some_and(|address| subnets.iter().any(|subnet| subnet.contains(&address)))
    };
    let mut senders = Vec::new();
    for set in &sets::SETS {
        let of_container = |element: &Element| match set.name {
            sets::SELF => address(element.key.get(..4)),
            sets::SELF6 => address(element.key.get(..16)),
            sets::PORTS | sets::PORTS_ANY => address(element.data.get(..4)),
            sets::PORTS6 | sets::PORTS6_ANY => address(element.data.get(..16)),
            sets::SENDERS | sets::SENDERS6 => address(element.key.get(SENDER..)),
            _ => None,
        };
        for element in dump(socket, set)? {
            if theirs(of_container(&element)) {
                senders.extend(element.key.get(..SENDER).map(<[u8]>::to_vec));
                elements.push(element);
            } else if set.name == sets::SENDERS6
                && element.key.get(..SENDER).is_some_and(|key| senders.iter().any(|sender| sender == key))
            {
                // The link-local address of one of theirs.
                elements.push(element);
            }
        }
    }
    Ok(elements)
}

/// Where the address begins in a key of `senders`: after the link's name, and the MAC address with its padding.
const SENDER: usize = 16 + 8;

fn address(bytes: Option<&[u8]>) -> Option<IpAddr> {
    bytes.and_then(netlink::address)
}

/// All elements of a set.
fn dump(socket: &mut Socket, set: &'static Set) -> Result<Vec<Element>> {
    let found = socket.dump(
        |requests| {
            let what = ("list the firewall set", set.name);
            requests.add(kind(NFT_MSG_GETSETELEM), DUMP, what, &header(set.family, 0), |message| {
                sets::name(message, set.name);
            });
        },
        |payload| {
            let elements = Attributes::after(payload, HEADER).find(NFTA_ELEMENTS)?;
            Some(Attributes::of(elements).filter_map(|(kind, element)| read(set, kind, element)).collect())
        },
    );
    let found = match found {
        // No such set, or no table.
        Err(error) if error.errno() == Some(Errno::NOENT) => Vec::new(),
        other => other?,
    };
    Ok(found.into_iter().flat_map(|part: Vec<Element>| part).collect())
}

fn read(set: &'static Set, kind: u16, element: &[u8]) -> Option<Element> {
    let attributes = Attributes::of(element);
    let value = |kind| attributes.find(kind).and_then(|data| Attributes::of(data).find(NFTA_DATA_VALUE));
    let comment = attributes.find(sets::NFTA_SET_ELEM_USERDATA).and_then(layout::comment_of);
    (kind == NFTA_LIST_ELEM).then_some(())?;
    Some(Element {
        family: set.family,
        set: set.name,
        key: value(sets::NFTA_SET_ELEM_KEY)?.to_vec(),
        data: value(sets::NFTA_SET_ELEM_DATA).unwrap_or_default().to_vec(),
        comment: comment.map(str::to_owned),
    })
}
