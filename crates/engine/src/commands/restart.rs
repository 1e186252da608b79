//! `restart`: a container is stopped, and started again.

use super::start::{Started, Starting};
use crate::Engine;
use crate::error::{Error, Result};
use crate::store::containers::Container;

impl Engine {
    /// Stops a container as [`stop`](Self::stop) does, and starts it.
    ///
    /// # Errors
    /// Those of both; one that is removed at its end cannot be started again.
    pub fn restart(
        &mut self,
        container: &Container,
        signal: Option<&str>,
        grace: Option<i64>,
        starting: Starting,
    ) -> Result<Started> {
        if container.auto_remove {
            let why = "it was made with --rm, and is removed when it stops";
            return Err(Error::Conflict(format!("cannot restart container {}: {why}", container.name)));
        }
        self.stop(container, signal, grace)?;
        let started = self.start(container, starting)?;
        self.tell_of(container, "restart", []);
        Ok(started)
    }
}
