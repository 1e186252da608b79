//! `wait`: until a container has ended, and how.

use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use bulkhead_supervisor::client::Connection;
use bulkhead_supervisor::protocol::{Reply, Request};

use crate::condition::restarting;
use crate::error::{Doing, Error, Result};
use crate::store::containers::Container;
use crate::{Condition, Engine};

/// How often somebody is asked who is about to be somebody else: ten seconds.
const PATIENCE: u32 = 5_000;
/// How long to wait in between.
const PAUSE: Duration = Duration::from_millis(2);

impl Engine {
    /// Waits for its end; gives its exit code. One that has ended already gives it at once; one that was never
    /// started gives 0, as Docker's does.
    ///
    /// # Errors
    /// The supervisor cannot be understood.
    pub fn wait(&self, container: &Container) -> Result<i32> {
        let mut ran = false;
        // A container that is being started again has no supervisor that could tell for a moment.
        for _ in 0..1000 {
            match self.condition(container) {
                // It removed itself at its end.
                Ok(Condition::Created) if ran => return Err(Error::no_container(&container.name)),
                Ok(Condition::Created) => return Ok(0),
                Ok(Condition::Exited(status)) => return Ok(status.exit_code),
                Ok(Condition::Running(_) | Condition::Restarting(_)) => {}
                Err(error) => return Err(error),
            }
            ran = true;
            let told = self.connect(container).and_then(|connection| {
                connection.ask(&Request::Wait, &[]).doing(|| "hear from the container's supervisor")
            });
            if let Ok((Reply::Ended(status), _)) = told {
                return Ok(status.exit_code);
            }
        }
        Err(Error::Corrupt("the container's supervisor does not answer".into()))
    }

    /// A connection to the supervisor of a running container, or of one that waits to be started again.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn connect(&self, container: &Container) -> Result<Connection> {
        let folder = self.roots.running(&container.id);
        for _ in 0..PATIENCE {
            match Connection::to(&folder) {
                Err(error) if is_gone(&error) => self.wait_for_another(container)?,
                // The socket is there from the moment that a container runs; a supervisor that ends has removed it.
                other => {
                    return other.doing(|| format!("reach the supervisor of container {}", container.name));
                }
            }
        }
        Err(restarting(container))
    }

    /// What was its supervisor is just starting it again, or was killed and somebody has; or it has ended.
    fn wait_for_another(&self, container: &Container) -> Result<()> {
        if self.condition(container)?.active().is_none() {
            return Err(Error::Conflict(format!("Container {} is not running", container.id)));
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }

    /// Asks the supervisor of a running container, or of one that waits to be started again.
    pub(crate) fn ask(
        &self,
        container: &Container,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Vec<OwnedFd>)> {
        for _ in 0..PATIENCE {
            match self.connect(container)?.ask(request, fds) {
                Err(error) if is_gone(&error) => self.wait_for_another(container)?,
                other => {
                    return other
                        .doing(|| format!("hear from the supervisor of container {}", container.name));
                }
            }
        }
        Err(restarting(container))
    }
}

/// Whether nobody is there any more who could answer.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
    )
}
