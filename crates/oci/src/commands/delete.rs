//! `delete`: a container that has ended goes, with its group.

use std::os::fd::AsFd;

use bulkhead_isolation::{cgroups, hooks};
use bulkhead_sys::pidfd;
use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use super::Context;
use crate::error::{Doing, Error, Result};
use crate::groups;
use crate::state::{Status, check_id};
use crate::store::Container;

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// End it first if it runs; one that does not exist is no error
    #[arg(short, long)]
    force: bool,
    /// The container
    id: String,
}

/// How long a killed process may take to end, in seconds.
const PATIENCE: i64 = 10;

impl Delete {
    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        check_id(&self.id)?;
        let container = match context.store.lock(&self.id) {
            Err(Error::NotFound) if self.force => return Ok(0),
            found => found?,
        };
        match container.status() {
            Status::Stopped => {}
            // One that was never started has nothing to lose.
            Status::Created => end(&container)?,
            _ if self.force => end(&container)?,
            status => {
                return Err(Error::invalid(format!(
                    "cannot delete container {} that is not stopped: {status}",
                    self.id
                )));
            }
        }
        forget(context, container)?;
        Ok(0)
    }
}

/// Ends its first process, and sees that it has.
fn end(container: &Container) -> Result<()> {
    let Some(first) = container.first() else { return Ok(()) };
    let doing = || "end the container's process".to_owned();
    // On version 1 a frozen process cannot even be killed.
    cgroups::thaw_all(&container.state.cgroup)?;
    match pidfd::send_signal(first.as_fd(), 9) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            return Err(error).doing(doing);
        }
        _ => {}
    }
    let until = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
    loop {
        match poll(&mut [PollFd::new(&first, PollFlags::IN)], Some(&until)) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).doing(doing),
            Ok(0) => return Err(Error::invalid("the container's process does not end")),
            Ok(_) => return Ok(()),
        }
    }
}

/// Removes a container whose first process has ended: what else runs in its group is ended, its hooks are run.
pub(super) fn forget(context: &mut Context, container: Container) -> Result<()> {
    let state = container.state.clone();
    if let Err(error) = groups::of(&state).remove() {
        // What can be removed is: a container that could not be deleted would be in its caller's way for ever.
        context.log.warn(&error.to_string());
    }
    container.remove()?;
    // The specification has it logged, and the removal go on.
    for error in hooks::run_all(&state.hooks.poststop(), &state.for_hooks(Status::Stopped)) {
        context.log.warn(&error.to_string());
    }
    Ok(())
}
