//! What one container has in the firewall: who it may send as, and the ports of the host that lead to it.

use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::batch::Batch;
use super::kept::Kept;
use super::layout::TABLE;
use super::sets::Element;
use super::{TRIES, contents, state};
use crate::error::{Error, Result};
use crate::link::Mac;
use crate::netlink::Socket;

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its number in IP's header.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

/// An address that a container may send with, from one port of a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The port: the near end of the container's pair.
    pub host_link: String,
    /// The MAC address.
    pub mac: Mac,
    /// The address.
    pub address: IpAddr,
}

/// A port of the host that leads to one of a container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The host's address; `0.0.0.0` or `::` stand for all that it has, of that family alone.
    pub address: IpAddr,
    /// The host's port.
    pub port: u16,
    /// Of this protocol.
    pub protocol: Protocol,
    /// The container's address, of the same family, and its port.
    pub to: SocketAddr,
}

/// What one container has in the firewall.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// What it may send with.
    pub senders: Vec<Sender>,
    /// What leads to it.
    pub ports: Vec<PublishedPort>,
}

/// Puts all of it into the table, or nothing: one message to the kernel. What is there already is no error; a port of
/// the host that leads elsewhere leads here from now on.
///
/// # Errors
/// [`Error::FirewallGone`] if the table is not there (see [`ensure`](super::ensure)), [`Error::NoFirewall`] where the
/// kernel cannot, else what it refused.
pub fn admit(presence: &Presence) -> Result<()> {
    let elements = contents::of_presence(presence);
    if elements.is_empty() {
        return Ok(());
    }
    let mut socket = Kept::open()?;
    let mut batch = Batch::begin(&socket, None);
    batch.add(&elements);
    let outcome = match batch.commit(&mut socket) {
        // Which of the two depends on the kernel.
        Err(error) if matches!(error.errno(), Some(Errno::EXIST | Errno::BUSY)) => {
            replace(&mut socket, &elements)
        }
        Err(Error::Kernel(refusal)) if refusal.errno == Errno::NOENT => {
            Err(Error::FirewallGone { operation: refusal.operation, object: refusal.object, table: TABLE })
        }
        other => other.map_err(super::unsupported),
    };
    if outcome.is_ok() {
        socket.keep();
    }
    outcome
}

/// Takes all of it out of the table. What is not there is no error.
///
/// That is done at once, but what was taken out is freed after a grace period of the kernel's, and until then whoever
/// closes a socket of nf_tables in this namespace waits for it (5 to 15 ms). This thread's stays open (see `kept.rs`);
/// but the process's end waits, and so may an [`ensure`](super::ensure) that follows at once.
///
/// Give all ports that lead to one address of a container's at once: what lets it reach itself by one of them goes with
/// any of them.
///
/// # Errors
/// What the kernel refused.
pub fn dismiss(presence: &Presence) -> Result<()> {
    let elements = contents::of_presence(presence);
    if elements.is_empty() {
        return Ok(());
    }
    let mut socket = Kept::open()?;
    let mut batch = Batch::begin(&socket, None);
    batch.destroy(&elements);
    let outcome = match batch.commit(&mut socket) {
        // A table has gone, and what is in the other must go; or it is a kernel before 6.3, which does not know the
        // message.
        Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::INVAL | Errno::OPNOTSUPP)) => {
            delete(&mut socket, &elements)
        }
        other => other,
    };
    if outcome.is_ok() {
        socket.keep();
    }
    outcome
}

/// Adds elements in place of those that have their keys.
fn replace(socket: &mut Socket, elements: &[Element]) -> Result<()> {
    attempt(|| {
        let old = state::present(socket, elements)?;
        let mut batch = Batch::begin(socket, None);
        batch.delete(&old);
        batch.add(elements);
        batch.commit(socket)
    })
}

/// Deletes those elements that are there, without the message that does it at once.
fn delete(socket: &mut Socket, elements: &[Element]) -> Result<()> {
    attempt(|| {
        let old = state::present(socket, elements)?;
        let mut batch = Batch::begin(socket, None);
        batch.delete(&old);
        if old.is_empty() { Ok(()) } else { batch.commit(socket) }
    })
}

/// Tries again when others add or remove the same elements meanwhile.
fn attempt(mut change: impl FnMut() -> Result<()>) -> Result<()> {
    for _ in 0..TRIES {
        match change() {
            Err(error)
                if matches!(error.errno(), Some(Errno::EXIST | Errno::BUSY | Errno::NOENT | Errno::INTR)) => {
            }
            other => return other,
        }
    }
    Err(Error::FirewallBusy { table: TABLE, tries: TRIES })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::ensure;

    #[test]
    #[expect(deprecated, reason = "only with flags of what threads share (CLONE_FILES)")]
    fn kernels_without_the_message_that_removes_what_is_there_are_served_too() {
        // A thread's own namespace.
        let outcome = std::thread::spawn(|| {
            rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET).unwrap();
            ensure(&[]).unwrap();
            let port = |port, to: &str| PublishedPort {
                address: IpAddr::from([0, 0, 0, 0]),
                port,
                protocol: Protocol::Udp,
                to: to.parse().unwrap(),
            };
            let mut presence = Presence { senders: Vec::new(), ports: vec![port(1, "10.0.0.2:1")] };
            admit(&presence).unwrap();
            presence.ports.extend((2..200).map(|number| port(number, "10.0.0.2:1")));
            let elements = contents::of_presence(&presence);
            let mut socket = crate::firewall::open().unwrap();
            delete(&mut socket, &elements).unwrap();
            delete(&mut socket, &elements).unwrap();
            assert!(state::present(&mut socket, &elements).unwrap().is_empty());
            replace(&mut socket, &elements).unwrap();
            replace(&mut socket, &elements).unwrap();
            assert_eq!(state::present(&mut socket, &elements).unwrap().len(), elements.len());
            crate::firewall::remove().unwrap();
            delete(&mut socket, &elements).unwrap();
            dismiss(&presence).unwrap();
            let error = admit(&presence).unwrap_err().to_string();
            assert!(error.contains("ports_any: the firewall table bulkhead is gone"), "{error}");
        });
        outcome.join().unwrap();
    }
}
