//! The truth on disk: one SQLite database in WAL mode, so that reads never wait for writes.
//!
//! Everything that a container holds (its name, its address, its volumes) is taken in one transaction or not
//! at all, and given back by one DELETE. What a running container does is not in here: its supervisor keeps that
//! in a file of its own ([`bulkhead_supervisor::status`]).
//!
//! What is done about a damaged one: [`recover`]. One file per table: [`containers`], [`networks`], [`endpoints`], [`id_ranges`], [`images`], [`volumes`], and [`settings`].

pub mod containers;
pub mod endpoints;
pub(crate) mod id_ranges;
pub mod images;
pub mod networks;
pub mod recover;
pub mod settings;
pub mod volumes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::{Doing, Error, Result};

/// The schema's number in the file (PRAGMA user_version).
const VERSION: i64 = 3;

/// The tables of a new store.
const SCHEMA: &str = include_str!("schema/current.sql");

/// What makes a database of version 1 one of version 2: containers have IDs of their own, and volumes a range that their
/// files are stored with.
const FROM_1_TO_2: &str = include_str!("schema/from_1_to_2.sql");
/// And one of version 2 one of version 3: there are several networks.
const FROM_2_TO_3: &str = include_str!("schema/from_2_to_3.sql");

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
            1 | 2 => store.migrate()?,
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
            // No process makes a container before it has made the database.
            if has_containers(&self.path) {
                return Err(Error::Corrupt(format!(
                    "the store's database {} is gone or empty, although there are containers: `bulkhead system recover` makes a new one and moves their files aside",
                    self.path.display()
                )));
            }
            transaction.execute_batch(SCHEMA)?;
            transaction.execute_batch(&format!("PRAGMA user_version = {VERSION};"))?;
        }
        Ok(transaction.commit()?)
    }

    /// Brings a database of an older version up to this one's, whole or not at all.
    fn migrate(&mut self) -> Result<()> {
        self.write(|transaction| {
            // Another process may have done it meanwhile.
            let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if version < VERSION {
                if version == 1 {
                    transaction.execute_batch(FROM_1_TO_2)?;
                }
                transaction.execute_batch(FROM_2_TO_3)?;
                transaction.execute_batch(&format!("PRAGMA user_version = {VERSION};"))?;
            }
            Ok(())
        })
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

    /// Whether so much is in the log of changes that it should be moved into the database
    /// ([`checkpoint`](Self::checkpoint)): whoever opens the database alone reads all of the log.
    pub fn wants_checkpoint(&self) -> bool {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        std::fs::metadata(log).is_ok_and(|log| log.len() > 1024 * 1024)
    }

    /// Moves the log of changes into the database. Waits for the disk: for where nobody waits for it.
    ///
    /// # Errors
    /// The disk's.
    pub fn checkpoint(&self) -> Result<()> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

/// Whether folders of containers are beside the database.
fn has_containers(database: &Path) -> bool {
    let folder = database.with_file_name("containers");
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
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

#[cfg(test)]
mod tests {
    use super::{FROM_1_TO_2, FROM_2_TO_3, SCHEMA, Store};
    use rusqlite::Connection;

    /// Tables, columns and indices, as SQLite itself sees them.
    fn shape(connection: &Connection) -> Vec<String> {
        let mut query = connection
            .prepare(
                "SELECT m.type || ' ' || m.name || ' ' || coalesce(c.name || ' ' || c.type || ' ' || c.\"notnull\", '')
                 FROM sqlite_schema m LEFT JOIN pragma_table_info(m.name) c ORDER BY 1",
            )
            .unwrap();
        query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn an_old_database_becomes_a_new_one() {
        let old = Connection::open_in_memory().unwrap();
        old.execute_batch(include_str!("schema/version_1.sql")).unwrap();
        old.execute_batch(
            "INSERT INTO containers VALUES ('c', 'name', 0, 'i', '{}', 0, 'null');
             INSERT INTO volumes VALUES ('v', 0, '{}', 0);
             INSERT INTO addresses VALUES ('bulkhead0', 2886795266, 'c');
             INSERT INTO settings VALUES ('last address of bulkhead0', '172.17.0.2');
             INSERT INTO settings VALUES ('default network',
               '{\"name\":\"bulkhead0\",\"subnet\":\"172.17.0.0/16\",\"gateway\":\"172.17.0.1\",\"mtu\":1500}');",
        )
        .unwrap();
        old.execute_batch(FROM_1_TO_2).unwrap();
        old.execute_batch(FROM_2_TO_3).unwrap();
        let new = Connection::open_in_memory().unwrap();
        new.execute_batch(SCHEMA).unwrap();
        assert_eq!(shape(&old), shape(&new));
        let users: String = old.query_row("SELECT users FROM containers", [], |row| row.get(0)).unwrap();
        assert_eq!(serde_json::from_str::<crate::users::Users>(&users).unwrap(), crate::users::Users::Host);
        let network = super::networks::find(&old, "bridge").unwrap();
        let bridge = network.bridge().unwrap();
        assert_eq!((bridge.name.as_str(), bridge.mtu), ("bulkhead0", 1500));
        assert_eq!(bridge.addresses, ["172.17.0.1/16".parse().unwrap()]);
        let [endpoint] = &super::endpoints::of_container(&old, "c").unwrap()[..] else { panic!() };
        assert_eq!((endpoint.network.as_str(), endpoint.link), (network.id.as_str(), 0));
        assert_eq!(
            endpoint.addresses().collect::<Vec<_>>(),
            ["172.17.0.2".parse::<std::net::IpAddr>().unwrap()]
        );
    }

    #[test]
    fn a_database_of_a_newer_version_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path()).unwrap());
        let other = Connection::open(folder.path().join("bulkhead.db")).unwrap();
        other.execute_batch("PRAGMA user_version = 99").unwrap();
        assert!(Store::open(folder.path()).unwrap_err().to_string().contains("newer version"));
    }
}
