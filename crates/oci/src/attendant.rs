//! What this process does while a container is born: its loopback link, the hooks of this side, its record.

use std::os::fd::{BorrowedFd, OwnedFd};

use bulkhead_isolation::birth::Attendant;
use bulkhead_isolation::cgroups::{Cgroup, Created};
use bulkhead_isolation::hooks::{self, Hook};
use bulkhead_isolation::{Error, Result, Step};

use crate::groups::Manager;
use crate::loopback;
use crate::process::ProcessId;
use crate::state::Status;
use crate::store::Container;

/// For one birth.
pub(crate) struct Recorder<'a> {
    pub(crate) container: &'a mut Container,
    /// Its group, and who makes that.
    pub(crate) cgroup: Cgroup,
    pub(crate) manager: &'a mut dyn Manager,
    pub(crate) hooks: Vec<Hook>,
    /// Whether its hooks have begun to run, so that those of its end must.
    pub(crate) began: bool,
}

impl Attendant for Recorder<'_> {
    fn group(&mut self, cgroup: &Cgroup) -> Result<Created> {
        let container = &mut *self.container;
        self.manager.create(cgroup, &mut |unit| {
            container.state.unit = Some(unit);
            write(container)
        })
    }

    fn wire(&mut self, network: BorrowedFd<'_>) -> Result<()> {
        loopback::up(network)
    }

    fn mounted(&mut self, pid: i32) -> Result<Vec<u8>> {
        self.began = true;
        let mut state = self.container.state.clone();
        state.first.pid = pid;
        let body = state.for_hooks(Status::Creating);
        hooks::run(&self.hooks, &body)?;
        Ok(body)
    }

    fn listens(&mut self, pid: i32, listener: OwnedFd) -> Result<()> {
        crate::listener::send(&self.container.state, Status::Creating, pid, &listener)
    }

    fn ready(&mut self, pid: i32) -> Result<()> {
        self.manager.settle(&self.cgroup, pid)?;
        self.container.state.first =
            ProcessId::of(pid).step("state", || "look at the container's process")?;
        write(self.container)
    }
}

fn write(container: &Container) -> Result<()> {
    container.write().map_err(|error| Error::new("state", error.to_string()))
}
