//! `logs`: what a container wrote, read from its files without asking anybody ([`crate::log_reader`]).

use std::path::{Path, PathBuf};

use bulkhead_supervisor::client::Connection;
use bulkhead_supervisor::log_config::LogFile;
use bulkhead_supervisor::protocol::Request;

use crate::error::{Error, Result};
use crate::log_reader::Logs;
use crate::log_reader::follow::Follower;
use crate::spec::log;
use crate::store::containers::Container;
use crate::{Condition, Engine};

impl Engine {
    /// Opens its log. `None`: it has never been started.
    ///
    /// # Errors
    /// It keeps none, or one that cannot be read here.
    pub fn logs(&self, container: &Container) -> Result<Option<Logs>> {
        let file = self.log_file(container)?;
        Logs::open(PathBuf::from(file.path), file.format)
    }

    /// What tells when its log has grown, and when it cannot any more.
    ///
    /// # Errors
    /// It keeps none, or its status cannot be read.
    pub fn follow(&self, container: &Container) -> Result<Follower> {
        let file = self.log_file(container)?;
        let end = match self.condition(container)? {
            // If it cannot be reached it has just ended.
            Condition::Running(_) => self.connect(container).ok().filter(asked_for_its_end),
            _ => None,
        };
        Ok(Follower::new(Path::new(&file.path).parent().unwrap_or(Path::new("/")), end))
    }

    /// Whether more can still be written to the container's log.
    ///
    /// # Errors
    /// Its status cannot be read.
    pub fn still_writes(&self, container: &Container) -> Result<bool> {
        Ok(self.condition(container)?.active().is_some())
    }

    fn log_file(&self, container: &Container) -> Result<LogFile> {
        let file = log::plan(container, &self.roots)?.file;
        file.ok_or_else(|| Error::Invalid("configured logging driver does not support reading".into()))
    }
}

fn asked_for_its_end(connection: &Connection) -> bool {
    connection.send(&Request::Wait, &[]).is_ok()
}
