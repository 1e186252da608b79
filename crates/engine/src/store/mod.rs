//! The truth on disk: one SQLite database in WAL mode, so that reads never wait for writes.
//!
//! Everything that a container holds (its name, its address, its volumes) is taken in one transaction or not
//! at all, and given back by one DELETE. What a running container does is not in here: its supervisor keeps that
//! in a file of its own ([`bulkhead_supervisor::status`]).
//!
//! One file per table: [`containers`], [`addresses`], [`images`], [`volumes`], and [`settings`].

pub mod addresses;
pub mod containers;
pub mod images;
pub mod settings;
pub mod volumes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::{Doing, Error, Result};

/// The schema's number in the file (PRAGMA user_version).
const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images (
  id TEXT PRIMARY KEY, created TEXT NOT NULL, loaded INTEGER NOT NULL, size INTEGER NOT NULL,
  layers TEXT NOT NULL, config TEXT NOT NULL, architecture TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tags (
  reference TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE) WITHOUT ROWID;
CREATE TABLE containers (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, image TEXT NOT NULL,
  config TEXT NOT NULL, auto_remove INTEGER NOT NULL, creator TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX containers_of_image ON containers (image);
CREATE TABLE addresses (
  network TEXT NOT NULL, address INTEGER NOT NULL,
  container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
  PRIMARY KEY (network, address)) WITHOUT ROWID;
CREATE INDEX addresses_of_container ON addresses (container);
CREATE TABLE volumes (
  name TEXT PRIMARY KEY, created INTEGER NOT NULL, labels TEXT NOT NULL, anonymous INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE volume_uses (
  volume TEXT NOT NULL REFERENCES volumes(name),
  container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
  PRIMARY KEY (volume, container)) WITHOUT ROWID;
CREATE INDEX volumes_of_container ON volume_uses (container);
";

/// The open database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// Whether the settings for writing have been made: who only reads does not pay for them.
    may_write: bool,
}

impl Store {
    /// Opens (and makes) the database in the folder `root`, which exists.
    ///
    /// # Errors
    /// A file that is no database, was made by a newer version, or cannot be written.
    pub fn open(root: &Path) -> Result<Store> {
        let path = root.join("bulkhead.db");
        let connection = Connection::open(&path)?;
        connection.busy_timeout(Duration::from_secs(30))?;
        // Closing must not checkpoint, which costs an fsync while somebody waits: `checkpoint` does it aside.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let mut store = Store { connection, path, may_write: false };
        match store.version()? {
            VERSION => {}
            0 => store.make()?,
            newer => {
                return Err(Error::Corrupt(format!(
                    "the store in {} was made by a newer version of bulkhead (schema {newer}; this one knows {VERSION}): use that version",
                    root.display()
                )));
            }
        }
        Ok(store)
    }

    fn version(&self) -> Result<i64> {
        Ok(self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
    }

    fn make(&mut self) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        // SQLite gives its other files the same mode.
        std::fs::set_permissions(&self.path, std::fs::Permissions::from_mode(0o600))
            .doing(|| format!("close {} to others", self.path.display()))?;
        self.connection.execute_batch("PRAGMA journal_mode = WAL;")?;
        self.prepare_to_write()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        // Another process may have made it meanwhile.
        let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version == 0 {
            transaction.execute_batch(SCHEMA)?;
            transaction.execute_batch(&format!("PRAGMA user_version = {VERSION};"))?;
        }
        Ok(transaction.commit()?)
    }

    /// Runs `work` in one transaction: all of it, or nothing.
    ///
    /// # Errors
    /// Those of `work`, and of the commit.
    pub fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.prepare_to_write()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    fn prepare_to_write(&mut self) -> Result<()> {
        if !self.may_write {
            self.connection.execute_batch(
                "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA foreign_keys = ON;",
            )?;
            self.may_write = true;
        }
        Ok(())
    }

    /// For reading.
    pub fn read(&self) -> &Connection {
        &self.connection
    }

    /// Whether so much is in the log of changes that it should be moved into the database ([`checkpoint`](Self::checkpoint)).
    pub fn wants_checkpoint(&self) -> bool {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        std::fs::metadata(log).is_ok_and(|log| log.len() > 4 * 1024 * 1024)
    }

    /// Moves the log of changes into the database. Waits for the disk: for where nobody waits for it.
    ///
    /// # Errors
    /// The disk's.
    pub fn checkpoint(&self) -> Result<()> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

/// Makes the engine's folders, closed to everybody but root.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => std::fs::DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(path)
            .doing(|| format!("make the folder {}", path.display())),
        other => other.doing(|| format!("make the folder {}", path.display())),
    }
}
