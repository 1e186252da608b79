//! The tables `images` and `tags`: which images there are, and which names point to which. Their bytes are in
//! the image store.

use bulkhead_image::{ContainerConfig, Digest, Highest, Loaded, Reference};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::error::{Error, Result};

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// `sha256:…`.
    pub id: String,
    /// When it was made (RFC 3339), as its config says.
    pub created: String,
    /// When it came here, in seconds since 1970.
    pub loaded: i64,
    /// The size of its files in bytes.
    pub size: u64,
    /// Its layers' diff IDs, the lowest first.
    pub layers: Vec<Digest>,
    /// What its containers start with.
    pub config: ContainerConfig,
    /// The processor it is for, in Go's words.
    pub architecture: String,
    /// The highest user or group ID of its files; `None` if an older version stored it.
    pub highest: Option<Highest>,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Image> {
    let json = |index: usize, error: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(error))
    };
    Ok(Image {
        id: row.get(0)?,
        created: row.get(1)?,
        loaded: row.get(2)?,
        size: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
        layers: serde_json::from_str(row.get_ref(4)?.as_str()?).map_err(|error| json(4, error))?,
        config: serde_json::from_str(row.get_ref(5)?.as_str()?).map_err(|error| json(5, error))?,
        architecture: row.get(6)?,
        highest: row
            .get::<_, Option<String>>(7)?
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| json(7, error))?,
    })
}

/// Records an image and points names at it. Gives the names that pointed elsewhere before.
///
/// # Errors
/// The database's.
pub fn insert(transaction: &Transaction<'_>, loaded: &Loaded, highest: &Highest, now: i64) -> Result<()> {
    let corrupt =
        |error: serde_json::Error| Error::Corrupt(format!("cannot write the image's config: {error}"));
    transaction.execute(
        "INSERT INTO images VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
        params![
            loaded.id.to_string(),
            loaded.config.created.clone().unwrap_or_default(),
            now,
            i64::try_from(loaded.size).unwrap_or(i64::MAX),
            serde_json::to_string(&loaded.layers).map_err(corrupt)?,
            serde_json::to_string(&loaded.config.config).map_err(corrupt)?,
            loaded.config.architecture,
            serde_json::to_string(highest).map_err(corrupt)?,
        ],
    )?;
    for reference in &loaded.references {
        tag(transaction, reference, &loaded.id.to_string())?;
    }
    Ok(())
}

/// Points a name at an image.
///
/// # Errors
/// The database's.
pub fn tag(transaction: &Transaction<'_>, reference: &Reference, image: &str) -> Result<()> {
    transaction.execute(
        "INSERT INTO tags VALUES (?1, ?2) ON CONFLICT (reference) DO UPDATE SET image = excluded.image",
        params![reference.to_string(), image],
    )?;
    Ok(())
}

/// Takes a name away. Gives whether it was there.
///
/// # Errors
/// The database's.
pub fn untag(transaction: &Transaction<'_>, reference: &Reference) -> Result<bool> {
    Ok(transaction.execute("DELETE FROM tags WHERE reference = ?1", [reference.to_string()])? > 0)
}

const COLUMNS: &str = "id, created, loaded, size, layers, config, architecture, highest";

/// The image of that name, ID, or unambiguous beginning of an ID.
///
/// # Errors
/// None, or more than one.
pub fn find(connection: &Connection, wanted: &str) -> Result<Image> {
    let no_image = || Error::NotFound { kind: "image", name: wanted.into() };
    if let Ok(reference) = Reference::parse(wanted) {
        // A digest says which image; a tag beside it says nothing more.
        let reference = match reference.digest() {
            Some(digest) => reference.with_digest(*digest),
            None => reference,
        };
        let named = connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM images WHERE id = (SELECT image FROM tags WHERE reference = ?1)"
            ))?
            .query_row([reference.to_string()], from_row)
            .optional()?;
        if let Some(image) = named {
            return Ok(image);
        }
    }
    let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    if hex.is_empty() || hex.len() > 64 || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err(no_image());
    }
    let mut query = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM images WHERE id >= ?1 AND id < ?2 LIMIT 2"))?;
    let mut found = query.query_map([format!("sha256:{hex}"), format!("sha256:{hex}g")], from_row)?;
    match (found.next().transpose()?, found.next().transpose()?) {
        (Some(image), None) => Ok(image),
        (Some(_), Some(_)) => {
            Err(Error::Invalid(format!("multiple images found with provided prefix: {hex}")))
        }
        (None, _) => Err(no_image()),
    }
}

/// All, the newest first.
///
/// # Errors
/// The database's.
pub fn all(connection: &Connection) -> Result<Vec<Image>> {
    let mut query = connection.prepare(&format!("SELECT {COLUMNS} FROM images ORDER BY created DESC, id"))?;
    let rows = query.query_map([], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The tags that point to an image, in full form.
///
/// # Errors
/// The database's.
pub fn names(connection: &Connection, image: &str) -> Result<Vec<Reference>> {
    let mut all = references(connection, image)?;
    all.retain(|reference| reference.digest().is_none());
    Ok(all)
}

/// What registries call an image: names with a digest. It is found by them as by tags, and they go with it.
///
/// # Errors
/// The database's.
pub fn digests(connection: &Connection, image: &str) -> Result<Vec<Reference>> {
    let mut all = references(connection, image)?;
    all.retain(|reference| reference.digest().is_some());
    Ok(all)
}

fn references(connection: &Connection, image: &str) -> Result<Vec<Reference>> {
    let mut query =
        connection.prepare_cached("SELECT reference FROM tags WHERE image = ?1 ORDER BY reference")?;
    let rows = query.query_map([image], |row| row.get::<_, String>(0))?;
    let mut names = Vec::new();
    for name in rows {
        names.push(Reference::parse(&name?)?);
    }
    Ok(names)
}

/// Notes that a container has a mount of the image.
///
/// # Errors
/// The database's.
pub fn take(transaction: &Transaction<'_>, image: &str, container: &str) -> Result<()> {
    transaction.execute(
        "INSERT INTO image_uses VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![image, container],
    )?;
    Ok(())
}

/// Forgets an image.
///
/// # Errors
/// The database's.
pub fn delete(transaction: &Transaction<'_>, id: &str) -> Result<()> {
    transaction.execute("DELETE FROM images WHERE id = ?1", [id])?;
    Ok(())
}

/// Of these layers, those that no image has any more.
///
/// # Errors
/// The database's.
pub fn unused(connection: &Connection, layers: &[Digest]) -> Result<Vec<Digest>> {
    let used: Vec<Digest> = all(connection)?.into_iter().flat_map(|image| image.layers).collect();
    Ok(layers.iter().filter(|layer| !used.contains(layer)).copied().collect())
}
