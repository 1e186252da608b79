//! `network connect`: a container is on one more network, at once if it runs.
//!
//! The place is taken in one transaction, with a note that it is not known yet whether the container has it; the
//! supervisor makes the link; then the note goes. Who finds the note of a killed command takes the place back.

use bollard_stubs::models::EndpointSettings;
use bulkhead_supervisor::networks::Membership;
use bulkhead_supervisor::protocol::{Reply, Request};
use bulkhead_supervisor::status::ProcessId;

use crate::error::{Doing, Error, Result};
use crate::networks::asked::settings_of;
use crate::networks::memberships::{Place, link_of};
use crate::spec::namespaces::{Mode, Modes};
use crate::store::containers::{self, Container};
use crate::store::networks::{self, Driver, Network};
use crate::store::{endpoints, settings};
use crate::{Engine, hosts_files};

/// What the settings begin with that note a connection in the making; the container's and the network's ID follow.
const NOTE: &str = "connect:";

impl Engine {
    /// Connects a container to a network.
    ///
    /// # Errors
    /// It is on it already, or cannot be; what was asked for cannot be had; or its link could not be made. Nothing has
    /// changed then.
    pub fn connect_network(
        &mut self,
        network: &Network,
        container: &Container,
        given: &EndpointSettings,
    ) -> Result<()> {
        self.repair()?;
        if matches!(network.driver, Driver::Host | Driver::Null) {
            return Err(Error::Conflict(format!(
                "container cannot be connected to network {}: it is a name for having none",
                network.name
            )));
        }
        self.refuse_foreign_namespace(container)?;
        let settings = settings_of(network, given)?;
        let me = ProcessId::of(std::process::id().cast_signed()).doing(|| "look at this process")?;
        let me = serde_json::to_string(&me).map_err(|error| Error::Corrupt(error.to_string()))?;
        let note = note(&container.id, &network.id);
        // Who starts it meanwhile must not do so with what it had before.
        let lock = self.lock_unless_active(container)?;
        let before = self.places(&container.id)?;
        self.store.write(|transaction| {
            // They may have gone since they were looked up.
            containers::find(transaction, &container.id)?;
            networks::find(transaction, &network.id)?;
            endpoints::join(transaction, network, &container.id, &settings)?;
            settings::set(transaction, &note, &me)
        })?;
        bulkhead_sys::fail::point("connect: place taken");
        match self.join_running(container, network) {
            Ok(()) => {
                bulkhead_sys::fail::point("connect: joined");
                self.store.write(|transaction| settings::unset(transaction, &note))?;
            }
            Err(error) => {
                self.take_back(&container.id, &network.id)?;
                return Err(error);
            }
        }
        drop(lock);
        self.tell_of_network(network, container, "connect");
        hosts_files::networks_changed(self, container, &before)
    }

    /// A container that shares another's network namespace, or the host's, has no networks of its own.
    pub(super) fn refuse_foreign_namespace(&self, container: &Container) -> Result<()> {
        let host = container.config.host_config.clone().unwrap_or_default();
        match Modes::of(&host)?.net {
            Mode::Own => Ok(()),
            Mode::Container(_) => Err(Error::Conflict(
                "container sharing network namespace with another container or host cannot be connected to any other network"
                    .into(),
            )),
            Mode::Host => Err(Error::Conflict(
                "container cannot be disconnected from host network or connected to host network".into(),
            )),
            Mode::Nothing => Err(Error::Conflict(
                "container cannot be connected to multiple networks with one of the networks in private (none) mode"
                    .into(),
            )),
        }
    }

    pub(super) fn tell_of_network(&self, network: &Network, container: &Container, action: &str) {
        self.tell(
            "network",
            action,
            &network.id,
            [
                ("container", container.id.clone()),
                ("name", network.name.clone()),
                ("type", network.driver.word().into()),
            ],
        );
    }

    /// Has a container's supervisor make the link, if the container runs.
    fn join_running(&self, container: &Container, network: &Network) -> Result<()> {
        if self.condition(container)?.running().is_none() {
            return Ok(());
        }
        let places = self.places(&container.id)?;
        let Some(place) = places.iter().find(|(endpoint, _)| endpoint.network == network.id) else {
            return Err(Error::NotFound { kind: "network", name: network.name.clone() });
        };
        self.ensure_network(network)?;
        let mut membership = self.membership(container, place, &places)?;
        // There may be a default route, which goes on until it is replaced.
        membership.endpoint.gateways.clear();
        self.tell_network(container, membership)?;
        bulkhead_sys::fail::point("connect: link there");
        let before: Vec<Place> =
            places.iter().filter(|(endpoint, _)| endpoint.network != network.id).cloned().collect();
        self.reroute(container, &before, &places)
    }

    /// Has everything that is on none of the container's networks go out by the one that it should, which may be another
    /// than `before`.
    pub(super) fn reroute(&self, container: &Container, before: &[Place], now: &[Place]) -> Result<()> {
        for place in now {
            let membership = self.membership(container, place, now)?;
            let known = match before.iter().find(|(endpoint, _)| endpoint.network == place.0.network) {
                Some(place) => link_of(&place.0, &place.1, before)?.gateways,
                None => Vec::new(),
            };
            if !membership.endpoint.gateways.is_empty() && membership.endpoint.gateways != known {
                self.tell_network(container, membership)?;
            }
        }
        Ok(())
    }

    fn tell_network(&self, container: &Container, membership: Membership) -> Result<()> {
        match self.ask(container, &Request::Connect(Box::new(membership)), &[]) {
            Ok((Reply::Done, _)) => Ok(()),
            Ok((Reply::Failed(error), _)) => Err(super::of_old(container, error)),
            Ok((other, _)) => Err(Error::Corrupt(format!("the supervisor answered {other:?} to a network"))),
            // It has ended this moment: the next start has it.
            Err(_) if self.condition(container)?.running().is_none() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes a place back, with the link if there is one.
    fn take_back(&mut self, container: &str, network: &str) -> Result<()> {
        if let Ok(container) = self.container(container)
            && self.condition(&container)?.running().is_some()
        {
            // One that has no such link says so; one that has ended has none.
            let _ = self.ask(&container, &Request::Disconnect(network.to_owned()), &[]);
        }
        bulkhead_sys::fail::point("connect: link taken back");
        self.store.write(|transaction| {
            endpoints::leave(transaction, network, container)?;
            settings::unset(transaction, &note(container, network))
        })
    }

    /// Takes back what killed commands have begun to connect.
    pub(crate) fn finish_connections(&mut self) -> Result<()> {
        for (key, who) in settings::beginning_with(self.store.read(), NOTE)? {
            let at_it = serde_json::from_str::<ProcessId>(&who).is_ok_and(|who| who.lives());
            let ids = key.trim_start_matches(NOTE).split_once('/');
            if let Some((container, network)) = ids.filter(|_| !at_it) {
                let (container, network) = (container.to_owned(), network.to_owned());
                self.take_back(&container, &network)?;
            }
        }
        Ok(())
    }
}

fn note(container: &str, network: &str) -> String {
    format!("{NOTE}{container}/{network}")
}
