//! `start`: lets a container's program run.

use std::os::fd::AsFd;

use clap::Args;

use bulkhead_isolation::{hold, hooks};

use super::Context;
use crate::error::{Error, Result};
use crate::state::Status;
use crate::store::START;

#[derive(Debug, Args)]
pub(super) struct Start {
    /// The container
    id: String,
}

impl Start {
    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        let container = context.store.lock(&self.id)?;
        match container.status() {
            Status::Created => {}
            Status::Stopped => return Err(Error::invalid("cannot start a container that has stopped")),
            Status::Running => return Err(Error::invalid("cannot start an already running container")),
            other => return Err(Error::invalid(format!("cannot start a container in the {other} state"))),
        }
        let state = &container.state;
        let first = container.first().ok_or(Error::NotRunning)?;
        let released = hold::release(
            container.folder(),
            START,
            &state.for_hooks(Status::Created),
            (state.first.pid, first.as_fd()),
            &mut |pid, listener| crate::listener::send(state, Status::Created, pid, &listener),
        );
        container.started();
        released?;
        // The specification has it logged, and the container go on.
        for error in hooks::run_all(&state.hooks.poststart(), &state.for_hooks(Status::Running)) {
            context.log.warn(&error.to_string());
        }
        Ok(0)
    }
}
