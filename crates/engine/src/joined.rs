//! The namespaces of other containers that a container joins: opened when it starts, by who runs then.

use std::fs::File;
use std::os::fd::OwnedFd;

use bollard_stubs::models::HostConfig;
use bulkhead_supervisor::status::Status;

use crate::error::{Doing, Error, Result};
use crate::spec::namespaces::{Joined, Mode, Modes, shares_ipc};
use crate::store::containers::Container;
use crate::users::Users;
use crate::{Condition, Engine};

impl Engine {
    /// Opens the namespaces of the containers that are joined.
    pub(crate) fn join(&self, container: &Container, host: &HostConfig) -> Result<Joined> {
        let (modes, mut joined) = (Modes::of(host)?, Joined::default());
        if let Users::OfContainer { users, .. } = &container.users {
            let name = host.userns_mode.as_deref().unwrap_or("").trim_start_matches("container:");
            let (other, status) = self.to_be_joined(name, "user")?;
            // What this container wrote belongs to that mapping.
            if other.users.in_the_first_place() != &**users {
                return Err(Error::Conflict(format!("container {name} has other IDs than it had")));
            }
            joined.user = Some(joined.add(open_namespace(&other, &status, "user")?));
        }
        if let Mode::Container(name) = &modes.pid {
            let (other, status) = self.to_be_joined(name, "PID")?;
            joined.pid = Some(joined.add(open_namespace(&other, &status, "pid")?));
            joined.pid_mounts = Some(joined.add(open_namespace(&other, &status, "mnt")?));
        }
        if let Mode::Container(name) = &modes.ipc {
            let (other, status) = self.to_be_joined(name, "IPC")?;
            if !shares_ipc(&other.config.host_config.clone().unwrap_or_default()) {
                return Err(Error::Invalid(format!(
                    "cannot join IPC of container {name}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
                )));
            }
            joined.ipc = Some(joined.add(open_namespace(&other, &status, "ipc")?));
            joined.ipc_mounts = Some(joined.add(open_namespace(&other, &status, "mnt")?));
        }
        if let Mode::Container(name) = &modes.net {
            let (other, status) = self.to_be_joined(name, "network")?;
            joined.net = Some(joined.add(open_namespace(&other, &status, "net")?));
            joined.uts = Some(joined.add(open_namespace(&other, &status, "uts")?));
            if container.users != Users::Host {
                joined.net_mounts = Some(joined.add(open_namespace(&other, &status, "mnt")?));
            }
        }
        Ok(joined)
    }

    fn to_be_joined(&self, name: &str, what: &str) -> Result<(Container, Status)> {
        let other = self.container(name)?;
        match self.condition(&other)? {
            Condition::Running(status) => Ok((other, status)),
            _ => Err(Error::Conflict(format!(
                "cannot join {what} namespace of a non running container: {name}"
            ))),
        }
    }
}

/// A namespace of a running container's first program.
pub(crate) fn open_namespace(container: &Container, status: &Status, kind: &str) -> Result<OwnedFd> {
    let gone = || Error::Conflict(format!("container {} has just ended", container.name));
    let first = status.first.as_ref().ok_or_else(gone)?;
    let namespace = File::open(format!("/proc/{}/ns/{kind}", first.pid))
        .doing(|| format!("open the {kind} namespace of container {}", container.name))?;
    // The number may have come to mean another process before it was opened: then the first is gone now.
    if first.lives() { Ok(namespace.into()) } else { Err(gone()) }
}
