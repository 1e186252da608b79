//! `attach`: more clients for a running container's streams.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_supervisor::client::Connection;
use bulkhead_supervisor::protocol::{Attach, Reply, Request};

use crate::condition::restarting;
use crate::error::{Doing, Error, Result};
use crate::store::containers::Container;
use crate::{Condition, Engine};

impl Engine {
    /// Connects pipe ends, in the protocol's order, to a running container's streams. The connection tells of
    /// its end.
    ///
    /// # Errors
    /// It does not run, or is frozen.
    pub fn attach(&self, container: &Container, wanted: Attach, streams: &[OwnedFd]) -> Result<Connection> {
        match self.condition(container)? {
            Condition::Running(status) if status.state == bulkhead_supervisor::status::State::Paused => {
                return Err(Error::Conflict(
                    "You cannot attach to a paused container, unpause it first".into(),
                ));
            }
            Condition::Running(_) => {}
            Condition::Restarting(_) => return Err(restarting(container)),
            _ => {
                return Err(Error::Conflict(
                    "You cannot attach to a stopped container, start it first".into(),
                ));
            }
        }
        let connection = self.connect(container)?;
        let fds: Vec<BorrowedFd<'_>> = streams.iter().map(AsFd::as_fd).collect();
        match connection
            .ask(&Request::Attach(wanted), &fds)
            .doing(|| "hear from the container's supervisor")?
        {
            (Reply::Done, _) => {}
            (Reply::Failed(error), _) => return Err(error.into()),
            (other, _) => {
                return Err(Error::Corrupt(format!("the supervisor answered {other:?} to an attach")));
            }
        }
        connection.send(&Request::Wait, &[]).doing(|| "ask for the container's end")?;
        Ok(connection)
    }

    /// Sets the size of a running container's terminal.
    ///
    /// # Errors
    /// It does not run.
    pub fn resize(&self, container: &Container, rows: u16, columns: u16) -> Result<()> {
        match self.ask(container, &Request::Resize { rows, columns }, &[])? {
            (Reply::Failed(error), _) => Err(error.into()),
            _ => Ok(()),
        }
    }
}
