//! `exec`: a later program in a running container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_isolation::TerminalSize;
use bulkhead_isolation::capabilities::{Capabilities, bounding_set};
use bulkhead_isolation::trace::Lap;
use bulkhead_isolation::users::UserSpec;
use bulkhead_supervisor::client::Connection;
use bulkhead_supervisor::protocol::{Exec, Reply, Request};

use crate::error::{Doing, Error, Result};
use crate::spec::process::{environment, working_dir};
use crate::spec::{self, Surroundings};
use crate::store::containers::Container;
use crate::{Condition, Engine, id};

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct ExecRequest {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// `NAME=value` lines beyond the container's.
    pub env: Vec<String>,
    /// Another working directory.
    pub working_dir: Option<String>,
    /// Another user.
    pub user: Option<String>,
    /// Its terminal, if it gets one.
    pub terminal: Option<TerminalSize>,
    /// Whether it gets all capabilities.
    pub privileged: bool,
    /// Whether nobody waits for it.
    pub detached: bool,
    /// Whether to take the time of each step.
    pub trace: bool,
}

/// A later program that runs.
#[derive(Debug)]
pub struct Executing {
    /// The connection over which its end is told.
    pub connection: Connection,
    /// Its terminal's own side, if it has one.
    pub terminal: Option<OwnedFd>,
    /// How long the steps took, on the supervisor's side.
    pub laps: Vec<Lap>,
}

impl Engine {
    /// Runs a program in a running container. `streams` are its standard streams, unless it has a terminal or
    /// is detached.
    ///
    /// # Errors
    /// The container does not run, or the program cannot be started.
    pub fn exec(
        &self,
        container: &Container,
        request: &ExecRequest,
        streams: &[OwnedFd],
    ) -> Result<Executing> {
        if request.command.first().is_none_or(String::is_empty) {
            return Err(Error::Invalid("No exec command specified".into()));
        }
        let exec = Exec {
            process: self.process_of(container, request)?,
            privileged: request.privileged,
            detached: request.detached,
            trace: request.trace,
        };
        let Ok(connection) = self.connect(container) else { return Err(self.why_not(container)?) };
        let fds: Vec<BorrowedFd<'_>> = streams.iter().map(AsFd::as_fd).collect();
        let asked = connection.ask(&Request::Exec(Box::new(exec)), &fds);
        match asked.doing(|| format!("hear from the supervisor of container {}", id::short(&container.id)))? {
            (Reply::ExecStarted { laps, .. }, mut fds) => {
                Ok(Executing { connection, terminal: fds.pop(), laps })
            }
            (Reply::Failed(error), _) => Err(error.into()),
            (other, _) => Err(Error::Corrupt(format!("the supervisor answered {other:?} to an exec"))),
        }
    }

    /// Why a container without a supervisor cannot run a program. (Of one that has one, the supervisor knows; to look
    /// first would cost every exec.)
    fn why_not(&self, container: &Container) -> Result<Error> {
        Ok(match self.condition(container)? {
            Condition::Running(_) => {
                Error::Conflict(format!("the supervisor of container {} does not answer", container.name))
            }
            _ => Error::Conflict(format!("container {} is not running", container.id)),
        })
    }

    /// The container's own process, with what the request changes.
    fn process_of(
        &self,
        container: &Container,
        request: &ExecRequest,
    ) -> Result<bulkhead_isolation::Process> {
        let around = Surroundings::stand_in(&self.roots, self.init(), &container.id);
        let host = container.config.host_config.clone().unwrap_or_default();
        let mut process = spec::process_alone(container, &host, &around)?;
        process.args.clone_from(&request.command);
        let mut own = container.config.env.clone().unwrap_or_default();
        let name = |line: &str| line.split('=').next().unwrap_or("").to_owned();
        own.retain(|line| !request.env.iter().any(|other| name(other) == name(line)));
        own.extend(request.env.iter().filter(|line| line.contains('=')).cloned());
        process.env =
            environment(&own, &spec::namespaces::hostname(&container.config), request.terminal.is_some());
        if let Some(folder) = request.working_dir.as_deref().filter(|folder| !folder.is_empty()) {
            process.cwd = working_dir(Some(folder))?;
        }
        if let Some(user) = request.user.as_deref().filter(|user| !user.is_empty()) {
            process.user = UserSpec(user.to_owned());
        }
        if request.privileged {
            process.capabilities = Capabilities::of_root(bounding_set());
        }
        process.terminal = request.terminal;
        Ok(process)
    }
}
