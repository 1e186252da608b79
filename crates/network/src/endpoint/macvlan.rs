//! Endpoints on a link of the host's: a macvlan link in the container, by which it is a machine of its own on the
//! network that the host is on (ip-link(8)). The host itself and the container do not hear each other.

use std::os::fd::BorrowedFd;

use super::{Endpoint, MacvlanMode};
use crate::error::{Error, Result};
use crate::link::{self, Macvlan, Which};
use crate::netlink::Socket;

/// Makes the container's link. A parent called like `eth0.50` that is not there is made, as the VLAN 50 of `eth0`; it
/// stays, since other containers may use it and nobody knows who else.
pub(super) fn connect(
    here: &mut Socket,
    netns: BorrowedFd<'_>,
    endpoint: &Endpoint,
    parent: &str,
    mode: MacvlanMode,
) -> Result<()> {
    link::check_name(parent)?;
    let index = match here.index_of(parent)? {
        Some(index) => index,
        None => create_vlan(here, parent)?,
    };
    let macvlan = Macvlan {
        parent: index,
        mode: number(mode),
        name: &endpoint.container_link,
        // A passthru link shares its parent's address: giving it one would change that.
        mac: (mode != MacvlanMode::Passthru).then_some(endpoint.mac),
        netns,
        mtu: endpoint.mtu,
    };
    let mut requests = here.requests();
    link::create_macvlan(&mut requests, &macvlan);
    here.run(&requests)
}

fn create_vlan(here: &mut Socket, name: &str) -> Result<u32> {
    let missing = || Error::NoLink {
        name: name.to_owned(),
        place: "the host's network namespace",
        remedy: "give a link of the host's as the network's parent (`ip link` lists them)",
    };
    let (trunk, vlan) = vlan_of(name).ok_or_else(missing)?;
    let trunk = here.index_of(trunk)?.ok_or_else(missing)?;
    let mut requests = here.requests();
    link::create_vlan(&mut requests, name, trunk, vlan);
    link::up(&mut requests, Which::Name(name));
    here.run(&requests)?;
    here.index_of(name)?.ok_or_else(missing)
}

/// The link and the number in a name like `eth0.50`.
fn vlan_of(name: &str) -> Option<(&str, u16)> {
    let (trunk, vlan) = name.rsplit_once('.')?;
    let vlan = vlan.parse().ok().filter(|vlan| (1..=4094).contains(vlan))?;
    (!trunk.is_empty()).then_some((trunk, vlan))
}

/// `enum macvlan_mode` (linux/if_link.h).
fn number(mode: MacvlanMode) -> u32 {
    match mode {
        MacvlanMode::Private => 1,
        MacvlanMode::Vepa => 2,
        MacvlanMode::Bridge => 4,
        MacvlanMode::Passthru => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_vlan_links() {
        assert_eq!(vlan_of("eth0.50"), Some(("eth0", 50)));
        assert_eq!(vlan_of("br.a.4094"), Some(("br.a", 4094)));
        for bad in ["eth0", "eth0.", ".5", "eth0.0", "eth0.4095", "eth0.x", "eth0.-1"] {
            assert_eq!(vlan_of(bad), None, "{bad}");
        }
    }
}
