//! `system recover`: a new database from what can be read of a damaged one.
//!
//! A damaged database is noticed by SQLite when a command reads the damaged page, or when the file is no database, or when
//! it is empty although containers are there ([`Store::open`](super::Store::open)); the command fails then and changes
//! nothing. Recovery is a command of its own, since it can lose something: of each table it takes the rows from the front
//! and from the back up to what cannot be read, and leaves out those that refer to lost ones. What the database was stays
//! beside the new one; the folders of containers and volumes that have no record any more are moved to `ROOT/lost`, where
//! no command deletes them.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bulkhead_supervisor::status::{State, Status};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::{SCHEMA, VERSION, make_folder};
use crate::error::{Doing, Error, Result};
use crate::users::pool::SLOT;

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
    refuse_running(root, &new)?;
    keep_ranges(root, &new)?;
    new.execute_batch(&format!("PRAGMA user_version = {VERSION}; PRAGMA journal_mode = WAL;"))?;
    // Before any command can see the new database, to which these would be rubbish.
    move_lost(root, &new, &mut recovered)?;
    // With its log folded in.
    new.close().map_err(|(_, error)| error)?;
    std::fs::set_permissions(&new_path, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::File::open(&new_path)?.sync_all())
        .doing(|| format!("write {}", new_path.display()))?;
    recovered.damaged = put_aside(root, &path)?;
    std::fs::rename(&new_path, &path).doing(|| format!("put the new database in {}", path.display()))?;
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

/// A container that runs and has lost its record could be stopped by no command any more.
fn refuse_running(root: &Path, new: &Connection) -> Result<()> {
    for folder in folders(root, "containers") {
        let name = name_of(&folder);
        let Ok(Some(status)) = Status::read(&folder) else { continue };
        if status.state != State::Exited
            && status.supervisor.lives()
            && !is_known(new, "containers", "id", &name)?
        {
            let pid = status.first.map_or(status.supervisor.pid, |first| first.pid);
            return Err(Error::Conflict(format!(
                "container {name} runs, and its record is lost: end it (its process is {pid}), and recover then"
            )));
        }
    }
    Ok(())
}

/// What files on disk have as owners, no other container may get: the ranges of all containers' writable layers.
fn keep_ranges(root: &Path, new: &Connection) -> Result<()> {
    let lost = root.join("lost");
    for folder in folders(root, "containers").into_iter().chain(folders(&lost, "containers")) {
        let Ok(upper) = std::fs::metadata(folder.join("rw/upper")) else { continue };
        let first = upper.uid() / SLOT * SLOT;
        if first > 0 {
            new.execute(
                "INSERT INTO id_ranges SELECT ?1, ?2, 1 WHERE NOT EXISTS
                 (SELECT 1 FROM id_ranges WHERE first < ?1 + ?2 AND first + count > ?1)",
                [first, SLOT],
            )?;
        }
    }
    Ok(())
}

fn folders(root: &Path, kind: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.join(kind)) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_known(new: &Connection, table: &str, column: &str, name: &str) -> Result<bool> {
    let query = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE {column} = ?1)");
    Ok(new.query_row(&query, [name], |row| row.get(0))?)
}

/// Moves folders that nobody knows any more to where nobody deletes them.
///
/// # Errors
/// One that cannot be moved (a volume's folder that is a mount): no command may find it without a record.
fn move_lost(root: &Path, new: &Connection, recovered: &mut Recovered) -> Result<()> {
    for (kind, table, column) in [("containers", "containers", "id"), ("volumes", "volumes", "name")] {
        for folder in folders(root, kind) {
            let name = name_of(&folder);
            if is_known(new, table, column, &name)? {
                continue;
            }
            let lost = root.join("lost").join(kind);
            make_folder(&lost)?;
            // One of that name may have been lost before.
            let free = |number: &u32| !lost.join(numbered(&name, *number)).exists();
            let to = lost.join(numbered(&name, (1..u32::MAX).find(free).unwrap_or(u32::MAX)));
            std::fs::rename(&folder, &to).doing(|| {
                format!("move {} to {}, which must be done by hand then", folder.display(), to.display())
            })?;
            recovered.lost.push(to);
        }
    }
    Ok(())
}

fn numbered(name: &str, number: u32) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}-{number}") }
}
