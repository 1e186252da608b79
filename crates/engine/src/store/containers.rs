//! The table `containers`: every container there is, with the configuration that it was made with, in Docker's
//! own form.

use std::collections::HashSet;

use bollard_stubs::models::ContainerCreateBody;
use bulkhead_supervisor::status::ProcessId;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::error::{Error, Result};
use crate::users::Users;

/// A container as it was made.
#[derive(Clone, Debug)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// Nanoseconds since 1970.
    pub created: i64,
    /// The image's ID (`sha256:…`), or the built-in image's name.
    pub image: String,
    /// What it was asked for, completed from its image.
    pub config: ContainerCreateBody,
    /// Whether it goes when it ends.
    pub auto_remove: bool,
    /// The process that made it in order to start it at once (`run`): if it is gone and the container never
    /// started, an auto-removed one goes too.
    pub creator: Option<ProcessId>,
    /// Whose IDs it has.
    pub users: Users,
}

const COLUMNS: &str = "id, name, created, image, config, auto_remove, creator, users";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Container> {
    let json = |index: usize, error: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(error))
    };
    Ok(Container {
        id: row.get(0)?,
        name: row.get(1)?,
        created: row.get(2)?,
        image: row.get(3)?,
        config: serde_json::from_str(row.get_ref(4)?.as_str()?).map_err(|error| json(4, error))?,
        auto_remove: row.get(5)?,
        creator: serde_json::from_str(row.get_ref(6)?.as_str()?).map_err(|error| json(6, error))?,
        users: serde_json::from_str(row.get_ref(7)?.as_str()?).map_err(|error| json(7, error))?,
    })
}

/// Records it; its name becomes its own.
///
/// # Errors
/// The name is taken: Docker's words, with the ID of who holds it.
pub fn insert(transaction: &Transaction<'_>, container: &Container) -> Result<()> {
    let corrupt =
        |error: serde_json::Error| Error::Corrupt(format!("cannot write the configuration: {error}"));
    let config = serde_json::to_string(&container.config).map_err(corrupt)?;
    let creator = serde_json::to_string(&container.creator).map_err(corrupt)?;
    if let Some(holder) = id_of_name(transaction, &container.name)? {
        return Err(name_taken(&container.name, &holder));
    }
    let users = serde_json::to_string(&container.users).map_err(corrupt)?;
    transaction.prepare_cached("INSERT INTO containers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(
        params![
            container.id,
            container.name,
            container.created,
            container.image,
            config,
            container.auto_remove,
            creator,
            users
        ],
    )?;
    Ok(())
}

/// Docker's words for a name that another container has.
pub(crate) fn name_taken(name: &str, holder: &str) -> Error {
    Error::Conflict(format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
    ))
}

/// Gives a container another name.
///
/// # Errors
/// It is gone, or the name is taken.
pub(crate) fn rename(transaction: &Transaction<'_>, id: &str, name: &str) -> Result<()> {
    if let Some(holder) = id_of_name(transaction, name)? {
        return Err(name_taken(name, &holder));
    }
    match transaction.execute("UPDATE containers SET name = ?2 WHERE id = ?1", params![id, name])? {
        0 => Err(Error::no_container(id)),
        _ => Ok(()),
    }
}

/// Records another configuration of a container.
///
/// # Errors
/// It is gone.
pub(crate) fn configure(transaction: &Transaction<'_>, id: &str, config: &ContainerCreateBody) -> Result<()> {
    let config = serde_json::to_string(config)
        .map_err(|error| Error::Corrupt(format!("cannot write the configuration: {error}")))?;
    match transaction.execute("UPDATE containers SET config = ?2 WHERE id = ?1", params![id, config])? {
        0 => Err(Error::no_container(id)),
        _ => Ok(()),
    }
}

/// The ID of the container of that name.
///
/// # Errors
/// The database's.
pub fn id_of_name(connection: &Connection, name: &str) -> Result<Option<String>> {
    Ok(connection
        .prepare_cached("SELECT id FROM containers WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// The container of that ID, name, or unambiguous beginning of an ID, in this order, as Docker looks it up.
///
/// # Errors
/// None, or more than one.
pub fn find(connection: &Connection, wanted: &str) -> Result<Container> {
    let name = wanted.strip_prefix('/').unwrap_or(wanted);
    let exact = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM containers WHERE id = ?1 OR name = ?1 ORDER BY id != ?1 LIMIT 1"
        ))?
        .query_row([name], from_row)
        .optional()?;
    if let Some(container) = exact {
        return Ok(container);
    }
    if name.is_empty() || !name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(Error::no_container(wanted));
    }
    let mut query = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM containers WHERE id >= ?1 AND id < ?2 LIMIT 2"))?;
    let mut found = query.query_map([name, &format!("{name}g")], from_row)?;
    match (found.next().transpose()?, found.next().transpose()?) {
        (Some(container), None) => Ok(container),
        (Some(_), Some(_)) => Err(Error::Invalid(format!("multiple IDs found with provided prefix: {name}"))),
        (None, _) => Err(Error::no_container(wanted)),
    }
}

/// All, the newest first.
///
/// # Errors
/// The database's.
pub fn all(connection: &Connection) -> Result<Vec<Container>> {
    let mut query =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM containers ORDER BY created DESC, id"))?;
    let rows = query.query_map([], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The IDs of all.
///
/// # Errors
/// The database's.
pub fn ids(connection: &Connection) -> Result<HashSet<String>> {
    let mut query = connection.prepare_cached("SELECT id FROM containers")?;
    let rows = query.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Those that are to be removed when they end.
///
/// # Errors
/// The database's.
pub fn auto_removed(connection: &Connection) -> Result<Vec<(String, Option<ProcessId>)>> {
    let mut query = connection.prepare_cached("SELECT id, creator FROM containers WHERE auto_remove")?;
    let mut rows = query.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let creator: String = row.get(1)?;
        if let Ok(creator) = serde_json::from_str(&creator) {
            found.push((row.get(0)?, creator));
        }
    }
    Ok(found)
}

/// The IDs of the containers made from an image, or with a mount of it.
///
/// # Errors
/// The database's.
pub fn of_image(connection: &Connection, image: &str) -> Result<Vec<String>> {
    let mut query = connection.prepare_cached(
        "SELECT id FROM containers WHERE image = ?1 UNION SELECT container FROM image_uses WHERE image = ?1",
    )?;
    let rows = query.query_map([image], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The images whose files containers see, their own or mounted ones, with the IDs of those containers.
///
/// # Errors
/// The database's.
pub(crate) fn images_by_users(connection: &Connection) -> Result<Vec<(String, Users)>> {
    let mut query = connection.prepare_cached(
        "SELECT image, users FROM containers
         UNION SELECT image_uses.image, users FROM image_uses JOIN containers ON id = container",
    )?;
    let mut rows = query.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let users = serde_json::from_str(row.get_ref(1)?.as_str().unwrap_or_default())
            .map_err(|error| Error::Corrupt(format!("cannot read the IDs of a container: {error}")))?;
        found.push((row.get(0)?, users));
    }
    Ok(found)
}

/// Forgets it, with all that it holds.
///
/// # Errors
/// The database's.
pub fn delete(transaction: &Transaction<'_>, id: &str) -> Result<()> {
    transaction.prepare_cached("DELETE FROM containers WHERE id = ?1")?.execute([id])?;
    Ok(())
}
