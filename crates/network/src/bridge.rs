//! A network's bridge on the host: its link, its address, forwarding and the firewall's table.
//!
//! [`ensure`] runs at every start of a container, so what stands already costs three questions over netlink and one
//! read of /proc/sys for each family. Nobody holds a lock: two that make the same bridge at once both send "create it unless it is
//! there", and both go on from what is there then.

use ipnet::{IpNet, Ipv4Net};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::endpoint::HOST_LINK_PREFIX;
use crate::error::{Error, Result};
use crate::firewall;
use crate::link::{self, Mac, Which};
use crate::netlink::Socket;
use crate::{address, mac, route, sysctl};

/// A bridge network on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// The link's name, at most 15 bytes.
    pub name: String,
    /// The bridge's own addresses, by which its containers reach everything else, each with the length of its subnet's
    /// prefix: at most one of IPv4 and one of IPv6.
    pub addresses: Vec<IpNet>,
    /// The largest packet of the network, in bytes.
    pub mtu: u32,
    /// What is let through.
    pub policy: Policy,
}

impl Bridge {
    /// Its IPv4 address.
    #[must_use]
    pub fn ipv4(&self) -> Option<Ipv4Net> {
        self.addresses.iter().find_map(|address| match address {
            IpNet::V4(address) => Some(*address),
            IpNet::V6(_) => None,
        })
    }

    /// Its MAC address, which follows from its addresses; that of a bridge without any follows from its name.
    #[must_use]
    pub fn mac(&self) -> Mac {
        match (self.ipv4(), self.ipv6()) {
            (Some(own), _) => mac::of_address(own.addr()),
            (None, Some(own)) => mac::of_ipv6(own.addr()),
            (None, None) => mac::of_name(&self.name),
        }
    }

    /// Its IPv6 address.
    #[must_use]
    pub fn ipv6(&self) -> Option<ipnet::Ipv6Net> {
        self.addresses.iter().find_map(|address| match address {
            IpNet::V6(address) => Some(*address),
            IpNet::V4(_) => None,
        })
    }
}

/// What a network's bridge lets through, beside what containers of one network say to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Nothing goes out of the network, nor in (`--internal`).
    pub internal: bool,
    /// What goes out leaves with the host's address (`com.docker.network.bridge.enable_ip_masquerade`).
    pub masquerade: bool,
    /// Containers of the network reach each other (`com.docker.network.bridge.enable_icc`).
    pub icc: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { internal: false, masquerade: true, icc: true }
    }
}

/// Makes sure that the bridge stands in the current network namespace, is up, has its addresses, that packets are
/// forwarded from and to it, and that the firewall knows it. Does nothing where all is well already.
///
/// The host becomes a router by this, if it was none: of IPv4 (`net.ipv4.ip_forward`) for a bridge with an IPv4
/// address, of IPv6 (`net.ipv6.conf.all.forwarding`) for one with an IPv6 address. For the latter, links that get the
/// host's own routes by router advertisements go on doing so (`accept_ra` becomes 2 where it was 1).
///
/// # Errors
/// [`Error::NotABridge`] and [`Error::LinkName`] for names that cannot be used, [`Error::Gateway`] and
/// [`Error::TwoAddresses`] for addresses that cannot be, [`Error::NoFirewall`] where the kernel has none, without which nothing
/// would keep networks apart; else what the kernel refused. What was done until then stays: it is what the next try
/// would do.
pub fn ensure(bridge: &Bridge) -> Result<firewall::Found> {
    stand(bridge)?;
    firewall::ensure(&[bridge])
}

/// The same, without the firewall, which is the caller's: see [`firewall::ensure_unless_broken`].
///
/// # Errors
/// Those of [`ensure`].
pub fn stand(bridge: &Bridge) -> Result<()> {
    check_name(&bridge.name)?;
    check_addresses(bridge)?;
    let mut socket = Socket::open()?;

    if !stands(&mut socket, bridge)? {
        create(&mut socket, bridge)?;
        complete(&mut socket, bridge)?;
    }
    if bridge.ipv4().is_some() {
        sysctl::forward_ipv4()?;
    }
    if bridge.ipv6().is_some() {
        sysctl::forward_ipv6(&bridge.name)?;
    }
    Ok(())
}

/// Lets this host's own programs reach containers on the bridge by 127.0.0.1, and by ::1 where the kernel can; gives
/// whether it can. The addresses are the bridge's or a container's: the families that the network has.
///
/// Answers to a loopback address come in by the bridge, so it takes in packets for those from now on; the firewall
/// drops what containers send to one. For ::1 the bridge gets a local route of its own. Where packets within bridges
/// pass the firewall of IPv6 (`net.bridge.bridge-nf-call-ip6tables`), the kernel drops such answers nevertheless.
///
/// Costs one read and one message where it has been done already.
///
/// # Errors
/// [`Error::NoLink`] if the bridge is not there, else what the kernel refused.
pub fn allow_loopback(name: &str, addresses: &[IpNet]) -> Result<bool> {
    link::check_name(name)?;
    if addresses.iter().any(|address| address.addr().is_ipv4()) {
        sysctl::route_localnet(name)?;
    }
    if !addresses.iter().any(|address| address.addr().is_ipv6()) || sysctl::bridges_call_ipv6()? {
        return Ok(false);
    }
    let mut socket = Socket::open()?;
    let index = socket.index_of(name)?.ok_or_else(|| Error::NoLink {
        name: name.to_owned(),
        place: "the host's network namespace",
        remedy: "the network's bridge must be made first",
    })?;
    let mut requests = socket.requests();
    route::add_local_loopback(&mut requests, index, name);
    socket.run(&requests)?;
    Ok(true)
}

/// Removes the bridge and its names in the firewall's table; false if there was no such bridge.
///
/// One that somebody else made, for the network to use (`com.docker.network.bridge.name`), stays, with what was on it
/// before: it is known by its MAC address, which does not follow from the network's addresses.
///
/// # Errors
/// [`Error::NotABridge`] if the name is another link's by now, else what the kernel refused.
pub fn remove(bridge: &Bridge) -> Result<bool> {
    link::check_name(&bridge.name)?;
    let mut socket = Socket::open()?;
    match firewall::forget(&[bridge]) {
        Ok(()) | Err(Error::NoFirewall { .. }) => {}
        Err(error) => return Err(error),
    }
    match link::find(&mut socket, &bridge.name)? {
        Some(found) => {
            refuse_others(bridge, &found)?;
            if found.mac == bridge.mac() {
                return link::delete(&mut socket, &bridge.name);
            }
            let mut requests = socket.requests();
            for own in bridge.addresses.iter().copied().chain([address::link_local(bridge.mac())]) {
                address::remove(&mut requests, found.index, &bridge.name, own);
            }
            socket.run(&requests)?;
            Ok(false)
        }
        None => Ok(false),
    }
}

/// Refuses names that no bridge of ours can have.
///
/// # Errors
/// [`Error::LinkName`].
pub fn check_name(name: &str) -> Result<()> {
    link::check_name(name)?;
    match name.starts_with(HOST_LINK_PREFIX) {
        // The firewall takes it for a container's.
        true => Err(Error::LinkName {
            name: name.to_owned(),
            problem: "the names of containers' links on this host begin like it",
        }),
        false => Ok(()),
    }
}

/// Refuses addresses that the bridge cannot have: the first and the last of an IPv4 subnet, the first of an IPv6 one
/// (that is all of its routers', RFC 4291), and a second of a family.
fn check_addresses(bridge: &Bridge) -> Result<()> {
    for address in &bridge.addresses {
        let mut same =
            bridge.addresses.iter().filter(|other| other.addr().is_ipv4() == address.addr().is_ipv4());
        if let (Some(first), Some(second)) = (same.next(), same.next()) {
            return Err(Error::TwoAddresses { name: bridge.name.clone(), first: *first, second: *second });
        }
        let (subnet, gateway) = (address.trunc(), address.addr());
        let small = subnet.max_prefix_len() - subnet.prefix_len() < 2;
        let last = gateway.is_ipv4() && gateway == subnet.broadcast();
        if !small && (gateway == subnet.network() || last) {
            return Err(Error::Gateway { gateway, subnet });
        }
    }
    Ok(())
}

fn refuse_others(bridge: &Bridge, found: &link::Link) -> Result<()> {
    if found.kind == "bridge" {
        return Ok(());
    }
    let kind = if found.kind.is_empty() { "device" } else { &found.kind };
    Err(Error::NotABridge { name: bridge.name.clone(), kind: kind.to_owned() })
}

fn stands(socket: &mut Socket, bridge: &Bridge) -> Result<bool> {
    let Some(found) = link::find(socket, &bridge.name)? else { return Ok(false) };
    refuse_others(bridge, &found)?;
    if !found.up || found.mtu != bridge.mtu || found.learns_from_all {
        return Ok(false);
    }
    if bridge.addresses.is_empty() {
        return Ok(true);
    }
    let there = address::list(socket)?;
    Ok(bridge
        .addresses
        .iter()
        .all(|own| there.contains(&address::Address { index: found.index, address: *own })))
}

fn create(socket: &mut Socket, bridge: &Bridge) -> Result<()> {
    let mut requests = socket.requests();
    link::create_bridge(&mut requests, &bridge.name, bridge.mac());
    // Who else made it meanwhile made the same, or something that `complete` refuses.
    requests.tolerating(Errno::EXIST);
    socket.run(&requests)
}

fn complete(socket: &mut Socket, bridge: &Bridge) -> Result<()> {
    let gone = Error::NoLink {
        name: bridge.name.clone(),
        place: "the host's network namespace, though it was just made",
        remedy: "find out who removes it, and try again",
    };
    let found = link::find(socket, &bridge.name)?.ok_or(gone)?;
    refuse_others(bridge, &found)?;
    if bridge.ipv6().is_some() {
        sysctl::enable_ipv6(&bridge.name)?;
        sysctl::refuse_advertisements(&bridge.name)?;
    }
    let which = Which::Index(found.index, &bridge.name);
    let mut requests = socket.requests();
    // Set after the bridge is made, since only then it stays: else it follows the smallest of the ports.
    link::mtu(&mut requests, which, bridge.mtu);
    link::learn_from_forwarded(&mut requests, which);
    link::no_ipv6_address(&mut requests, which);
    for own in &bridge.addresses {
        address::add(&mut requests, found.index, &bridge.name, *own);
    }
    if bridge.ipv6().is_some() {
        address::add(&mut requests, found.index, &bridge.name, address::link_local(bridge.mac()));
    }
    link::up(&mut requests, which);
    socket.run(&requests)
}
