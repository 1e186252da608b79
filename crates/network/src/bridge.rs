//! A network's bridge on the host: its link, its address, forwarding and the firewall's table.
//!
//! [`ensure`] runs at every start of a container, so what stands already costs two questions over netlink and one
//! read of /proc/sys. Nobody holds a lock: two that make the same bridge at once both send "create it unless it is
//! there", and both go on from what is there then.

use ipnet::{IpNet, Ipv4Net};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::firewall;
use crate::link::{self, Which};
use crate::netlink::Socket;
use crate::{address, mac};

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

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

/// What [`ensure`] could do about the firewall.
#[derive(Debug)]
#[must_use = "without the firewall's table containers cannot reach other hosts, and somebody should say so"]
pub enum Masquerade {
    /// The table stands: containers reach other hosts with this host's address.
    Standing,
    /// The kernel cannot: everything but the way to other hosts works. The error says what is missing.
    Unavailable(Error),
}

/// Makes sure that the bridge stands in the current network namespace, is up, has its address, and that packets
/// are forwarded from and to it. Does nothing where all is well already.
///
/// The host becomes a router by this (`net.ipv4.ip_forward`), if it was none.
///
/// # Errors
/// [`Error::NotABridge`] and [`Error::LinkName`] for names that cannot be used, [`Error::Gateway`] for a gateway
/// outside of its subnet, else what the kernel refused. What was done until then stays: it is what the next try
/// would do.
pub fn ensure(bridge: &Bridge) -> Result<Masquerade> {
    link::check_name(&bridge.name)?;
    let own = own_address(bridge)?;
    let mut socket = Socket::open()?;

    if !stands(&mut socket, bridge, own)? {
        create(&mut socket, bridge, own)?;
        complete(&mut socket, bridge, own)?;
    }
    forward()?;
    match firewall::ensure(&[&bridge.name]) {
        Ok(()) => Ok(Masquerade::Standing),
        Err(missing @ Error::NoFirewall { .. }) => Ok(Masquerade::Unavailable(missing)),
        Err(error) => Err(error),
    }
}

/// Removes the bridge and its names in the firewall's table; false if there was no such bridge.
///
/// # Errors
/// [`Error::NotABridge`] if the name is another link's by now, else what the kernel refused.
pub fn remove(bridge: &Bridge) -> Result<bool> {
    link::check_name(&bridge.name)?;
    let mut socket = Socket::open()?;
    match firewall::forget(&[&bridge.name]) {
        Ok(()) | Err(Error::NoFirewall { .. }) => {}
        Err(error) => return Err(error),
    }
    match link::find(&mut socket, &bridge.name)? {
        Some(found) => {
            refuse_others(bridge, &found)?;
            link::delete(&mut socket, &bridge.name)
        }
        None => Ok(false),
    }
}

fn own_address(bridge: &Bridge) -> Result<Ipv4Net> {
    let own = bridge.ipv4().ok_or(Error::Answer { operation: "make a bridge", problem: "IPv6 only" })?;
    let (subnet, gateway) = (own.trunc(), own.addr());
    let usable = subnet.prefix_len() >= 31 || (gateway != subnet.network() && gateway != subnet.broadcast());
    if usable { Ok(own) } else { Err(Error::Gateway { gateway, subnet }) }
}

fn refuse_others(bridge: &Bridge, found: &link::Link) -> Result<()> {
    if found.kind == "bridge" {
        return Ok(());
    }
    let kind = if found.kind.is_empty() { "device" } else { &found.kind };
    Err(Error::NotABridge { name: bridge.name.clone(), kind: kind.to_owned() })
}

fn stands(socket: &mut Socket, bridge: &Bridge, own: Ipv4Net) -> Result<bool> {
    let Some(found) = link::find(socket, &bridge.name)? else { return Ok(false) };
    refuse_others(bridge, &found)?;
    if !found.up || found.mtu != bridge.mtu {
        return Ok(false);
    }
    let wanted = address::Address { index: found.index, address: own.into() };
    Ok(address::list(socket)?.contains(&wanted))
}

fn create(socket: &mut Socket, bridge: &Bridge, own: Ipv4Net) -> Result<()> {
    let mut requests = socket.requests();
    link::create_bridge(&mut requests, &bridge.name, mac::of_address(own.addr()));
    // Who else made it meanwhile made the same, or something that `complete` refuses.
    requests.tolerating(Errno::EXIST);
    socket.run(&requests)
}

fn complete(socket: &mut Socket, bridge: &Bridge, own: Ipv4Net) -> Result<()> {
    let gone = Error::NoLink {
        name: bridge.name.clone(),
        place: "the host's network namespace, though it was just made",
        remedy: "find out who removes it, and try again",
    };
    let found = link::find(socket, &bridge.name)?.ok_or(gone)?;
    refuse_others(bridge, &found)?;
    let which = Which::Index(found.index, &bridge.name);
    let mut requests = socket.requests();
    // Set after the bridge is made, since only then it stays: else it follows the smallest of the ports.
    link::mtu(&mut requests, which, bridge.mtu);
    link::no_ipv6_address(&mut requests, which);
    address::add(&mut requests, found.index, &bridge.name, own.into());
    link::up(&mut requests, which);
    socket.run(&requests)
}

/// Turns forwarding on in the current network namespace, if it is off: writing it, even the same, makes the kernel
/// walk all links.
fn forward() -> Result<()> {
    let failed = |operation| move |source| Error::Sysctl { operation, path: IP_FORWARD, source };
    let now = std::fs::read_to_string(IP_FORWARD).map_err(failed("read"))?;
    if now.trim_end() != "1" {
        std::fs::write(IP_FORWARD, "1").map_err(failed("write"))?;
    }
    Ok(())
}
