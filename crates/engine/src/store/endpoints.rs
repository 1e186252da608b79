//! The table `endpoints`: which container is on which network, and which addresses it holds there. Two unique indices are
//! the leases: no two containers can hold the same address of a network.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bulkhead_network::subnet::AddressRange;
use ipnet::{IpNet, Ipv6Net};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::networks::{Ipam, Network};
use crate::error::{Error, Result};

/// A container's place on a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The container's full ID.
    pub container: String,
    /// The network's full ID.
    pub network: String,
    /// The number of its link: 0 is `eth0`.
    pub link: u32,
    /// The address that it holds.
    pub ipv4: Option<Ipv4Addr>,
    /// Likewise.
    pub ipv6: Option<Ipv6Addr>,
    /// What it was asked for.
    pub settings: Settings,
}

/// What an endpoint was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Other names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// `CONTAINER[:ALIAS]`: what it alone finds others by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// An address of its own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    /// Likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    /// Likewise, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// The network with the highest is the way to everything that is on none.
    pub gateway_priority: i64,
    /// As given.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_options: BTreeMap<String, String>,
}

impl Endpoint {
    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.ipv4.map(IpAddr::V4).into_iter().chain(self.ipv6.map(IpAddr::V6))
    }
}

const COLUMNS: &str = "container, network, link, ipv4, ipv6, settings";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Endpoint> {
    let settings = serde_json::from_str(row.get_ref(5)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(Endpoint {
        container: row.get(0)?,
        network: row.get(1)?,
        link: row.get(2)?,
        ipv4: row.get::<_, Option<u32>>(3)?.map(Ipv4Addr::from),
        ipv6: row.get::<_, Option<[u8; 16]>>(4)?.map(Ipv6Addr::from),
        settings,
    })
}

/// Gives the container a place on the network, with the addresses that it asks for, or the next that are free.
///
/// # Errors
/// It has one already, an address that it asks for is taken or is none of the network's, or none is left.
pub fn join(
    transaction: &Transaction<'_>,
    network: &Network,
    container: &str,
    settings: &Settings,
) -> Result<Endpoint> {
    let link: u32 = transaction.query_row(
        // The lowest number that none of its others has.
        "SELECT min(n) FROM (SELECT 0 AS n UNION SELECT link + 1 FROM endpoints WHERE container = ?1)
         WHERE n NOT IN (SELECT link FROM endpoints WHERE container = ?1)",
        [container],
        |row| row.get(0),
    )?;
    if of_both(transaction, container, &network.id)?.is_some() {
        return Err(Error::Conflict(format!(
            "endpoint with name {container} already exists in network {}",
            network.name
        )));
    }
    let endpoint = Endpoint {
        container: container.to_owned(),
        network: network.id.clone(),
        link,
        ipv4: ipv4(transaction, network, settings.ipv4)?,
        ipv6: ipv6(transaction, network, settings.ipv6)?,
        settings: settings.clone(),
    };
    let text = serde_json::to_string(settings)
        .map_err(|error| Error::Corrupt(format!("cannot write the settings of an endpoint: {error}")))?;
    transaction.prepare_cached("INSERT INTO endpoints VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        container,
        network.id,
        link,
        endpoint.ipv4.map(u32::from),
        endpoint.ipv6.map(|address| address.octets()),
        text
    ])?;
    Ok(endpoint)
}

/// Takes the container off the network; false if it was not on it.
///
/// # Errors
/// The database's.
pub fn leave(transaction: &Transaction<'_>, network: &str, container: &str) -> Result<bool> {
    let gone = transaction
        .execute("DELETE FROM endpoints WHERE container = ?1 AND network = ?2", [container, network])?;
    Ok(gone > 0)
}

/// The container's place on that network.
///
/// # Errors
/// The database's.
pub fn of_both(connection: &Connection, container: &str, network: &str) -> Result<Option<Endpoint>> {
    Ok(connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM endpoints WHERE container = ?1 AND network = ?2"))?
        .query_row([container, network], from_row)
        .optional()?)
}

/// The container's places, in the order of their links.
///
/// # Errors
/// The database's.
pub fn of_container(connection: &Connection, container: &str) -> Result<Vec<Endpoint>> {
    let mut query = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM endpoints WHERE container = ?1 ORDER BY link"))?;
    let rows = query.query_map([container], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The places on a network.
///
/// # Errors
/// The database's.
pub fn of_network(connection: &Connection, network: &str) -> Result<Vec<Endpoint>> {
    let mut query =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM endpoints WHERE network = ?1"))?;
    let rows = query.query_map([network], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The places of all containers, by their IDs.
///
/// # Errors
/// The database's.
pub fn by_container(connection: &Connection) -> Result<HashMap<String, Vec<Endpoint>>> {
    let mut query =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM endpoints ORDER BY container, link"))?;
    let mut all: HashMap<String, Vec<Endpoint>> = HashMap::new();
    for endpoint in query.query_map([], from_row)? {
        let endpoint = endpoint?;
        all.entry(endpoint.container.clone()).or_default().push(endpoint);
    }
    Ok(all)
}

/// Docker's words for an address that somebody has.
fn in_use() -> Error {
    Error::Conflict("Address already in use".into())
}

fn outside(address: IpAddr, network: &Network) -> Error {
    Error::Invalid(format!(
        "invalid address {address}: it is none that a container on network {} can have",
        network.name
    ))
}

fn ipv4(
    transaction: &Transaction<'_>,
    network: &Network,
    asked: Option<Ipv4Addr>,
) -> Result<Option<Ipv4Addr>> {
    let Some((ipam, subnet, gateway)) = network.ipam(false).and_then(of_ipv4) else {
        return asked.map_or(Ok(None), |asked| Err(outside(asked.into(), network)));
    };
    let range = AddressRange::new(subnet, gateway);
    let auxiliary = |address: Ipv4Addr| ipam.auxiliary.values().any(|one| *one == IpAddr::V4(address));
    let held = transaction.prepare_cached("SELECT 1 FROM endpoints WHERE network = ?1 AND ipv4 = ?2")?;
    let (held, failed) = (RefCell::new(held), RefCell::new(None));
    let used = |address: Ipv4Addr| {
        let held = held.borrow_mut().exists(params![network.id, u32::from(address)]);
        auxiliary(address) || held.unwrap_or_else(|error| failed.replace(Some(error)).is_none())
    };
    if let Some(asked) = asked {
        return match (range.allows(asked), used(asked)) {
            (false, _) => Err(outside(asked.into(), network)),
            (true, true) => Err(in_use()),
            (true, false) => Ok(Some(asked)),
        };
    }
    let range = match ipam.range {
        Some(IpNet::V4(part)) => range.within(part)?,
        _ => range,
    };
    let last: Option<u32> =
        transaction.query_row("SELECT last_ipv4 FROM networks WHERE id = ?1", [&network.id], |r| r.get(0))?;
    let free = range.next_free(used, last.map(Ipv4Addr::from));
    if let Some(error) = failed.take() {
        return Err(error.into());
    }
    let free = free?;
    transaction
        .prepare_cached("UPDATE networks SET last_ipv4 = ?2 WHERE id = ?1")?
        .execute(params![network.id, u32::from(free)])?;
    Ok(Some(free))
}

fn of_ipv4(ipam: &Ipam) -> Option<(&Ipam, ipnet::Ipv4Net, Ipv4Addr)> {
    match (ipam.subnet, ipam.gateway) {
        (IpNet::V4(subnet), IpAddr::V4(gateway)) => Some((ipam, subnet, gateway)),
        _ => None,
    }
}

fn ipv6(
    transaction: &Transaction<'_>,
    network: &Network,
    asked: Option<Ipv6Addr>,
) -> Result<Option<Ipv6Addr>> {
    let Some(ipam) = network.ipam(true) else {
        return asked.map_or(Ok(None), |asked| Err(outside(asked.into(), network)));
    };
    let IpNet::V6(subnet) = ipam.subnet else { return Ok(None) };
    let mut held = transaction.prepare_cached("SELECT 1 FROM endpoints WHERE network = ?1 AND ipv6 = ?2")?;
    // The first address is the routers' anycast address (RFC 4291).
    let allows = |address: Ipv6Addr| {
        subnet.contains(&address) && address != subnet.network() && ipam.gateway != address
    };
    let mut used = |address: Ipv6Addr| -> Result<bool> {
        let auxiliary = ipam.auxiliary.values().any(|one| *one == IpAddr::V6(address));
        Ok(auxiliary || held.exists(params![network.id, address.octets()])?)
    };
    if let Some(asked) = asked {
        return match (allows(asked), used(asked)?) {
            (false, _) => Err(outside(asked.into(), network)),
            (true, true) => Err(in_use()),
            (true, false) => Ok(Some(asked)),
        };
    }
    let range: Ipv6Net = match ipam.range {
        Some(IpNet::V6(part)) => part,
        _ => subnet,
    };
    let last: Option<[u8; 16]> =
        transaction.query_row("SELECT last_ipv6 FROM networks WHERE id = ?1", [&network.id], |r| r.get(0))?;
    let (first, end) = (range.network().to_bits(), range.broadcast().to_bits());
    let begin = last.map(u128::from_be_bytes).filter(|last| (first..end).contains(last));
    let begin = begin.map_or(first, |last| last + 1);
    for bits in (begin..=end).chain(first..begin) {
        let address = Ipv6Addr::from_bits(bits);
        if allows(address) && !used(address)? {
            transaction
                .prepare_cached("UPDATE networks SET last_ipv6 = ?2 WHERE id = ?1")?
                .execute(params![network.id, address.octets()])?;
            return Ok(Some(address));
        }
    }
    Err(Error::Conflict(format!("no address is free in {range}: remove containers or make a bigger network")))
}
