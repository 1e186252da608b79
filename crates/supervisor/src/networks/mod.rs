//! The networks that a container is on, as its supervisor is told of them, and what it does about them.
//!
//! | file | subject |
//! |---|---|
//! | `wiring` | the container's memberships, from birth to end, and what it has in the firewall |
//! | `changing` | networks that it comes to or leaves while it runs |
//! | `ports` | the host's ports that it has: taken before its birth, led to one of its addresses |
//! | `leading` | where each of them leads, and by whom |
//! | `holder` | who has a port that is taken |
//! | [`published`] | what it says to everybody else about its ports: `STATE/published/ID` |
//! | `proxy` | connections that the kernel cannot lead to it: from IPv6 to IPv4 |

mod changing;
mod holder;
mod leading;
mod ports;
mod proxy;
pub mod published;
mod wiring;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use bulkhead_network::endpoint::Endpoint;
use bulkhead_network::firewall::Protocol;
use serde::{Deserialize, Serialize};

pub(crate) use proxy::Token;
pub use published::{
    HostPort, Published, published_ports, read_published, with_presences, withdraw, withdraw_dead,
};
pub(crate) use wiring::Wiring;

/// The step's name in errors.
pub(crate) const STEP: &str = "network";

/// A network that a container is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The network's full ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The container's place on it.
    pub endpoint: Endpoint,
    /// What others on the network find the container by, its own name first; empty on networks without names.
    pub names: Vec<String>,
    /// What it alone finds others by (`--link`): the name that it uses, and the one that they have.
    pub links: BTreeMap<String, String>,
}

/// A port to be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    /// The host's address; none: all that it has, of both families.
    pub address: Option<IpAddr>,
    /// The first and the last of the host's ports that will do; (0, 0): any that is free.
    pub host_ports: (u16, u16),
    /// The container's port.
    pub port: u16,
    /// Of this protocol.
    pub protocol: Protocol,
}

/// What a container's name service knows beside the names on its networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameService {
    /// The folder in which the containers of each network say what they are called: `STATE/networks`.
    pub registry: String,
    /// Whom to ask for all other names, in this order; nobody on networks that have no way out.
    pub upstreams: Vec<Upstream>,
    /// The host's file that `upstreams` are from, if they are, so that its changes count while the container runs.
    #[serde(default)]
    pub resolv_conf: Option<String>,
}

/// A resolver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its address; the port is 53.
    pub address: IpAddr,
    /// Whether it is asked from the container's network namespace (`--dns`) rather than from the host's.
    pub inside: bool,
}
