//! Networks that a container comes to, or leaves, while it runs.

use std::os::fd::{AsFd, OwnedFd};

use bulkhead_isolation::namespaces::net::NetNamespace;
use bulkhead_isolation::{Error, Result, Step};
use rustix::fs::{Mode, OFlags, open};

use super::wiring::identity_of;
use super::{Membership, STEP};
use crate::life::Life;

impl Life {
    /// The running container is on one more network.
    pub(crate) fn connect(&mut self, membership: Membership) -> Result<()> {
        if self.wiring.memberships.iter().any(|one| one.id == membership.id) {
            let (name, network) = (&self.identity.name, &membership.name);
            return Err(Error::new(
                STEP,
                format!("endpoint with name {name} already exists in network {network}"),
            ));
        }
        let namespace = self.network_namespace()?;
        self.wiring.join(namespace.as_fd(), membership)
    }

    /// It is no longer on that network.
    pub(crate) fn disconnect(&mut self, id: &str) -> Result<()> {
        let Some(at) = self.wiring.memberships.iter().position(|one| one.id == id) else {
            let name = &self.identity.name;
            return Err(Error::new(STEP, format!("container {name} is not connected to network {id}")));
        };
        let namespace = self.network_namespace()?;
        self.wiring.leave(namespace.as_fd(), at)
    }

    /// The container's network namespace, for as long as something is done in it.
    fn network_namespace(&self) -> Result<OwnedFd> {
        if self.namespaces.net != NetNamespace::New {
            let why = "container sharing network namespace with another container or host cannot be connected to any \
                       other network";
            return Err(Error::new(STEP, why));
        }
        let path = format!("/proc/{}/ns/net", self.born.first.pid);
        let namespace = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .step(STEP, || "open the container's network namespace")?;
        if identity_of(namespace.as_fd())? != self.wiring.namespace {
            let why = "cannot change the container's networks: its first program has left its network namespace for \
                       another one";
            return Err(Error::new(STEP, why));
        }
        Ok(namespace)
    }
}
