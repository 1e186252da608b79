//! The firewall: nf_tables tables of our own, both called `bulkhead`, kept over netlink without running `nft` (nft(8),
//! linux/netfilter/nf_tables.h).
//!
//! The family of the first is `inet` rather than `ip`, since one set of link names then serves IPv4 and IPv6, and no rule exists
//! twice. Chains and rules are fixed; what differs from network to network are elements of sets and maps, so a
//! packet costs the same whether there is one bridge or a thousand, and a change is one element:
//!
//! | in `inet` | what it is for |
//! |---|---|
//! | set `bridges` | the links of our bridges; each with a comment that says all about it |
//! | sets `internal`, `masqueraded` | those of them that have no way out; whose traffic leaves with this host's address |
//! | sets `pairs`, `loops` | each twice, as (incoming, outgoing) link: `pairs` those whose containers may talk |
//! | sets `gateways`, `own_gateways` | the bridges' own addresses, alone and each with its bridge |
//! | maps `ports`, `ports_any` | published ports: (address, protocol, port) or (protocol, port) to (container's address, port) |
//! | set `self` | addresses of containers that have published ports, twice |
//! | chain `bulkhead-user` | the user's: `forward` asks it first, and nobody changes it |
//! | chains `forward`, `input`, `prerouting-filter` | who reaches whom (`chains/filter.rs`) |
//! | chains `prerouting`, `output`, `postrouting` | published ports, and the way out (`chains/nat.rs`) |
//!
//! A set of IPv6 addresses has a 6 at its name's end. A second table of the same name, of family `bridge`, has the sets
//! `senders` and `senders6` of (link, MAC address, address) that containers may send with, and one chain that drops all
//! else that comes from them (`chains/senders.rs`).
//!
//! A network's traffic is known by the link that it came in on, not by its source address: so nothing with a private
//! address slips out unmasked because its sender chose one outside of the subnet. (In `postrouting`, kernels know
//! the incoming link from 5.7 on.)
//!
//! **What `accept` cannot do**: in nf_tables a packet goes through the chains of *every* table, and a drop in one of
//! them is final. A table of somebody else's whose forward chain drops by default (Docker's `ip filter` does) drops
//! our packets too. We touch nothing of others'; [`foreign_drops`] names such chains, so that the user can be told.

mod batch;
mod chains;
mod contents;
mod expression;
mod foreign;
mod kept;
mod layout;
mod names;
mod presence;
mod restore;
mod sets;
mod state;

use rustix::io::Errno;

use crate::bridge::Bridge;
use crate::error::{Error, Result};
use crate::link;
use crate::netlink::Socket;
use batch::{BRIDGE, Batch, INET};
pub use foreign::{ForeignChain, foreign_drops};
use kept::Kept;
pub use kept::{adopt, hand_over};
pub use layout::TABLE;
pub(crate) use names::redirect_names;
pub use presence::{Presence, Protocol, PublishedPort, Sender, admit, dismiss};
pub use restore::{restore, sweep};

/// How often to start anew when others change the firewall between our look and our change.
const TRIES: u32 = 20;

/// What [`ensure`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The tables, as they should be, though perhaps without these bridges.
    Whole,
    /// Tables that somebody flushed or deleted, or none, or those of another layout. After [`ensure`] they are as they
    /// should be, but what else belongs into them may be missing: [`restore()`] puts it back.
    Broken,
}

/// Makes sure that the tables stand as they should in the current network namespace, and know these bridges as they
/// are.
///
/// Costs one question when all is well. After somebody flushed the table, its chains are filled again; bridges and
/// ports that were in it stay. Of tables of another layout nothing stays but the chain `bulkhead-user`.
///
/// # Errors
/// [`Error::NoFirewall`] where the kernel cannot, else what it refused; nothing was changed then.
pub fn ensure(bridges: &[&Bridge]) -> Result<Found> {
    make_known(bridges, true)
}

/// The same, but that broken tables stay as they are: for whoever calls [`restore()`] then, which makes them with all that
/// belongs into them at once. Who made them first, and was killed before the rest, would leave tables that nobody finds
/// broken any more, and in which other containers may not send.
///
/// # Errors
/// Those of [`ensure`].
pub fn ensure_unless_broken(bridges: &[&Bridge]) -> Result<Found> {
    make_known(bridges, false)
}

fn make_known(bridges: &[&Bridge], build: bool) -> Result<Found> {
    bridges.iter().try_for_each(|bridge| link::check_name(&bridge.name))?;
    // An end may be at hand, and with this socket closed the start would wait for it (see `kept.rs`).
    let mut socket = Kept::open()?;
    for _ in 0..TRIES {
        let state = state::look(&mut socket, bridges.iter().map(|bridge| bridge.name.as_str()))?;
        let found = if state.whole { Found::Whole } else { Found::Broken };
        if !state.whole && !build {
            return Ok(found);
        }
        let known = bridges.iter().zip(&state.bridges);
        // Bridges that the table does not know, and what it knows of those that have changed.
        let (mut new, mut old) = (Vec::new(), Vec::new());
        for (bridge, known) in known {
            match known {
                Some(known) if *known == contents::describe(bridge) => {}
                Some(known) => {
                    old.extend(contents::of_bridge(&contents::read(&bridge.name, known)));
                    new.extend(contents::of_bridge(bridge));
                }
                None => new.extend(contents::of_bridge(bridge)),
            }
        }
        if state.whole && new.is_empty() {
            socket.keep();
            return Ok(found);
        }
        let left;
        let old = state::present(&mut socket, &old)?;
        let mut batch = Batch::begin(&socket, Some(state.generation));
        if state.outdated {
            left = state::inventory(&mut socket)?;
            batch = Batch::begin(&socket, Some(state.generation));
            layout::clear(&mut batch, &left);
            new = bridges.iter().flat_map(|bridge| contents::of_bridge(bridge)).collect();
        } else {
            batch.delete(&old);
        }
        if !state.whole {
            layout::build(&mut batch);
        }
        batch.add(&new);
        match batch.commit(&mut socket) {
            Ok(()) => {
                socket.keep();
                return Ok(found);
            }
            Err(error) if outrun(&error) => {}
            Err(error) => return Err(unsupported(error)),
        }
    }
    Err(Error::FirewallBusy { table: TABLE, tries: TRIES })
}

/// Takes bridges out of the table; those that are not in it are no error, nor is that there is no table.
///
/// # Errors
/// [`Error::NoFirewall`] where the kernel cannot, else what it refused.
pub fn forget(bridges: &[&Bridge]) -> Result<()> {
    bridges.iter().try_for_each(|bridge| link::check_name(&bridge.name))?;
    let mut socket = open()?;
    for _ in 0..TRIES {
        let state = state::look(&mut socket, bridges.iter().map(|bridge| bridge.name.as_str()))?;
        // What the table knows of it, which may not be what the caller does.
        let known = bridges.iter().zip(&state.bridges).filter_map(|(bridge, known)| {
            known.as_ref().map(|known| contents::of_bridge(&contents::read(&bridge.name, known)))
        });
        let old = state::present(&mut socket, &known.flatten().collect::<Vec<_>>())?;
        if old.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::begin(&socket, Some(state.generation));
        batch.delete(&old);
        match batch.commit(&mut socket) {
            Ok(()) => return Ok(()),
            Err(error) if outrun(&error) || error.errno() == Some(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::FirewallBusy { table: TABLE, tries: TRIES })
}

/// Removes both tables, and with them what every engine on this host has in them, and the user's chain; false if there
/// was none.
///
/// # Errors
/// [`Error::NoFirewall`] where the kernel cannot, else what it refused.
pub fn remove() -> Result<bool> {
    let mut socket = open()?;
    // The look tells a kernel without nf_tables from one without the table.
    state::look(&mut socket, std::iter::empty())?;
    let mut removed = false;
    for family in [INET, BRIDGE] {
        let mut batch = Batch::begin(&socket, None);
        layout::delete_table(&mut batch, family);
        match batch.commit(&mut socket) {
            Ok(()) => removed = true,
            Err(error) if error.errno() == Some(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

/// Removes both tables if they know no bridge any more and the user's chain is empty: nobody needs them. False if they
/// stay.
///
/// # Errors
/// What the kernel refused.
pub fn remove_if_empty() -> Result<bool> {
    let mut socket = open()?;
    match state::look(&mut socket, std::iter::empty()) {
        Err(Error::NoFirewall { .. }) => return Ok(false),
        other => other?,
    };
    if restore::knows_bridges(&mut socket)? || state::user_has_rules(&mut socket)? {
        return Ok(false);
    }
    remove()
}

/// Whether a change failed only since others changed things first: the generation that it was meant for is over.
fn outrun(error: &Error) -> bool {
    matches!(error.errno(), Some(Errno::RESTART | Errno::INTR))
}

fn open() -> Result<Socket> {
    Socket::open_netfilter().map_err(unsupported)
}

/// Tells "the kernel was built without it" from other refusals.
fn unsupported(error: Error) -> Error {
    match error {
        Error::Kernel(refusal)
            if matches!(
                refusal.errno,
                Errno::NOENT | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT
            ) =>
        {
            Error::NoFirewall { operation: refusal.operation, object: refusal.object, errno: refusal.errno }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;

    #[test]
    fn a_kernel_without_a_part_is_told_from_other_refusals() {
        for errno in [Errno::NOENT, Errno::OPNOTSUPP, Errno::PROTONOSUPPORT, Errno::AFNOSUPPORT] {
            let refusal = Refusal::new("add the firewall rule", "masquerade", errno);
            let error = unsupported(refusal.into());
            assert!(matches!(error, Error::NoFirewall { .. }), "{error}");
            assert!(error.to_string().contains("nothing keeps networks apart"), "{error}");
        }
        let refusal = Refusal::new("add the firewall rule", "masquerade", Errno::PERM);
        assert!(matches!(unsupported(refusal.into()), Error::Kernel(_)));
    }
}
