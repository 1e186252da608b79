//! The table `settings`: what an engine decided once and keeps, such as its default network.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;

/// The value of a setting.
///
/// # Errors
/// The database's.
pub fn get(connection: &Connection, key: &str) -> Result<Option<String>> {
    Ok(connection
        .prepare_cached("SELECT value FROM settings WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

/// Sets it.
///
/// # Errors
/// The database's.
pub fn set(connection: &Connection, key: &str, value: &str) -> Result<()> {
    connection.execute(
        "INSERT INTO settings VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![key, value],
    )?;
    Ok(())
}

/// Takes it away.
///
/// # Errors
/// The database's.
pub fn unset(connection: &Connection, key: &str) -> Result<()> {
    connection.execute("DELETE FROM settings WHERE key = ?1", [key])?;
    Ok(())
}

/// All settings whose key begins so.
///
/// # Errors
/// The database's.
pub fn beginning_with(connection: &Connection, start: &str) -> Result<Vec<(String, String)>> {
    let mut query = connection
        .prepare_cached("SELECT key, value FROM settings WHERE key >= ?1 AND key < ?1 || char(1114111)")?;
    let rows = query.query_map([start], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
