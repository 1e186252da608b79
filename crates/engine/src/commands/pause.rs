//! `pause` and `unpause`: the whole container is frozen by its control group, and goes on as if nothing had been.

use bulkhead_supervisor::protocol::{Reply, Request};
use bulkhead_supervisor::status::State;

use crate::condition::restarting;
use crate::error::{Error, Result};
use crate::store::containers::Container;
use crate::{Condition, Engine};

impl Engine {
    /// Freezes a running container, or lets it go on.
    ///
    /// # Errors
    /// It does not run, or is so already.
    pub fn freeze(&self, container: &Container, frozen: bool) -> Result<()> {
        let condition = self.condition(container)?;
        if let Condition::Restarting(_) = condition {
            return Err(restarting(container));
        }
        let Some(status) = condition.running() else {
            return Err(Error::Conflict(format!("Container {} is not running", container.id)));
        };
        match (status.state == State::Paused, frozen) {
            (true, true) => {
                return Err(Error::Conflict(format!("Container {} is already paused", container.id)));
            }
            (false, false) => {
                return Err(Error::Conflict(format!("Container {} is not paused", container.id)));
            }
            _ => {}
        }
        match self.ask(container, &Request::Freeze(frozen), &[])? {
            (Reply::Failed(error), _) => Err(error.into()),
            _ => Ok(()),
        }
    }
}
