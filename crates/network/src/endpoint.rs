//! A container's end of a network: the link in its namespace, with address and route, and the other end on a bridge.
//!
//! [`attach`] is what a container's start pays for its network, so it is two sends: one here (the pair, the near
//! end up), one over a socket in the container's namespace (loopback, addresses, far end up, routes).

mod macvlan;
mod names;

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use ipnet::IpNet;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::firewall::Sender;
use crate::link::{self, LOOPBACK, Mac, Pair, PortFlag, Which};
use crate::netlink::Socket;
use crate::{address, mac, route, sysctl};
pub use names::redirect_names;

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// What the container's link leads to.
    pub uplink: Uplink,
    /// The link's name in the container: "eth0".
    pub container_link: String,
    /// Its MAC address: see [`mac::of_address`].
    pub mac: Mac,
    /// The container's addresses, each with the length of its subnet's prefix: at most one of IPv4 and one of IPv6.
    pub addresses: Vec<IpNet>,
    /// Where everything goes that is on none of the container's networks: at most one of IPv4 and one of IPv6.
    pub gateways: Vec<IpAddr>,
    /// The largest packet, in bytes.
    pub mtu: u32,
}

/// What a container's link leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Uplink {
    /// A port of a bridge, over a pair of virtual Ethernet links.
    Bridge {
        /// The bridge's name.
        name: String,
        /// The near end's name on the host, at most 15 bytes: see [`host_link_name`].
        host_link: String,
        /// Whether it reaches only the bridge itself and none of its other isolated ports (containers of the network
        /// do not reach each other).
        isolated: bool,
    },
    /// A link of the host's, over a macvlan link of its own.
    Macvlan {
        /// The host's link.
        parent: String,
        /// Who hears whom.
        mode: MacvlanMode,
    },
}

/// Who hears whom of the macvlan links of one parent (linux/if_link.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MacvlanMode {
    /// All hear each other: Docker's default.
    Bridge,
    /// Nobody hears another.
    Private,
    /// What they say to each other goes by the switch outside.
    Vepa,
    /// The only one of its parent.
    Passthru,
}

impl Endpoint {
    /// What the firewall must let the container send with: its addresses and, where it has IPv6, its link-local one.
    /// Nothing for links that are not on a bridge of ours.
    #[must_use]
    pub fn senders(&self) -> Vec<Sender> {
        let Uplink::Bridge { host_link, .. } = &self.uplink else { return Vec::new() };
        let addresses = self.addresses.iter().map(IpNet::addr);
        let link_local = self.has_ipv6().then(|| mac::link_local(self.mac).into());
        addresses
            .chain(link_local)
            .map(|address| Sender { host_link: host_link.clone(), mac: self.mac, address })
            .collect()
    }

    fn has_ipv6(&self) -> bool {
        self.addresses.iter().any(|address| address.addr().is_ipv6())
    }
}

/// Attaches the network namespace `netns` to what the endpoint leads to in the calling thread's network namespace, and
/// sets its loopback device up. The namespace may be on other networks already: a second link needs another name, and
/// no gateways of a family that has a default route.
///
/// On a bridge of ours the container cannot send anything before the firewall is told of its
/// [`senders`](Endpoint::senders).
///
/// The calling thread visits `netns` for a moment (see [`Socket::open_in`]).
///
/// If a pair of that name is still there, from a namespace whose end the kernel has not come to yet, it is deleted:
/// names of host links are an endpoint's own.
///
/// # Errors
/// [`Error::NoLink`] if the bridge or the parent is not there, [`Error::LinkName`] for names that no link can have,
/// else what the kernel refused. What was done until then goes with the namespace.
pub fn attach(netns: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<()> {
    link::check_name(&endpoint.container_link)?;
    let mut here = Socket::open()?;
    match &endpoint.uplink {
        Uplink::Bridge { host_link, .. } => {
            link::check_name(host_link)?;
            match connect(&mut here, netns, endpoint) {
                Err(error) if error.errno() == Some(Errno::EXIST) => {
                    delete_leftover(&mut here, endpoint, error)?;
                    connect(&mut here, netns, endpoint)?;
                }
                other => other?,
            }
        }
        Uplink::Macvlan { parent, mode } => macvlan::connect(&mut here, netns, endpoint, parent, *mode)?,
    }
    configure(&mut Socket::open_in(netns)?, endpoint)
}

/// Makes the near end of an endpoint's pair a port of its bridge again, after somebody removed the bridge and it was made
/// anew; false if there was nothing to do: it is one, or there is no such link.
///
/// # Errors
/// What the kernel refused.
pub fn plug(endpoint: &Endpoint) -> Result<bool> {
    let Uplink::Bridge { name, host_link, isolated } = &endpoint.uplink else { return Ok(false) };
    let mut here = Socket::open()?;
    let (Some(master), Some(found)) = (here.index_of(name)?, link::find(&mut here, host_link)?) else {
        return Ok(false);
    };
    if found.master == Some(master) {
        return Ok(false);
    }
    let near = Which::Index(found.index, host_link);
    let mut requests = here.requests();
    link::set_master(&mut requests, near, master);
    if *isolated {
        link::port_flag(&mut requests, near, PortFlag::Isolated);
    }
    here.run(&requests)?;
    Ok(true)
}

/// Detaches a network namespace, which lives on, from a network: the endpoint's link goes, and with it its addresses
/// and routes. False if there was none.
///
/// The kernel waits for a grace period meanwhile (10 to 40 ms).
///
/// # Errors
/// When the namespace cannot be entered, or what the kernel refused.
pub fn detach(netns: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<bool> {
    match &endpoint.uplink {
        Uplink::Bridge { host_link, .. } => link::delete(&mut Socket::open()?, host_link),
        Uplink::Macvlan { .. } => link::delete(&mut Socket::open_in(netns)?, &endpoint.container_link),
    }
}

/// Gives a network namespace the endpoint's gateways as its default routes, instead of those that it has: after it was
/// attached to or detached from another network.
///
/// # Errors
/// [`Error::NoLink`] if the endpoint's link is not there, when the namespace cannot be entered, or what the kernel
/// refused.
pub fn route_by(netns: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<()> {
    let mut there = Socket::open_in(netns)?;
    let index = link_in_container(&there, endpoint)?;
    let mut requests = there.requests();
    for gateway in &endpoint.gateways {
        route::replace_default(&mut requests, index, &endpoint.container_link, *gateway);
    }
    there.run(&requests)
}

/// Lets a container that publishes ports reach itself by one of them; gives whether anything had to be done for it.
///
/// Only where packets within bridges pass the firewall (`net.bridge.bridge-nf-call-iptables`, or `-ip6tables`) the
/// packet turns back within the bridge, which sends nothing out of the port that it came from, unless that is in
/// hairpin mode. Nothing turns it off again, since the link goes with the container.
///
/// # Errors
/// What the kernel refused.
pub fn reflect(host_link: &str) -> Result<bool> {
    link::check_name(host_link)?;
    if !sysctl::bridges_call_ipv4()? && !sysctl::bridges_call_ipv6()? {
        return Ok(false);
    }
    let mut socket = Socket::open()?;
    let mut requests = socket.requests();
    link::port_flag(&mut requests, Which::Name(host_link), PortFlag::Hairpin);
    socket.run(&requests)?;
    Ok(true)
}

/// Sets the loopback device of a network namespace up: all that `--network=none` has.
///
/// # Errors
/// When the namespace cannot be entered, or the kernel refuses.
pub fn loopback_up(netns: BorrowedFd<'_>) -> Result<()> {
    let mut there = Socket::open_in(netns)?;
    let mut requests = there.requests();
    link::up(&mut requests, Which::Index(LOOPBACK, "lo"));
    there.run(&requests)
}

/// How the names of endpoints' links on the host begin: by it the firewall knows them.
pub(crate) const HOST_LINK_PREFIX: &str = "bhp";

/// The name of an endpoint's link on the host: "bhp" and the first 12 hexadecimal digits of its ID, so that people
/// find it by the ID that they see; for an ID that does not start with so many, of the ID's hash.
#[must_use]
pub fn host_link_name(id: &str) -> String {
    const DIGITS: usize = 12;
    match id.get(..DIGITS) {
        Some(start) if start.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{HOST_LINK_PREFIX}{}", start.to_lowercase())
        }
        _ => {
            // FNV-1a, folded to 48 bits.
            let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
            format!("{HOST_LINK_PREFIX}{:012x}", (hash >> 48) ^ (hash & 0xffff_ffff_ffff))
        }
    }
}

fn connect(here: &mut Socket, netns: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<()> {
    let Uplink::Bridge { name: bridge, host_link, isolated } = &endpoint.uplink else { return Ok(()) };
    let master = here.index_of(bridge)?.ok_or_else(|| Error::NoLink {
        name: bridge.clone(),
        place: "the host's network namespace",
        remedy: "the network's bridge must be made first",
    })?;
    let near = Which::Name(host_link);
    let mut requests = here.requests();
    let pair = Pair {
        near: host_link,
        master,
        far: &endpoint.container_link,
        far_mac: endpoint.mac,
        netns,
        mtu: endpoint.mtu,
    };
    link::create_pair(&mut requests, &pair);
    link::no_ipv6_address(&mut requests, near);
    if *isolated {
        link::port_flag(&mut requests, near, PortFlag::Isolated);
    }
    link::up(&mut requests, near);
    here.run(&requests)
}

/// Deletes a pair that is in the way; gives `error` back if it is another kind of link. If nothing is there, either
/// the kernel was faster, or it is the far end's name that is taken: trying again will tell.
fn delete_leftover(here: &mut Socket, endpoint: &Endpoint, error: Error) -> Result<()> {
    let Uplink::Bridge { host_link, .. } = &endpoint.uplink else { return Err(error) };
    match link::find(here, host_link)? {
        Some(found) if found.kind != "veth" => Err(error),
        Some(_) => link::delete(here, host_link).map(drop),
        None => Ok(()),
    }
}

fn configure(there: &mut Socket, endpoint: &Endpoint) -> Result<()> {
    let name = endpoint.container_link.as_str();
    let index = link_in_container(there, endpoint)?;
    let far = Which::Index(index, name);
    let mut requests = there.requests();
    link::up(&mut requests, Which::Index(LOOPBACK, "lo"));
    link::no_ipv6_address(&mut requests, far);
    for address in &endpoint.addresses {
        address::add(&mut requests, index, name, *address);
    }
    if endpoint.has_ipv6() {
        // By hand, since what the kernel makes is of use a second later, when it has looked for duplicates.
        address::add(&mut requests, index, name, address::link_local(endpoint.mac));
    }
    link::up(&mut requests, far);
    for gateway in &endpoint.gateways {
        route::add_default(&mut requests, index, name, *gateway);
    }
    there.run(&requests)
}

fn link_in_container(there: &Socket, endpoint: &Endpoint) -> Result<u32> {
    there.index_of(&endpoint.container_link)?.ok_or_else(|| Error::NoLink {
        name: endpoint.container_link.clone(),
        place: "the container's network namespace, though it was made there",
        remedy: "find out who removes it, and try again",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn host_link_names_are_names_of_links(id in ".{0,80}") {
            let name = host_link_name(&id);
            prop_assert!(link::check_name(&name).is_ok());
            prop_assert!(name.starts_with(HOST_LINK_PREFIX));
            prop_assert_eq!(name.len(), 15);
            prop_assert_eq!(name, host_link_name(&id));
        }
    }

    #[test]
    fn people_find_a_link_by_the_id() {
        assert_eq!(host_link_name("0123456789ABcdef0123"), "bhp0123456789ab");
        assert_ne!(host_link_name("web"), host_link_name("db"));
    }
}
