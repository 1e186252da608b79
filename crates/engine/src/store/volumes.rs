//! The tables `volumes` and `volume_uses`: which volumes there are, and who uses them.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::settings;
use crate::error::{Error, Result};

/// A volume.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Its name; 64 hexadecimal digits for an anonymous one.
    pub name: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The options of its driver ([`crate::spec`] says what they mean). They are a setting in the database: a store that
    /// has none of them is as it was before there were any.
    pub options: BTreeMap<String, String>,
    /// Whether it was made without a name, for one container.
    pub anonymous: bool,
    /// What ID 0 of a container is in its files; 0: container IDs stand there themselves.
    pub first_id: u32,
}

/// The setting that has the options of a volume's driver.
fn options_key(name: &str) -> String {
    format!("volume-options:{name}")
}

/// Makes the volume if there is none of that name.
///
/// # Errors
/// The database's.
pub fn insert(transaction: &Transaction<'_>, volume: &Volume) -> Result<()> {
    let json = |map: &BTreeMap<String, String>| {
        serde_json::to_string(map).map_err(|error| Error::Corrupt(error.to_string()))
    };
    let labels = json(&volume.labels)?;
    let made = transaction.execute(
        "INSERT INTO volumes VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO NOTHING",
        params![volume.name, volume.created, labels, volume.anonymous, volume.first_id],
    )?;
    if made > 0 && !volume.options.is_empty() {
        settings::set(transaction, &options_key(&volume.name), &json(&volume.options)?)?;
    }
    Ok(())
}

/// All of them, by name.
///
/// # Errors
/// The database's.
pub fn all(connection: &Connection) -> Result<Vec<Volume>> {
    let mut query = connection.prepare("SELECT name FROM volumes ORDER BY name")?;
    let names = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut volumes = Vec::new();
    for name in names {
        // One that went meanwhile is not there.
        volumes.extend(find(connection, &name)?);
    }
    Ok(volumes)
}

/// The IDs of the containers that use a volume.
///
/// # Errors
/// The database's.
pub fn users(connection: &Connection, name: &str) -> Result<Vec<String>> {
    let mut query = connection.prepare_cached("SELECT container FROM volume_uses WHERE volume = ?1")?;
    let rows = query.query_map([name], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Makes the volume if there is none of that name, and notes that the container uses it.
///
/// # Errors
/// The database's.
pub fn take(transaction: &Transaction<'_>, volume: &Volume, container: &str) -> Result<()> {
    insert(transaction, volume)?;
    transaction.execute(
        "INSERT INTO volume_uses VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![volume.name, container],
    )?;
    Ok(())
}

/// The anonymous volumes that only this container uses.
///
/// # Errors
/// The database's.
pub fn anonymous_of(connection: &Connection, container: &str) -> Result<Vec<String>> {
    let mut query = connection.prepare_cached(
        "SELECT name FROM volumes JOIN volume_uses ON volume = name WHERE container = ?1 AND anonymous
         AND NOT EXISTS (SELECT 1 FROM volume_uses other WHERE other.volume = name AND other.container != ?1)",
    )?;
    let rows = query.query_map([container], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Forgets a volume that nobody uses. Gives whether it is gone.
///
/// # Errors
/// The database's.
pub fn delete(transaction: &Transaction<'_>, name: &str) -> Result<bool> {
    let gone = transaction.execute(
        "DELETE FROM volumes WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM volume_uses WHERE volume = ?1)",
        [name],
    )?;
    if gone > 0 {
        settings::unset(transaction, &options_key(name))?;
    }
    Ok(gone > 0)
}

/// The volume of that name.
///
/// # Errors
/// The database's.
pub fn find(connection: &Connection, name: &str) -> Result<Option<Volume>> {
    let row = connection
        .prepare_cached("SELECT name, created, labels, anonymous, first_id FROM volumes WHERE name = ?1")?
        .query_row([name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    row.map(|(name, created, labels, anonymous, first_id): (String, i64, String, bool, u32)| {
        let map = |what: &str, text: &str| -> Result<BTreeMap<String, String>> {
            serde_json::from_str(text)
                .map_err(|error| Error::Corrupt(format!("cannot read the {what} of volume {name}: {error}")))
        };
        let labels = map("labels", &labels)?;
        let options = match settings::get(connection, &options_key(&name))? {
            Some(text) => map("options", &text)?,
            None => BTreeMap::new(),
        };
        Ok(Volume { name, created, labels, options, anonymous, first_id })
    })
    .transpose()
}
