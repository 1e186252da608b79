//! Networks that a container comes to, or leaves, while it runs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_isolation::namespaces::net::NetNamespace;
use bulkhead_isolation::{Error, Result, Step};
use bulkhead_network::endpoint::Endpoint;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::wiring::identity_of;
use super::{Membership, STEP};
use crate::life::Life;

impl Life {
    /// The running container is on one more network; or, if all that differs are its gateways on one that it is on
    /// already, everything else goes out by these from now on.
    pub(crate) fn connect(&mut self, membership: Membership) -> Result<()> {
        let Some(namespace) = self.network_namespace()? else { return Ok(()) };
        let networks = &self.wiring.memberships;
        let Some(at) = networks.iter().position(|one| one.id == membership.id) else {
            self.wiring.join(namespace.as_fd(), membership.clone())?;
            return self.name(&membership, namespace.as_fd()).inspect_err(|_| {
                // The error that led here is the one to tell.
                let at = self.wiring.memberships.iter().position(|one| one.id == membership.id);
                let _ = at.map(|at| self.wiring.leave(namespace.as_fd(), at));
            });
        };
        let turned = |old: &&Membership| {
            let endpoint =
                Endpoint { gateways: old.endpoint.gateways.clone(), ..membership.endpoint.clone() };
            endpoint == old.endpoint && membership.endpoint.gateways != old.endpoint.gateways
        };
        if networks.get(at).filter(turned).is_none() {
            let (name, network) = (&self.identity.name, &membership.name);
            let why = format!("endpoint with name {name} already exists in network {network}");
            return Err(Error::new(STEP, why));
        }
        self.wiring.turn(namespace.as_fd(), at, membership.endpoint)?;
        // With the way out goes whether anybody outside is asked for names.
        for membership in self.wiring.memberships.clone() {
            self.name(&membership, namespace.as_fd())?;
        }
        Ok(())
    }

    /// It has its names on that network.
    fn name(&mut self, membership: &Membership, namespace: BorrowedFd<'_>) -> Result<()> {
        match &mut self.names {
            Some(names) => names.joined(membership, namespace).map(drop),
            None => Ok(()),
        }
    }

    /// It is no longer on that network. That it was not is as good: a killed command had come as far as that.
    pub(crate) fn disconnect(&mut self, id: &str) -> Result<()> {
        let Some(at) = self.wiring.memberships.iter().position(|one| one.id == id) else {
            return Ok(());
        };
        let Some(namespace) = self.network_namespace()? else { return Ok(()) };
        if let Some(names) = &mut self.names {
            names.left(id);
        }
        self.wiring.leave(namespace.as_fd(), at)
    }

    /// The container's network namespace, for as long as something is done in it. `None`: the container has ended, or its
    /// first program is about to be found dead; its next run begins with the networks that it is on then.
    fn network_namespace(&self) -> Result<Option<OwnedFd>> {
        if self.ended {
            return Ok(None);
        }
        if self.namespaces.net != NetNamespace::New {
            let why = "container sharing network namespace with another container or host cannot be connected to any \
                       other network";
            return Err(Error::new(STEP, why));
        }
        let path = format!("/proc/{}/ns/net", self.born.first.pid);
        let namespace = match open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            // A process that nobody has waited for yet has none.
            Err(Errno::NOENT) => return Ok(None),
            other => other.step(STEP, || "open the container's network namespace")?,
        };
        if identity_of(namespace.as_fd())? != self.wiring.namespace {
            let why = "cannot change the container's networks: its first program has left its network namespace for \
                       another one";
            return Err(Error::new(STEP, why));
        }
        Ok(Some(namespace))
    }
}
