//! `system recover`: a new database from what can be read of a damaged one.
//!
//! A damaged database is noticed by SQLite when a command reads the damaged page, or when the file is no database, or when
//! it is empty although containers are there ([`Store::open`](super::Store::open)); the command fails then and changes
//! nothing. Recovery is a command of its own, since it can lose something: of each table it takes the rows from the front
//! and from the back up to what cannot be read, and leaves out those that refer to lost ones. What the database was stays
//! beside the new one; the folders of containers and volumes that have no record any more are moved to `ROOT/lost`, where
//! no command deletes them.

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::{SCHEMA, VERSION, make_folder};
use crate::error::{Doing, Error, Result};

/// What was saved, and what was not.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The tables, and how many rows each has now.
    pub saved: Vec<(String, u64)>,
    /// Tables of which not everything could be read, or whose rows refer to what is lost.
    pub incomplete: Vec<String>,
    /// Where the damaged database is now.
    pub damaged: PathBuf,
    /// Where folders without a record are now.
    pub lost: Vec<PathBuf>,
}

/// Makes the new database of the engine whose folder is `root`. No other command may be at work there.
///
/// # Errors
/// There is no store, or the disk's.
pub fn recover(root: &Path) -> Result<Recovered> {
    let path = root.join("bulkhead.db");
    let beside = |suffix: &str| root.join(format!("bulkhead.db{suffix}"));
    if !root.join("containers").is_dir() {
        return Err(Error::Invalid(format!("there is no store in {}", root.display())));
    }
    let new_path = beside(".new");
    for suffix in [".new", ".new-wal", ".new-shm"] {
        // Of a recovery that was killed.
        let _ = std::fs::remove_file(beside(suffix));
    }
    let mut recovered = Recovered::default();
    let new = Connection::open(&new_path)?;
    new.execute_batch(SCHEMA)?;
    match open(&path) {
        Ok(old) => copy_tables(&old, &new, &mut recovered)?,
        Err(_) => recovered.incomplete = tables(&new)?,
    }
    new.execute_batch(&format!("PRAGMA user_version = {VERSION};"))?;
    drop(new);
    std::fs::File::open(&new_path)
        .and_then(|file| file.sync_all())
        .doing(|| format!("write {}", new_path.display()))?;
    recovered.damaged = put_aside(root, &path)?;
    std::fs::rename(&new_path, &path).doing(|| format!("put the new database in {}", path.display()))?;
    move_lost(root, &path, &mut recovered)?;
    Ok(recovered)
}

/// The damaged database, whose log of changes is part of it if that can be.
fn open(path: &Path) -> Result<Connection> {
    let readable = |connection: &Connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
    };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if readable(&connection).is_ok_and(|tables| tables > 0) {
        return Ok(connection);
    }
    // Without the log, as the file is.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(format!("file:{}?immutable=1", path.display()), flags)?;
    readable(&connection)?;
    Ok(connection)
}

fn tables(connection: &Connection) -> Result<Vec<String>> {
    let mut query = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY rowid",
    )?;
    let names = query.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let mut query = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = query.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

fn copy_tables(old: &Connection, new: &Connection, recovered: &mut Recovered) -> Result<()> {
    new.execute_batch("PRAGMA foreign_keys = OFF; BEGIN;")?;
    let tables = tables(new)?;
    for table in &tables {
        let columns = columns(new, table)?;
        let list = columns.join(", ");
        let places = vec!["?"; columns.len()].join(", ");
        let mut insert = new.prepare(&format!("INSERT OR IGNORE INTO {table} ({list}) VALUES ({places})"))?;
        let first = columns.first().cloned().unwrap_or_default();
        let mut whole = true;
        // From the front, and then from the back, up to what cannot be read.
        for order in ["ASC", "DESC"] {
            let query = format!("SELECT {list} FROM {table} NOT INDEXED ORDER BY {first} {order}");
            whole = copy_rows(old, &query, columns.len(), &mut insert)?;
            if whole {
                break;
            }
        }
        if !whole {
            recovered.incomplete.push(table.clone());
        }
    }
    drop_dangling(new, recovered)?;
    new.execute_batch("COMMIT;")?;
    for table in tables {
        let rows: i64 = new.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        recovered.saved.push((table, rows.unsigned_abs()));
    }
    Ok(())
}

/// Copies what the query gives. `false`: it could not be read to its end.
fn copy_rows(
    old: &Connection,
    query: &str,
    width: usize,
    insert: &mut rusqlite::Statement<'_>,
) -> Result<bool> {
    // A table of an older schema lacks columns, or is not there: all of it is lost.
    let Ok(mut query) = old.prepare(query) else { return Ok(false) };
    let Ok(mut rows) = query.query([]) else { return Ok(false) };
    loop {
        match rows.next() {
            Ok(Some(row)) => {
                let values: rusqlite::Result<Vec<Value>> = (0..width).map(|at| row.get(at)).collect();
                let Ok(values) = values else { return Ok(false) };
                // A value that the new table does not take is damaged too.
                let _ = insert.execute(params_from_iter(values));
            }
            Ok(None) => return Ok(true),
            Err(_) => return Ok(false),
        }
    }
}

/// Removes rows that refer to lost ones; what referred to them in turn goes in the next round.
fn drop_dangling(new: &Connection, recovered: &mut Recovered) -> Result<()> {
    for _ in 0..8 {
        let mut query =
            new.prepare("SELECT DISTINCT \"table\", parent, fkid FROM pragma_foreign_key_check")?;
        let found = query
            .query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        if found.is_empty() {
            break;
        }
        for (table, parent, key) in found {
            let (from, to): (String, String) = new.query_row(
                "SELECT \"from\", \"to\" FROM pragma_foreign_key_list(?1) WHERE id = ?2",
                rusqlite::params![table, key],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            new.execute(&format!("DELETE FROM {table} WHERE {from} NOT IN (SELECT {to} FROM {parent})"), [])?;
            if !recovered.incomplete.contains(&table) {
                recovered.incomplete.push(table);
            }
        }
    }
    Ok(())
}

/// Gives the damaged database and its log second names, and takes the log's first away: the new one must not have it. The
/// database itself is replaced in one step, so that whoever is killed leaves one or the other.
fn put_aside(root: &Path, path: &Path) -> Result<PathBuf> {
    let number = (1..u32::MAX)
        .find(|number| !root.join(format!("bulkhead.db.damaged-{number}")).exists())
        .unwrap_or(u32::MAX);
    let aside = root.join(format!("bulkhead.db.damaged-{number}"));
    for suffix in ["-wal", "-shm", ""] {
        let name = |base: &Path| {
            let mut name = base.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        match std::fs::hard_link(name(path), name(&aside)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other.doing(|| format!("keep {}", name(path).display()))?,
        }
        if !suffix.is_empty() {
            std::fs::remove_file(name(path)).doing(|| format!("move {} aside", name(path).display()))?;
        }
    }
    Ok(aside)
}

/// Moves folders that nobody knows any more to where nobody deletes them.
fn move_lost(root: &Path, path: &Path, recovered: &mut Recovered) -> Result<()> {
    let new = Connection::open(path)?;
    for (folder, table, column) in [("containers", "containers", "id"), ("volumes", "volumes", "name")] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let known: i64 = new.query_row(
                &format!("SELECT count(*) FROM {table} WHERE {column} = ?1"),
                [&name],
                |row| row.get(0),
            )?;
            if known == 0 {
                let lost = root.join("lost").join(folder);
                make_folder(&lost)?;
                let to = lost.join(&name);
                std::fs::rename(entry.path(), &to)
                    .doing(|| format!("move {} aside", entry.path().display()))?;
                recovered.lost.push(to);
            }
        }
    }
    Ok(())
}
