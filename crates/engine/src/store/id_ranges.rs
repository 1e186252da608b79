//! The table `id_ranges`: which container holds which user and group IDs (`--userns=auto`).
//!
//! A range outlives the record of its container: it is free only when nothing is left on disk or running that could
//! belong to it. Where that cannot be known it is kept for good ([`keep`]). So it is given back in two steps: marked in the transaction that forgets the container
//! ([`give_back`]), and deleted once its files are gone ([`free`]).

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::error::{Error, Result};
use crate::store::settings;
use crate::users::pool::{self, Block, Pool, SLOT, Taken};

const LAST: &str = "last id range";
const BLOCKS: &str = "id blocks";
const STABLE: &str = "stable id range";

/// What the engine hands out IDs from.
pub(crate) struct Source<'a> {
    pub(crate) pool: Pool,
    /// What others have.
    pub(crate) taken: Taken,
    /// The engine's root folder, by which it is known to other engines.
    pub(crate) root: &'a Path,
}

/// Takes the next free range of `size` IDs for the container; gives its first.
///
/// # Errors
/// None is left.
pub(crate) fn lease(
    transaction: &Transaction<'_>,
    source: &Source<'_>,
    size: u32,
    container: &str,
) -> Result<u32> {
    stable(transaction, source)?;
    let first = next(transaction, source, size)?;
    transaction
        .prepare_cached("INSERT INTO id_ranges VALUES (?1, ?2, ?3, 0, 0)")?
        .execute(params![first, size, container])?;
    Ok(first)
}

/// The engine's own range, in which container IDs stand on disk where several containers share files: taken once, and
/// never given back.
///
/// # Errors
/// No range is left.
pub(crate) fn stable(transaction: &Transaction<'_>, source: &Source<'_>) -> Result<u32> {
    if let Some(first) = known_stable(transaction)? {
        return Ok(first);
    }
    let first = next(transaction, source, SLOT)?;
    settings::set(transaction, STABLE, &first.to_string())?;
    Ok(first)
}

/// The same, if it was taken already.
///
/// # Errors
/// The database's.
pub(crate) fn known_stable(connection: &Connection) -> Result<Option<u32>> {
    Ok(settings::get(connection, STABLE)?.and_then(|text| text.parse().ok()))
}

fn next(transaction: &Transaction<'_>, source: &Source<'_>, size: u32) -> Result<u32> {
    let corrupt =
        |error: serde_json::Error| Error::Corrupt(format!("cannot read the blocks of IDs: {error}"));
    let mut blocks: Vec<Block> = match settings::get(transaction, BLOCKS)? {
        Some(text) => serde_json::from_str(&text).map_err(corrupt)?,
        None => Vec::new(),
    };
    // A pool that was set anew: what lies outside of it is not handed out any more.
    let usable = |blocks: &[Block]| -> Vec<Block> {
        blocks
            .iter()
            .filter(|block| block.first >= source.pool.first && block.end - 1 <= source.pool.last)
            .copied()
            .collect()
    };
    let last = settings::get(transaction, LAST)?.and_then(|text| text.parse().ok()).unwrap_or(0);
    let own = known_stable(transaction)?.map(|first| (first, first.saturating_add(SLOT)));
    let mut below = transaction.prepare_cached(
        // Ranges do not overlap each other, so only the last one that begins before the end can reach in.
        "SELECT first + count FROM (SELECT first, count FROM id_ranges WHERE first < ?1 ORDER BY first DESC LIMIT 1)
         WHERE first + count > ?2",
    )?;
    let mut held = |first: u32, end: u32| -> Result<Option<u32>> {
        if let Some((_, after)) = own.filter(|(from, after)| *from < end && *after > first) {
            return Ok(Some(after));
        }
        Ok(below.query_row(params![end, first], |row| row.get(0)).optional()?)
    };
    loop {
        if let Some(first) = pool::next_free(&usable(&blocks), size, last, &source.taken, &mut held)? {
            settings::set(transaction, LAST, &first.to_string())?;
            return Ok(first);
        }
        let Some(block) = source.pool.take_block(source.root, &blocks)? else {
            return Err(pool::exhausted(size, source.pool));
        };
        blocks.push(block);
        settings::set(transaction, BLOCKS, &serde_json::to_string(&blocks).map_err(corrupt)?)?;
    }
}

/// Marks what the container holds as given back.
///
/// # Errors
/// The database's.
pub(crate) fn give_back(transaction: &Transaction<'_>, container: &str) -> Result<()> {
    transaction
        .prepare_cached("UPDATE id_ranges SET released = 1 WHERE container = ?1")?
        .execute([container])?;
    Ok(())
}

/// Keeps the container's range from ever being handed out again: files or objects with its IDs may stay where the engine
/// does not see them.
///
/// # Errors
/// The database's.
pub(crate) fn keep(transaction: &Transaction<'_>, container: &str) -> Result<()> {
    transaction.prepare_cached("UPDATE id_ranges SET kept = 1 WHERE container = ?1")?.execute([container])?;
    Ok(())
}

/// Makes what a forgotten container held free for others, unless another container shares it.
///
/// # Errors
/// The database's.
pub(crate) fn free(transaction: &Transaction<'_>, container: &str) -> Result<()> {
    transaction
        .prepare_cached(
            "DELETE FROM id_ranges WHERE container = ?1 AND released AND NOT kept
             AND NOT EXISTS (SELECT 1 FROM containers WHERE users_of = ?1 AND users_of != '')",
        )?
        .execute([container])?;
    Ok(())
}

/// The forgotten containers whose ranges are not free yet.
///
/// # Errors
/// The database's.
pub(crate) fn given_back(connection: &Connection) -> Result<Vec<String>> {
    let mut query =
        connection.prepare_cached("SELECT container FROM id_ranges WHERE released AND NOT kept")?;
    let rows = query.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many ranges are held, and how many of them for good.
///
/// # Errors
/// The database's.
pub(crate) fn count(connection: &Connection) -> Result<(i64, i64)> {
    let query = "SELECT count(*), coalesce(sum(kept), 0) FROM id_ranges";
    Ok(connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
}
