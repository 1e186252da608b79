//! From the endpoints of the store to what a supervisor is told: links, addresses, routes and names.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bulkhead_network::bridge;
use bulkhead_network::endpoint::{self as link, MacvlanMode, Uplink, host_link_name};
use bulkhead_network::firewall::{self, Found, foreign_drops};
use bulkhead_network::link::Mac;
use bulkhead_network::mac;
use bulkhead_supervisor::networks::Membership;
use ipnet::IpNet;

use super::asked::{check_link, names};
use crate::Engine;
use crate::error::{Error, Result};
use crate::store::containers::Container;
use crate::store::endpoints::{self, Endpoint};
use crate::store::networks::{self, Driver, Network};

/// A container's place on a network, with the network.
pub(crate) type Place = (Endpoint, Network);

impl Engine {
    /// The networks that a container is on, in the order of its links.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn places(&self, container: &str) -> Result<Vec<Place>> {
        let connection = self.store.read();
        let all = endpoints::of_container(connection, container)?;
        all.into_iter()
            .map(|endpoint| networks::find(connection, &endpoint.network).map(|network| (endpoint, network)))
            .collect()
    }

    /// Makes sure that a network's bridge stands. Gives what the user should know.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(crate) fn ensure_network(&self, network: &Network) -> Result<Option<String>> {
        let Some(bridge) = network.bridge() else { return Ok(None) };
        bridge::stand(&bridge)?;
        if firewall::ensure_unless_broken(&[&bridge])? == Found::Whole {
            return Ok(None);
        }
        bulkhead_sys::fail::point("network: firewall found broken");
        // The first of this boot, or somebody flushed it: the isolation of all others must not wait for them.
        self.restore_firewall(Some(&bridge))?;
        Ok(foreign_drops()?.first().map(|chain| {
            format!(
                "containers may not reach other hosts, nor these their ports: the chain {} of the firewall's table {} {} drops what it is not told to forward; accept there what comes from and goes to {}",
                chain.chain, chain.family, chain.table, bridge.name
            )
        }))
    }

    /// What the supervisor is told of a container's networks.
    ///
    /// # Errors
    /// A link to a container that is not there.
    pub(crate) fn memberships(&self, container: &Container, places: &[Place]) -> Result<Vec<Membership>> {
        places.iter().map(|place| self.membership(container, place, places)).collect()
    }

    /// What it is told of one of them, which is among `all`.
    ///
    /// # Errors
    /// A link to a container that is not there.
    pub(crate) fn membership(
        &self,
        container: &Container,
        (endpoint, network): &Place,
        all: &[Place],
    ) -> Result<Membership> {
        let mut links = BTreeMap::new();
        for text in &endpoint.settings.links {
            let (name, alias) = check_link(text)?;
            // By its name: that is what the network's names know.
            links.insert(alias, self.container(&name)?.name);
        }
        Ok(Membership {
            id: network.id.clone(),
            name: network.name.clone(),
            endpoint: link_of(endpoint, network, all)?,
            names: if network.has_names() { names(container, &endpoint.settings) } else { Vec::new() },
            links,
        })
    }
}

/// A container's link on a network, as the kernel is asked for it.
pub(crate) fn link_of(endpoint: &Endpoint, network: &Network, all: &[Place]) -> Result<link::Endpoint> {
    let settings = &network.settings;
    let uplink = match network.driver {
        Driver::Bridge => Uplink::Bridge {
            name: settings.link.clone(),
            host_link: host_link(endpoint),
            isolated: !settings.icc,
        },
        Driver::Macvlan => Uplink::Macvlan {
            parent: settings.link.clone(),
            mode: settings.macvlan_mode.unwrap_or(MacvlanMode::Bridge),
        },
        Driver::Host | Driver::Null => {
            return Err(Error::Corrupt(format!("network {} has no links", network.name)));
        }
    };
    let length =
        |address: &IpAddr| network.ipam(address.is_ipv6()).map_or(0, |ipam| ipam.subnet.prefix_len());
    let mut gateways = Vec::new();
    for ipv6 in [false, true] {
        if let Some((_, chosen)) = way_out(all, ipv6)
            && chosen.id == network.id
            && let Some(ipam) = network.ipam(ipv6)
        {
            gateways.push(ipam.gateway);
        }
    }
    Ok(link::Endpoint {
        uplink,
        container_link: format!("eth{}", endpoint.link),
        mac: mac_of(endpoint),
        addresses: endpoint
            .addresses()
            .filter_map(|address| IpNet::new(address, length(&address)).ok())
            .collect(),
        gateways,
        mtu: settings.mtu,
    })
}

/// The network by which everything is reached that is on none of the container's: that with the highest priority, and of
/// those with the same the first by name, as Docker chooses.
pub(crate) fn way_out(all: &[Place], ipv6: bool) -> Option<&Place> {
    let can = |place: &&Place| !place.1.settings.internal && place.1.ipam(ipv6).is_some();
    all.iter().filter(can).min_by(|one, other| {
        let priority = |place: &Place| place.0.settings.gateway_priority;
        priority(other).cmp(&priority(one)).then_with(|| one.1.name.cmp(&other.1.name))
    })
}

/// The near end's name on the host: it begins with the container's ID, and the rest follows from everything that the
/// firewall lets the link send with. So what it is let through with is never what another link of that name was.
pub(crate) fn host_link(endpoint: &Endpoint) -> String {
    let Endpoint { container, network, ipv4, ipv6, .. } = endpoint;
    let all = format!("{container}/{network}/{ipv4:?}/{ipv6:?}/{:?}", mac_of(endpoint));
    // FNV-1a.
    let hash = all.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let start = endpoint.container.get(..6).unwrap_or("000000");
    host_link_name(&format!("{start}{:06x}", hash >> 40))
}

/// Its MAC address.
pub(crate) fn mac_of(endpoint: &Endpoint) -> Mac {
    if let Some(own) = endpoint.settings.mac.as_deref().and_then(mac::parse) {
        return own;
    }
    match (endpoint.ipv4, endpoint.ipv6) {
        (Some(address), _) => mac::of_address(address),
        (None, Some(address)) => mac::of_ipv6(address),
        (None, None) => mac::of_address(std::net::Ipv4Addr::UNSPECIFIED),
    }
}

/// What Docker calls an endpoint: 64 hexadecimal digits, of the container's ID and the network's.
pub(crate) fn endpoint_id(endpoint: &Endpoint) -> String {
    let half = |id: &str| id.get(..32).unwrap_or(id).to_owned();
    half(&endpoint.container) + &half(&endpoint.network)
}
