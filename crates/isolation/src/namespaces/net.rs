//! The network namespace (network_namespaces(7)).
//!
//! *Isolates* links, addresses, routes, ports, firewall rules, abstract unix sockets and /proc/sys/net.
//!
//! *Modes:* its own, wired to a bridge or with a loopback link only (`--network=none`); the host's
//! (`--network=host`); another container's (`--network=container:X`).
//!
//! *Forbids:* taking the host's ports, seeing its traffic, changing its links or its firewall.
//!
//! *Set up* by CLONE_NEWNET. Wiring it is not this crate's: [`birth`](crate::birth) hands the new namespace to
//! its caller before the program starts. sysfs shows the links of the namespace of whoever mounted it.

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::plan::Handle;

/// CLONE_NEWNET.
pub const FLAG: i32 = 0x4000_0000;

/// Whose network a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetNamespace {
    /// Its own.
    #[default]
    New,
    /// The host's.
    Host,
    /// That of the namespace given.
    Join(Handle),
}

impl NetNamespace {
    pub(crate) fn membership(self) -> Membership {
        match self {
            NetNamespace::New => Membership::New,
            NetNamespace::Host => Membership::Host,
            NetNamespace::Join(handle) => Membership::Joined(handle),
        }
    }
}
