//! The table `networks`: the networks that containers can be on. Docker's three are among them: `bridge`, which
//! containers are on unless they say otherwise, `host` and `none`, which are names for having none of one's own.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bulkhead_network::bridge::{Bridge, Policy};
use bulkhead_network::endpoint::MacvlanMode;
use ipnet::IpNet;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The name of the network that containers are on unless they say otherwise.
pub const DEFAULT: &str = "bridge";

/// A network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Nanoseconds since 1970.
    pub created: i64,
    /// What it is made of.
    pub driver: Driver,
    /// What it was asked for, complete.
    pub settings: Settings,
}

/// What a network is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A bridge on the host.
    Bridge,
    /// Links beside one of the host's.
    Macvlan,
    /// The host's own network.
    Host,
    /// Nothing.
    Null,
}

impl Driver {
    /// Docker's word.
    pub fn word(self) -> &'static str {
        match self {
            Driver::Bridge => "bridge",
            Driver::Macvlan => "macvlan",
            Driver::Host => "host",
            Driver::Null => "null",
        }
    }

    fn of(word: &str) -> Option<Driver> {
        [Driver::Bridge, Driver::Macvlan, Driver::Host, Driver::Null]
            .into_iter()
            .find(|driver| driver.word() == word)
    }
}

/// What a network was asked for, complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The bridge's name, or that of the host's link that a macvlan network is beside.
    pub link: String,
    /// Its subnets: at most one of IPv4 and one of IPv6.
    pub ipam: Vec<Ipam>,
    /// Nothing goes out of it, nor in.
    pub internal: bool,
    /// Kept and shown: here any container can be connected to any network.
    pub attachable: bool,
    /// As given.
    pub labels: BTreeMap<String, String>,
    /// As given.
    pub options: BTreeMap<String, String>,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// What goes out leaves with the host's address.
    pub masquerade: bool,
    /// Its containers reach each other.
    pub icc: bool,
    /// Where ports are published that do not say where.
    pub host_binding: Option<IpAddr>,
    /// Who hears whom on a macvlan network.
    pub macvlan_mode: Option<MacvlanMode>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            link: String::new(),
            ipam: Vec::new(),
            internal: false,
            attachable: false,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            mtu: 1500,
            masquerade: true,
            icc: true,
            host_binding: None,
            macvlan_mode: None,
        }
    }
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipam {
    /// Its addresses.
    pub subnet: IpNet,
    /// Whose are not on it: the way to everything else.
    pub gateway: IpAddr,
    /// The part of it that containers get their addresses from.
    #[serde(default)]
    pub range: Option<IpNet>,
    /// Addresses that somebody else has, by name.
    #[serde(default)]
    pub auxiliary: BTreeMap<String, IpAddr>,
}

impl Network {
    /// Whether containers on it find each other by name. Docker's default network has no names.
    pub fn has_names(&self) -> bool {
        self.name != DEFAULT
    }

    /// Its subnet of that family.
    pub fn ipam(&self, ipv6: bool) -> Option<&Ipam> {
        self.settings.ipam.iter().find(|ipam| matches!(ipam.subnet, IpNet::V6(_)) == ipv6)
    }

    /// Its bridge, if it has one.
    pub fn bridge(&self) -> Option<Bridge> {
        let Settings { link, ipam, mtu, internal, masquerade, icc, .. } = &self.settings;
        let own = |ipam: &Ipam| IpNet::new(ipam.gateway, ipam.subnet.prefix_len()).ok();
        (self.driver == Driver::Bridge).then(|| Bridge {
            name: link.clone(),
            addresses: ipam.iter().filter_map(own).collect(),
            mtu: *mtu,
            policy: Policy { internal: *internal, masquerade: *masquerade, icc: *icc },
        })
    }
}

const COLUMNS: &str = "id, name, created, driver, settings";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Network> {
    let bad =
        |index, source| rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, source);
    let driver =
        Driver::of(row.get_ref(3)?.as_str()?).ok_or_else(|| bad(3, "it is no driver of ours".into()))?;
    let settings =
        serde_json::from_str(row.get_ref(4)?.as_str()?).map_err(|error| bad(4, Box::new(error)))?;
    Ok(Network { id: row.get(0)?, name: row.get(1)?, created: row.get(2)?, driver, settings })
}

/// Records one.
///
/// # Errors
/// The name is taken: Docker's words.
pub fn insert(transaction: &Transaction<'_>, network: &Network) -> Result<()> {
    if by_name(transaction, &network.name)?.is_some() {
        return Err(Error::Conflict(format!("network with name {} already exists", network.name)));
    }
    let settings = serde_json::to_string(&network.settings)
        .map_err(|error| Error::Corrupt(format!("cannot write the settings of a network: {error}")))?;
    transaction.execute(
        "INSERT INTO networks VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL)",
        params![network.id, network.name, network.created, network.driver.word(), settings],
    )?;
    Ok(())
}

/// The network of that name.
///
/// # Errors
/// The database's.
pub fn by_name(connection: &Connection, name: &str) -> Result<Option<Network>> {
    Ok(connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM networks WHERE name = ?1"))?
        .query_row([name], from_row)
        .optional()?)
}

/// The network of that name, ID, or unambiguous beginning of an ID, in this order, as Docker looks it up.
///
/// # Errors
/// None, or more than one.
pub fn find(connection: &Connection, wanted: &str) -> Result<Network> {
    if let Some(network) = by_name(connection, wanted)? {
        return Ok(network);
    }
    let none = || Error::NotFound { kind: "network", name: wanted.into() };
    if wanted.is_empty() || !wanted.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(none());
    }
    let mut query = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM networks WHERE id >= ?1 AND id < ?2 LIMIT 2"))?;
    let mut found = query.query_map([wanted, &format!("{wanted}g")], from_row)?;
    match (found.next().transpose()?, found.next().transpose()?) {
        (Some(network), None) => Ok(network),
        (Some(_), Some(_)) => {
            Err(Error::Invalid(format!("network {wanted} is ambiguous: it is the beginning of several IDs")))
        }
        (None, _) => Err(none()),
    }
}

/// All, by name.
///
/// # Errors
/// The database's.
pub fn all(connection: &Connection) -> Result<Vec<Network>> {
    let mut query = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM networks ORDER BY name"))?;
    let rows = query.query_map([], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Forgets one, with its endpoints; false if there was none.
///
/// # Errors
/// The database's.
pub fn delete(transaction: &Transaction<'_>, id: &str) -> Result<bool> {
    Ok(transaction.execute("DELETE FROM networks WHERE id = ?1", [id])? > 0)
}
