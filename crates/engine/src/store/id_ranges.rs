//! The tables `id_ranges` and `id_users`: which user and group IDs are held (`--userns=auto`), and which containers use
//! them: the one that leased the range, and those that share its user namespace.
//!
//! A use outlives the record of its container: it ends only when nothing is left on disk or running that could belong to
//! it, and a range is free when it has no use. So it is given back in two steps: marked in the transaction that forgets
//! the container ([`give_back`]), and ended once its files are gone ([`end_use`]). Where it cannot be known whether
//! something stays, the range is kept for good ([`keep`]).

use std::cell::RefCell;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::accounts::Etc;
use crate::error::{Error, Result};
use crate::store::settings;
use crate::users::pool::{self, Block, Pool, SLOT, Taken};

const LAST: &str = "last id range";
const BLOCKS: &str = "id blocks";
const OWN: &str = "own id ranges";
/// Whether a container could ever write into folders of the host.
const BINDS: &str = "binds";

/// The engine's own ranges, each of [`SLOT`] IDs: taken once, one after the other, and never given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own(u32);

impl Own {
    /// As which the IDs of containers stand on disk in the host's folders.
    pub(crate) fn binds(self) -> u32 {
        self.0
    }

    /// As which they stand on disk in volumes. Another range, so that a bind of the engine's own folders shows none.
    pub(crate) fn volumes(self) -> u32 {
        self.0 + SLOT
    }

    /// As which no process ever runs: it stands on no disk either, so that no set-ID file can make one.
    pub(crate) fn strangers(self) -> u32 {
        self.0 + 2 * SLOT
    }

    fn end(self) -> u32 {
        self.0 + pool::ENGINE_S
    }
}

/// What the engine hands out IDs from.
pub(crate) struct Source<'a> {
    pub(crate) pool: Pool,
    /// What others have.
    pub(crate) taken: Taken,
    /// The engine's root folder, by which it is known to other engines.
    pub(crate) root: &'a Path,
    /// Where blocks that are taken are recorded, so that other tools keep off them.
    pub(crate) etc: &'a Etc,
    /// Why that could not be done, if it could not.
    pub(crate) unrecorded: RefCell<Option<String>>,
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
    own(transaction, source)?;
    let first = next(transaction, source, size)?;
    transaction.prepare_cached("INSERT INTO id_ranges VALUES (?1, ?2, 0)")?.execute(params![first, size])?;
    use_range(transaction, container, first)?;
    Ok(first)
}

/// Notes that a container has the IDs of another.
///
/// # Errors
/// The database's.
pub(crate) fn share(transaction: &Transaction<'_>, container: &str, with: &str) -> Result<()> {
    let first: Option<u32> = transaction
        .prepare_cached("SELECT first FROM id_users WHERE container = ?1")?
        .query_row([with], |row| row.get(0))
        .optional()?;
    // One with IDs that no lease is for has none to share.
    first.map_or(Ok(()), |first| use_range(transaction, container, first))
}

fn use_range(transaction: &Transaction<'_>, container: &str, first: u32) -> Result<()> {
    transaction
        .prepare_cached("INSERT INTO id_users VALUES (?1, ?2, 0, 0)")?
        .execute(params![container, first])?;
    Ok(())
}

/// The engine's own ranges, which are taken if they were not.
///
/// # Errors
/// No range is left.
pub(crate) fn own(transaction: &Transaction<'_>, source: &Source<'_>) -> Result<Own> {
    if let Some(own) = known_own(transaction)? {
        return Ok(own);
    }
    let first = next(transaction, source, pool::ENGINE_S)?;
    settings::set(transaction, OWN, &first.to_string())?;
    if settings::get(transaction, BINDS)?.is_none() {
        settings::set(transaction, BINDS, "no")?;
    }
    Ok(Own(first))
}

/// The same, if they were taken already.
///
/// # Errors
/// The database's.
pub(crate) fn known_own(connection: &Connection) -> Result<Option<Own>> {
    Ok(settings::get(connection, OWN)?.and_then(|text| text.parse().ok()).map(Own))
}

/// Notes that a container can write into folders of the host: files there have IDs of the engine's.
///
/// # Errors
/// The database's.
pub(crate) fn note_binds(transaction: &Transaction<'_>) -> Result<()> {
    match settings::get(transaction, BINDS)?.as_deref() {
        Some("yes") => Ok(()),
        _ => settings::set(transaction, BINDS, "yes"),
    }
}

/// Whether that was ever so. A store that is older than the note does not know.
///
/// # Errors
/// The database's.
pub(crate) fn has_had_binds(connection: &Connection) -> Result<bool> {
    Ok(settings::get(connection, BINDS)?.as_deref() != Some("no"))
}

/// All that this engine has taken for itself and its containers, whatever the pool is now: nobody may ask for these IDs.
///
/// # Errors
/// The database's.
pub(crate) fn reserved(connection: &Connection) -> Result<Vec<(u32, u32)>> {
    let mut spans: Vec<(u32, u32)> =
        blocks(connection)?.into_iter().map(|block| (block.first, block.end)).collect();
    spans.extend(known_own(connection)?.map(|own| (own.0, own.end())));
    let mut query = connection.prepare_cached("SELECT first, first + count FROM id_ranges")?;
    for row in query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        spans.push(row?);
    }
    Ok(spans)
}

/// The blocks of the pool that this engine has taken.
///
/// # Errors
/// The database's.
pub(crate) fn blocks(connection: &Connection) -> Result<Vec<Block>> {
    match settings::get(connection, BLOCKS)? {
        Some(text) => serde_json::from_str(&text).map_err(corrupt),
        None => Ok(Vec::new()),
    }
}

fn corrupt(error: serde_json::Error) -> Error {
    Error::Corrupt(format!("cannot read the blocks of IDs: {error}"))
}

fn next(transaction: &Transaction<'_>, source: &Source<'_>, size: u32) -> Result<u32> {
    let mut all = blocks(transaction)?;
    // A pool that was set anew: what lies outside of it is not handed out any more.
    let usable = |blocks: &[Block]| -> Vec<Block> {
        let inside = |block: &&Block| block.first >= source.pool.first && block.end - 1 <= source.pool.last;
        blocks.iter().filter(inside).copied().collect()
    };
    let last = settings::get(transaction, LAST)?.and_then(|text| text.parse().ok()).unwrap_or(0);
    let own = known_own(transaction)?;
    let mut below = transaction.prepare_cached(
        // Ranges do not overlap each other, so only the last one that begins before the end can reach in.
        "SELECT first + count FROM (SELECT first, count FROM id_ranges WHERE first < ?1 ORDER BY first DESC LIMIT 1)
         WHERE first + count > ?2",
    )?;
    let mut held = |first: u32, end: u32| -> Result<Option<u32>> {
        if let Some(own) = own.filter(|own| own.0 < end && own.end() > first) {
            return Ok(Some(own.end()));
        }
        Ok(below.query_row(params![end, first], |row| row.get(0)).optional()?)
    };
    loop {
        if let Some(first) = pool::next_free(&usable(&all), size, last, &source.taken, &mut held)? {
            settings::set(transaction, LAST, &first.to_string())?;
            return Ok(first);
        }
        let Some(block) = source.pool.take_block(source.root, &all, source.etc)? else {
            let (_, kept) = count(transaction)?;
            return Err(pool::exhausted(size, source.pool, kept));
        };
        if let Err(error) = pool::record(source.etc, block) {
            source.unrecorded.replace(Some(error.to_string()));
        }
        all.push(block);
        settings::set(transaction, BLOCKS, &serde_json::to_string(&all).map_err(corrupt)?)?;
    }
}

/// Notes whether it is not known yet that nothing of the container's IDs can stay where the engine does not see it: one
/// that is forgotten in this state has its range kept.
///
/// # Errors
/// The database's.
pub(crate) fn unsure(transaction: &Transaction<'_>, container: &str, unsure: bool) -> Result<()> {
    transaction
        .prepare_cached("UPDATE id_users SET unsure = ?2 WHERE container = ?1")?
        .execute(params![container, unsure])?;
    Ok(())
}

/// Whether that is noted.
///
/// # Errors
/// The database's.
pub(crate) fn is_unsure(connection: &Connection, container: &str) -> Result<bool> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM id_users WHERE container = ?1 AND unsure")?
        .exists([container])?)
}

/// Keeps the container's range from ever being handed out again: files or objects with its IDs may stay where the engine
/// does not see them.
///
/// # Errors
/// The database's.
pub(crate) fn keep(transaction: &Transaction<'_>, container: &str) -> Result<()> {
    transaction
        .prepare_cached(
            "UPDATE id_ranges SET kept = 1 WHERE first = (SELECT first FROM id_users WHERE container = ?1)",
        )?
        .execute([container])?;
    Ok(())
}

/// Marks that the container is forgotten.
///
/// # Errors
/// The database's.
pub(crate) fn give_back(transaction: &Transaction<'_>, container: &str) -> Result<()> {
    if is_unsure(transaction, container)? {
        keep(transaction, container)?;
    }
    transaction
        .prepare_cached("UPDATE id_users SET released = 1 WHERE container = ?1")?
        .execute([container])?;
    Ok(())
}

/// Ends a forgotten container's use of its range; without any other it is free.
///
/// # Errors
/// The database's.
pub(crate) fn end_use(transaction: &Transaction<'_>, container: &str) -> Result<()> {
    let first: Option<u32> = transaction
        .prepare_cached("DELETE FROM id_users WHERE container = ?1 AND released RETURNING first")?
        .query_row([container], |row| row.get(0))
        .optional()?;
    if let Some(first) = first {
        transaction
            .prepare_cached(
                "DELETE FROM id_ranges WHERE first = ?1 AND NOT kept
                 AND NOT EXISTS (SELECT 1 FROM id_users WHERE id_users.first = ?1)",
            )?
            .execute([first])?;
    }
    Ok(())
}

/// The forgotten containers whose use has not ended yet.
///
/// # Errors
/// The database's.
pub(crate) fn given_back(connection: &Connection) -> Result<Vec<String>> {
    let mut query = connection.prepare_cached("SELECT container FROM id_users WHERE released")?;
    let rows = query.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// First and last ID of the ranges that are held for good: files or objects with their IDs may stay anywhere.
///
/// # Errors
/// The database's.
pub(crate) fn kept_for_good(connection: &Connection) -> Result<Vec<(u32, u32)>> {
    let mut query = connection.prepare_cached("SELECT first, first + count - 1 FROM id_ranges WHERE kept")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
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
