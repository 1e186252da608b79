//! `wait`: until a container has ended, and how.

use std::os::fd::{BorrowedFd, OwnedFd};

use bulkhead_supervisor::client::Connection;
use bulkhead_supervisor::protocol::{Reply, Request};

use crate::error::{Doing, Error, Result};
use crate::store::containers::Container;
use crate::{Condition, Engine};

impl Engine {
    /// Waits for its end; gives its exit code. One that has ended already gives it at once; one that was never
    /// started gives 0, as Docker's does.
    ///
    /// # Errors
    /// The supervisor cannot be understood.
    pub fn wait(&self, container: &Container) -> Result<i32> {
        match self.condition(container)? {
            Condition::Created => Ok(0),
            Condition::Exited(status) => Ok(status.exit_code),
            Condition::Running(_) => {
                let told = self.connect(container).and_then(|connection| {
                    connection.ask(&Request::Wait, &[]).doing(|| "hear from the container's supervisor")
                });
                match told {
                    Ok((Reply::Ended(status), _)) => Ok(status.exit_code),
                    // It ended between the look and the question, or its supervisor was killed.
                    _ => match self.condition(container) {
                        Ok(Condition::Exited(status)) => Ok(status.exit_code),
                        // It removed itself at its end.
                        Ok(Condition::Created) => Err(Error::no_container(&container.name)),
                        Ok(Condition::Running(_)) => {
                            Err(Error::Corrupt("the container's supervisor does not answer".into()))
                        }
                        Err(error) => Err(error),
                    },
                }
            }
        }
    }

    /// A connection to the supervisor of a running container.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn connect(&self, container: &Container) -> Result<Connection> {
        let folder = self.roots.running(&container.id);
        // The socket is there from the moment that a container runs; a supervisor that ends has removed it.
        Connection::to(&folder).doing(|| format!("reach the supervisor of container {}", container.name))
    }

    /// Asks the supervisor of a running container.
    pub(crate) fn ask(
        &self,
        container: &Container,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Vec<OwnedFd>)> {
        self.connect(container)?
            .ask(request, fds)
            .doing(|| format!("hear from the supervisor of container {}", container.name))
    }
}
