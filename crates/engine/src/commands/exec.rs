//! `exec`: a later program in a running container.
//!
//! The container's supervisor knows its process, and says whether it is the container that is meant, so the database
//! is wanted only to find one that [`exec_by_name`] does not: by the beginning of its ID, or one that does not run.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_isolation::TerminalSize;
use bulkhead_isolation::trace::Lap;
use bulkhead_supervisor::client::Connection;
use bulkhead_supervisor::protocol::{Exec, Reply, Request};
use bulkhead_supervisor::status::State;

use crate::condition::restarting;
use crate::error::{Doing, Error, Result};
use crate::roots::Roots;
use crate::spec::process::working_dir;
use crate::store::containers::Container;
use crate::{Condition, Engine, id, names};

/// What is to be run.
#[derive(Clone, Debug, Default)]
pub struct ExecRequest {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// `NAME=value` lines beyond the container's; a bare `NAME` takes one of these away.
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
    /// The container's name.
    pub container: String,
    /// Its process ID on the host.
    pub pid: i32,
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
        let exec = request.of(&container.id)?;
        let Ok(connection) = self.connect(container) else { return Err(self.why_not(container)?) };
        ask(&connection, exec, streams)
            .doing(|| format!("hear from the supervisor of container {}", id::short(&container.id)))
            .and_then(|answer| begun(connection, answer))?
            .map_or_else(|| Err(self.why_not(container)?), Ok)
    }

    /// Whether a program can be run in it.
    ///
    /// # Errors
    /// It does not run, or is frozen.
    pub fn can_exec(&self, container: &Container) -> Result<()> {
        match self.condition(container)? {
            Condition::Running(status) if status.state == State::Paused => Err(Error::Conflict(format!(
                "Container {} is paused, unpause the container before exec",
                container.name
            ))),
            Condition::Running(_) => Ok(()),
            _ => Err(self.why_not(container)?),
        }
    }

    /// Why a container without a supervisor cannot run a program. (Of one that has one, the supervisor knows; to look
    /// first would cost every exec.)
    fn why_not(&self, container: &Container) -> Result<Error> {
        Ok(match self.condition(container)? {
            Condition::Restarting(_) => restarting(container),
            Condition::Running(_) => {
                Error::Conflict(format!("the supervisor of container {} does not answer", container.name))
            }
            _ => Error::Conflict(format!("container {} is not running", container.id)),
        })
    }
}

/// Runs a program, like [`Engine::exec`], in the running container of exactly that name or full ID, without opening
/// the engine's database, which would take as long as all the rest. `None`: nothing runs, and the database must be
/// asked. (How a name leads there, and why never to another container: [`bulkhead_supervisor::identity`].)
///
/// # Errors
/// The container is there and the program cannot be started.
pub fn exec_by_name(
    roots: &Roots,
    wanted: &str,
    request: &ExecRequest,
    streams: &[OwnedFd],
) -> Result<Option<Executing>> {
    let exact = wanted.strip_prefix('/').unwrap_or(wanted);
    let exec = request.of(exact)?;
    let folder = if id::is_full(exact) {
        roots.running(exact)
    } else if names::is_valid(exact) {
        roots.name_link(exact)
    } else {
        return Ok(None);
    };
    let Ok(connection) = Connection::to(&folder) else { return Ok(None) };
    match ask(&connection, exec, streams) {
        // It ended before it heard us.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(None),
        answer => {
            begun(connection, answer.doing(|| format!("hear from the supervisor of container {exact}"))?)
        }
    }
}

impl ExecRequest {
    /// The message for the supervisor of `container`.
    fn of(&self, container: &str) -> Result<Exec> {
        if self.command.first().is_none_or(String::is_empty) {
            return Err(Error::Invalid("No exec command specified".into()));
        }
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Ok(Exec {
            container: container.to_owned(),
            args: self.command.clone(),
            env: self.env.clone(),
            cwd: given(&self.working_dir).map(|folder| working_dir(Some(&folder))).transpose()?,
            user: given(&self.user),
            terminal: self.terminal,
            privileged: self.privileged,
            detached: self.detached,
            trace: self.trace,
        })
    }
}

type Answer = (Reply, Vec<OwnedFd>);

fn ask(connection: &Connection, exec: Exec, streams: &[OwnedFd]) -> io::Result<Answer> {
    let fds: Vec<BorrowedFd<'_>> = streams.iter().map(AsFd::as_fd).collect();
    connection.ask(&Request::Exec(Box::new(exec)), &fds)
}

/// What the supervisor's answer means; `None`: it is not the container that was meant, or that has ended.
fn begun(connection: Connection, answer: Answer) -> Result<Option<Executing>> {
    match answer {
        (Reply::ExecStarted { container, pid, laps }, mut fds) => {
            Ok(Some(Executing { container, pid, connection, terminal: fds.pop(), laps }))
        }
        (Reply::NotMe, _) => Ok(None),
        (Reply::Failed(error), _) => Err(error.into()),
        (other, _) => Err(Error::Corrupt(format!("the supervisor answered {other:?} to an exec"))),
    }
}
