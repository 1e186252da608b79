//! `network create`: a network is checked whole and recorded. Nothing of it is on the host before a container is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use bollard_stubs::models::NetworkCreateRequest;
use bulkhead_network::endpoint::MacvlanMode;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rusqlite::Connection;

use super::{first_host, host_routes, made, overlap, subnet};
use crate::Engine;
use crate::error::{Error, Result};
use crate::store::networks::{self, Driver, Ipam, Network, Settings};
use crate::store::settings;

/// The setting that holds the beginning of this engine's own IPv6 subnets.
const ULA: &str = "ipv6 prefix";

impl Engine {
    /// Makes a network.
    ///
    /// # Errors
    /// Anything that cannot be held.
    pub fn create_network(&mut self, request: NetworkCreateRequest) -> Result<Network> {
        self.repair()?;
        // Its subnet must not become this one's.
        self.default_network()?;
        refuse_what_is_not_there(&request)?;
        let name = request.name.clone();
        if !is_valid(&name) || matches!(name.as_str(), "default" | "bridge" | "host" | "none") {
            return Err(match name.as_str() {
                "bridge" | "host" | "none" | "default" => Error::Conflict(format!(
                    "operation is not permitted on predefined {name} network: it is there already"
                )),
                _ => Error::Invalid(format!(
                    "invalid network name {name:?}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
                )),
            });
        }
        let driver = match request.driver.as_deref().unwrap_or("") {
            "" | "default" | "bridge" => Driver::Bridge,
            "macvlan" => Driver::Macvlan,
            other @ ("host" | "null" | "none") => {
                return Err(Error::Conflict(format!("only one instance of \"{other}\" network is allowed")));
            }
            other => {
                return Err(Error::Invalid(format!(
                    "network driver {other:?} not found: bulkhead has bridge and macvlan"
                )));
            }
        };
        let mut network = made(&name, driver, Settings::default());
        let settings = &mut network.settings;
        settings.internal = request.internal.unwrap_or(false);
        settings.attachable = request.attachable.unwrap_or(false);
        settings.labels = request.labels.clone().unwrap_or_default().into_iter().collect();
        settings.options = request.options.clone().unwrap_or_default().into_iter().collect();
        let short = network.id.get(..12).unwrap_or_default();
        read_options(settings, driver, short)?;
        let asked = asked_subnets(&request)?;
        let (ipv4, ipv6) = (request.enable_ipv4.unwrap_or(true), request.enable_ipv6.unwrap_or(false));
        check_families(&asked, ipv4, ipv6)?;
        let routes = host_routes()?;
        self.store.write(|transaction| {
            let others = networks::all(transaction)?;
            let taken: Vec<&IpNet> =
                others.iter().flat_map(|other| other.settings.ipam.iter().map(|ipam| &ipam.subnet)).collect();
            for ipam in &asked {
                if taken.iter().any(|other| overlap(other, &ipam.subnet)) {
                    return Err(Error::Conflict(
                        "Pool overlaps with other one on this address space".into(),
                    ));
                }
                // Beside one of the host's links, the subnet is one that the host has a route to.
                let here = routes.iter().find(|route| overlap(route, &ipam.subnet) && route.prefix_len() >= 8);
                if let Some(route) = here.filter(|_| driver == Driver::Bridge) {
                    return Err(Error::Conflict(format!(
                        "the subnet {} collides with the host's route to {route}: choose another",
                        ipam.subnet
                    )));
                }
            }
            let mut ipam = asked.clone();
            let has = |ipam: &[Ipam], v6: bool| ipam.iter().any(|one| matches!(one.subnet, IpNet::V6(_)) == v6);
            if ipv4 && !has(&ipam, false) {
                if driver == Driver::Macvlan {
                    return Err(Error::Invalid(
                        "a macvlan network needs the subnet of the link that it is beside: give --subnet".into(),
                    ));
                }
                ipam.insert(0, with_first_as_gateway(choose_ipv4(transaction, &routes)?.into())?);
            }
            if ipv6 && !has(&ipam, true) {
                ipam.push(with_first_as_gateway(choose_ipv6(transaction, &taken)?.into())?);
            }
            network.settings.ipam = ipam;
            let same_link = |other: &&Network| {
                driver == Driver::Bridge
                    && other.driver == Driver::Bridge
                    && other.settings.link == network.settings.link
            };
            if let Some(other) = others.iter().find(same_link) {
                return Err(Error::Conflict(format!(
                    "cannot create network {} ({}): conflicts with network {} ({}): networks have same bridge name",
                    network.id, network.settings.link, other.id, other.settings.link
                )));
            }
            networks::insert(transaction, &network)
        })?;
        bulkhead_sys::fail::point("network create: recorded");
        self.tell("network", "create", &network.id, of_network(&network));
        Ok(network)
    }
}

/// Docker's rule, by which one character is enough here.
fn is_valid(name: &str) -> bool {
    name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// What events say of a network.
pub(super) fn of_network(network: &Network) -> [(&'static str, String); 2] {
    [("name", network.name.clone()), ("type", network.driver.word().into())]
}

/// The first subnet of Docker's pools that no network has and the host has no route to.
pub(super) fn choose_ipv4(connection: &Connection, routes: &[IpNet]) -> Result<Ipv4Net> {
    let v4 = |net: &IpNet| match net {
        IpNet::V4(net) => Some(*net),
        IpNet::V6(_) => None,
    };
    let networks = networks::all(connection)?;
    let taken: Vec<Ipv4Net> = networks
        .iter()
        .flat_map(|network| network.settings.ipam.iter().filter_map(|ipam| v4(&ipam.subnet)))
        .collect();
    let routes: Vec<Ipv4Net> = routes.iter().filter_map(v4).collect();
    Ok(subnet::choose_subnet(&subnet::default_pools(), &taken, &routes)?)
}

/// A subnet of this engine's own part of the unique local addresses (RFC 4193), whose 40 random bits are chosen once.
fn choose_ipv6(connection: &Connection, taken: &[&IpNet]) -> Result<Ipv6Net> {
    let prefix: Ipv6Addr = match settings::get(connection, ULA)? {
        Some(text) => {
            text.parse().map_err(|_| Error::Corrupt(format!("the setting {ULA:?} is no address: {text}")))?
        }
        None => {
            let mut bytes = [0; 16];
            let mut random = [0u8; 5];
            rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(|errno| {
                Error::System { doing: "draw random numbers".into(), source: errno.into() }
            })?;
            bytes[0] = 0xfd;
            bytes[1..6].copy_from_slice(&random);
            let prefix = Ipv6Addr::from(bytes);
            settings::set(connection, ULA, &prefix.to_string())?;
            prefix
        }
    };
    (0u128..=0xffff)
        .filter_map(|number| Ipv6Net::new(Ipv6Addr::from_bits(prefix.to_bits() | (number << 64)), 64).ok())
        .find(|candidate| !taken.iter().any(|other| overlap(other, &IpNet::V6(*candidate))))
        .ok_or_else(|| Error::Conflict("no IPv6 subnet is free: give one with --subnet".into()))
}

/// A subnet whose first address is its gateway.
pub(super) fn with_first_as_gateway(subnet: IpNet) -> Result<Ipam> {
    Ok(Ipam { subnet, gateway: first_host(&subnet)?, range: None, auxiliary: BTreeMap::new() })
}

fn refuse_what_is_not_there(request: &NetworkCreateRequest) -> Result<()> {
    let refuse =
        |what: &str| Err(Error::Invalid(format!("this version of bulkhead does not support {what}")));
    if request.ingress == Some(true)
        || request.scope.as_deref().is_some_and(|scope| !matches!(scope, "" | "local"))
    {
        return refuse("networks of a swarm");
    }
    if request.config_only == Some(true)
        || request.config_from.as_ref().is_some_and(|from| from.network.is_some())
    {
        return refuse("networks made from the configuration of others");
    }
    let ipam = request.ipam.clone().unwrap_or_default();
    match ipam.driver.as_deref() {
        None | Some("" | "default") => {}
        Some(other) => {
            return Err(Error::Invalid(format!("IPAM driver {other:?} not found: bulkhead has \"default\"")));
        }
    }
    match ipam.options.iter().flatten().next() {
        Some((key, _)) => Err(Error::Invalid(format!("unknown IPAM option {key:?}"))),
        None => Ok(()),
    }
}

/// The subnets that were asked for, complete.
fn asked_subnets(request: &NetworkCreateRequest) -> Result<Vec<Ipam>> {
    let configs = request.ipam.as_ref().and_then(|ipam| ipam.config.clone()).unwrap_or_default();
    let mut all: Vec<Ipam> = Vec::new();
    for config in configs {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let Some(text) = given(&config.subnet) else {
            let alone = given(&config.gateway).or(given(&config.ip_range)).is_none()
                && config.auxiliary_addresses.iter().flatten().next().is_none();
            if alone {
                continue;
            }
            return Err(Error::Invalid(
                "a gateway, an IP range and auxiliary addresses need a subnet: give --subnet".into(),
            ));
        };
        let bad = |what: &str, text: &str| Error::Invalid(format!("invalid {what} {text:?}"));
        let subnet: IpNet = text.parse().map_err(|_| bad("subnet", &text))?;
        if subnet.trunc() != subnet {
            return Err(Error::Invalid(format!("invalid subnet {subnet}: it should be {}", subnet.trunc())));
        }
        let longest = if matches!(subnet, IpNet::V4(_)) { 30 } else { 126 };
        if subnet.prefix_len() > longest || subnet.prefix_len() == 0 {
            return Err(Error::Invalid(format!(
                "invalid subnet {subnet}: it has no room for a gateway and a container; make it /{longest} or bigger"
            )));
        }
        let inside = |what: &str, address: IpAddr| match subnet.contains(&address) {
            true => Ok(address),
            false => {
                Err(Error::Invalid(format!("no matching subnet for {what} {address}: {subnet} has it not")))
            }
        };
        let parse = |what: &str, text: &str| inside(what, text.parse().map_err(|_| bad(what, text))?);
        let gateway = match given(&config.gateway) {
            // Docker's CLI takes "192.168.1.1/24" too.
            Some(text) => parse("gateway", text.split('/').next().unwrap_or_default())?,
            None => first_host(&subnet)?,
        };
        let edge =
            matches!(subnet, IpNet::V4(_)) && (gateway == subnet.network() || gateway == subnet.broadcast());
        if edge {
            return Err(Error::Invalid(format!(
                "{gateway} cannot be the gateway of {subnet}: it is the network's own or its broadcast address"
            )));
        }
        let range = given(&config.ip_range)
            .map(|text| {
                let range: IpNet = text.parse().map_err(|_| bad("IP range", &text))?;
                match subnet.contains(&range) {
                    true => Ok(range.trunc()),
                    false => Err(Error::Invalid(format!("no matching subnet for range {range}"))),
                }
            })
            .transpose()?;
        let mut auxiliary = BTreeMap::new();
        for (name, text) in config.auxiliary_addresses.into_iter().flatten() {
            auxiliary.insert(name, parse("aux-address", &text)?);
        }
        let same = |other: &Ipam| matches!(other.subnet, IpNet::V6(_)) == matches!(subnet, IpNet::V6(_));
        if all.iter().any(same) {
            return Err(Error::Invalid(
                "a network has at most one subnet of IPv4 and one of IPv6: make two networks".into(),
            ));
        }
        all.push(Ipam { subnet, gateway, range, auxiliary });
    }
    Ok(all)
}

fn check_families(asked: &[Ipam], ipv4: bool, ipv6: bool) -> Result<()> {
    let has = |v6: bool| asked.iter().any(|ipam| matches!(ipam.subnet, IpNet::V6(_)) == v6);
    if !ipv4 && !ipv6 {
        return Err(Error::Invalid("IPv4 or IPv6 must be enabled".into()));
    }
    if has(true) && !ipv6 {
        return Err(Error::Invalid("an IPv6 subnet needs --ipv6".into()));
    }
    if has(false) && !ipv4 {
        return Err(Error::Invalid("an IPv4 subnet does not go with --ipv4=false".into()));
    }
    Ok(())
}

/// Docker's options of its drivers.
fn read_options(settings: &mut Settings, driver: Driver, short_id: &str) -> Result<()> {
    if driver == Driver::Bridge {
        settings.link = format!("bh-{short_id}");
    } else {
        settings.macvlan_mode = Some(MacvlanMode::Bridge);
    }
    for (key, value) in settings.options.clone() {
        let bad =
            |expected: &str| Error::Invalid(format!("invalid value {value:?} of option {key}: {expected}"));
        let truth = || match value.as_str() {
            "true" | "1" | "True" | "TRUE" | "t" | "T" => Ok(true),
            "false" | "0" | "False" | "FALSE" | "f" | "F" => Ok(false),
            _ => Err(bad("true or false")),
        };
        match (driver, key.as_str()) {
            (_, "com.docker.network.driver.mtu") => {
                settings.mtu = value
                    .parse()
                    .ok()
                    .filter(|mtu| (68..=65535).contains(mtu))
                    .ok_or_else(|| bad("a number of bytes from 68 to 65535"))?;
            }
            (Driver::Bridge, "com.docker.network.bridge.name") => {
                bulkhead_network::bridge::check_name(&value)?;
                settings.link = value;
            }
            (Driver::Bridge, "com.docker.network.bridge.enable_icc") => settings.icc = truth()?,
            (Driver::Bridge, "com.docker.network.bridge.enable_ip_masquerade") => {
                settings.masquerade = truth()?
            }
            (Driver::Bridge, "com.docker.network.bridge.host_binding_ipv4") => {
                let address: std::net::Ipv4Addr = value.parse().map_err(|_| bad("an IPv4 address"))?;
                settings.host_binding = Some(address.into()).filter(|_| !address.is_unspecified());
            }
            (Driver::Macvlan, "parent") => {
                bulkhead_network::link::check_name(&value)?;
                settings.link = value;
            }
            (Driver::Macvlan, "macvlan_mode") => {
                settings.macvlan_mode = Some(match value.as_str() {
                    "" | "bridge" => MacvlanMode::Bridge,
                    "private" => MacvlanMode::Private,
                    "vepa" => MacvlanMode::Vepa,
                    "passthru" => MacvlanMode::Passthru,
                    _ => return Err(bad("bridge, private, vepa or passthru")),
                });
            }
            // Taken and ignored would be worse.
            _ => {
                return Err(Error::Invalid(format!("unknown option {key:?} of a {} network", driver.word())));
            }
        }
    }
    if driver == Driver::Macvlan && settings.internal {
        return Err(Error::Invalid(
            "a macvlan network cannot be internal: its containers are machines of the network outside, and nothing on this host is between; use the driver bridge"
                .into(),
        ));
    }
    if driver == Driver::Macvlan && settings.link.is_empty() {
        return Err(Error::Invalid(
            "a macvlan network needs the link of the host that it is beside: give -o parent=LINK".into(),
        ));
    }
    Ok(())
}
