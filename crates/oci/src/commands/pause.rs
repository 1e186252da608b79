//! `pause` and `resume`: all of a container's processes are frozen, and go on.

use bulkhead_isolation::cgroups::Created;
use clap::Args;

use super::Context;
use crate::error::{Error, Result};
use crate::state::Status;

#[derive(Debug, Args)]
pub(super) struct Pause {
    /// The container
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The container
    id: String,
}

impl Pause {
    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        let container = context.store.lock(&self.id)?;
        match container.status() {
            Status::Running | Status::Created => {}
            _ => return Err(Error::invalid("container not running or created")),
        }
        Created::open(&container.state.cgroup)?.freeze(true)?;
        Ok(0)
    }
}

impl Resume {
    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        let container = context.store.lock(&self.id)?;
        if container.status() != Status::Paused {
            return Err(Error::NotPaused);
        }
        Created::open(&container.state.cgroup)?.freeze(false)?;
        Ok(0)
    }
}
