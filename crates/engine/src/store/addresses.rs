//! The table `addresses`: which container holds which address of which network. The primary key is the lease:
//! no two can hold the same.

use std::cell::RefCell;
use std::net::Ipv4Addr;

use bulkhead_network::bridge::Bridge;
use bulkhead_network::subnet::AddressRange;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::error::Result;
use crate::store::settings;

/// Takes the next free address of the network for the container.
///
/// # Errors
/// No address is left.
pub fn lease(transaction: &Transaction<'_>, bridge: &Bridge, container: &str) -> Result<Ipv4Addr> {
    let key = format!("last address of {}", bridge.name);
    let last = settings::get(transaction, &key)?.and_then(|text| text.parse().ok());
    let own = bridge.ipv4().ok_or_else(|| crate::Error::Corrupt("a network without IPv4".into()))?;
    let range = AddressRange::new(own.trunc(), own.addr());
    let held = transaction.prepare_cached("SELECT 1 FROM addresses WHERE network = ?1 AND address = ?2")?;
    let (held, failed) = (RefCell::new(held), RefCell::new(None));
    let free = range.next_free(
        |address| {
            held.borrow_mut().exists(params![bridge.name, u32::from(address)]).unwrap_or_else(|error| {
                failed.replace(Some(error));
                false
            })
        },
        last,
    );
    if let Some(error) = failed.take() {
        return Err(error.into());
    }
    let free = free?;
    transaction.prepare_cached("INSERT INTO addresses VALUES (?1, ?2, ?3)")?.execute(params![
        bridge.name,
        u32::from(free),
        container
    ])?;
    settings::set(transaction, &key, &free.to_string())?;
    Ok(free)
}

/// The address that the container holds on the network.
///
/// # Errors
/// The database's.
pub fn of(connection: &Connection, network: &str, container: &str) -> Result<Option<Ipv4Addr>> {
    let address: Option<u32> = connection
        .prepare_cached("SELECT address FROM addresses WHERE container = ?1 AND network = ?2")?
        .query_row(params![container, network], |row| row.get(0))
        .optional()?;
    Ok(address.map(Ipv4Addr::from))
}
