//! The firewall: one nf_tables table of our own, `inet bulkhead`, kept over netlink without running `nft` (nft(8),
//! linux/netfilter/nf_tables.h).
//!
//! The family is `inet` rather than `ip`, since one set of link names then serves IPv4 and IPv6, and no rule exists
//! twice. Chains and rules are fixed; what differs from network to network are elements of sets and maps, so a
//! packet costs the same whether there is one bridge or a thousand, and a change is one element:
//!
//! | | what it is for |
//! |---|---|
//! | set `bridges` | the links of our bridges |
//! | set `masquerade` | those of them whose traffic leaves with this host's address |
//! | map `ports` | published ports: (address, protocol, port) to (container's address, port); empty so far |
//! | chain `forward` | accepts what comes from or goes to a bridge of ours |
//! | chain `postrouting` | gives what comes from a bridge, and leaves by none, the address that it leaves from |
//!
//! A network's traffic is known by the link that it came in on, not by its source address: so nothing with a private
//! address slips out unmasked because its sender chose one outside of the subnet. (In `postrouting`, kernels know
//! the incoming link from 5.7 on.)
//!
//! **What `accept` cannot do**: in nf_tables a packet goes through the chains of *every* table, and a drop in one of
//! them is final. A table of somebody else's whose forward chain drops by default (Docker's `ip filter` does) drops
//! our packets too. We touch nothing of others'; [`foreign_drops`] names such chains, so that the user can be told.

mod batch;
mod expression;
mod layout;
mod presence;
mod state;

use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::link;
use crate::netlink::Socket;
use batch::Batch;
pub use layout::TABLE;
pub use presence::{Presence, Protocol, PublishedPort, Sender, admit, dismiss, remove_if_empty, restore};
pub use state::{ForeignChain, foreign_drops};

/// How often to start anew when others change the firewall between our look and our change.
const TRIES: u32 = 20;

/// Makes sure that the table stands as it should in the current network namespace, and has these bridges.
///
/// Costs one question when all is well. After somebody flushed the table, its chains are filled again; bridges and
/// ports that were in it stay. Only a table of another version's layout is made anew, with these bridges only: so
/// give all that there are after an update.
///
/// # Errors
/// [`Error::NoFirewall`] where the kernel cannot; the caller can go on without masquerading. Else what the kernel
/// refused; nothing was changed then.
pub fn ensure(bridges: &[&str]) -> Result<()> {
    bridges.iter().try_for_each(|name| link::check_name(name))?;
    let mut socket = open()?;
    for _ in 0..TRIES {
        let state = state::look(&mut socket, bridges)?;
        let mut batch;
        if !state.whole {
            batch = Batch::begin(&socket, Some(state.generation));
            layout::build(&mut batch, state.outdated);
            layout::add_bridges(&mut batch, bridges);
        } else if state.holds_none_missing() {
            return Ok(());
        } else {
            // Adding what is there already is no error, so it does not matter who else adds what meanwhile.
            batch = Batch::begin(&socket, None);
            layout::add_bridges(&mut batch, bridges);
        }
        match batch.commit(&mut socket) {
            Ok(()) => return Ok(()),
            Err(error) if outrun(&error, state.whole) => {}
            Err(error) => return Err(unsupported(error)),
        }
    }
    Err(Error::FirewallBusy { table: TABLE, tries: TRIES })
}

/// Takes bridges out of the table; those that are not in it are no error, nor is that there is no table.
///
/// # Errors
/// [`Error::NoFirewall`] where the kernel cannot, else what it refused.
pub fn forget(bridges: &[&str]) -> Result<()> {
    bridges.iter().try_for_each(|name| link::check_name(name))?;
    let mut socket = open()?;
    for _ in 0..TRIES {
        let state = state::look(&mut socket, bridges)?;
        if state.elements.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::begin(&socket, None);
        layout::delete_bridges(&mut batch, &state.elements);
        match batch.commit(&mut socket) {
            Ok(()) => return Ok(()),
            Err(error) if outrun(&error, true) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::FirewallBusy { table: TABLE, tries: TRIES })
}

/// Removes the table, and with it what every engine on this host has in it; false if there was none.
///
/// # Errors
/// [`Error::NoFirewall`] where the kernel cannot, else what it refused.
pub fn remove() -> Result<bool> {
    let mut socket = open()?;
    // The look tells a kernel without nf_tables from one without the table.
    state::look(&mut socket, &[])?;
    let mut batch = Batch::begin(&socket, None);
    layout::delete_table(&mut batch);
    match batch.commit(&mut socket) {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a change failed only since others changed things first: the generation that it was meant for is over, or
/// what it was to change is gone.
fn outrun(error: &Error, was_whole: bool) -> bool {
    match error.errno() {
        Some(Errno::RESTART | Errno::INTR) => true,
        Some(Errno::NOENT) => was_whole,
        _ => false,
    }
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
            Error::NoFirewall { operation: refusal.operation, errno: refusal.errno }
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
            assert!(error.to_string().contains("but not other hosts; load the modules nf_tables"), "{error}");
        }
        let refusal = Refusal::new("add the firewall rule", "masquerade", Errno::PERM);
        assert!(matches!(unsupported(refusal.into()), Error::Kernel(_)));
    }
}
