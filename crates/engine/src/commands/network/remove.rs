//! `network rm` and `network prune`: a network's record goes, and what it has on the host.

use std::io::ErrorKind;

use bulkhead_network::bridge;
use bulkhead_supervisor::names::registry::forget_network;

use super::create::of_network;
use crate::Engine;
use crate::error::{Doing, Error, Result};
use crate::filters::prune::PruneFilter;
use crate::store::containers::Container;
use crate::store::networks::{self, Driver, Network};
use crate::store::{containers, endpoints};

impl Engine {
    /// Removes a network. Containers that do not run lose their place on it.
    ///
    /// # Errors
    /// There is none of that name, it is one of Docker's own, or containers on it run.
    pub fn remove_network(&mut self, wanted: &str) -> Result<Network> {
        let network = self.network(wanted)?;
        if matches!(network.name.as_str(), "bridge" | "host" | "none") {
            return Err(Error::Conflict(format!(
                "{} is a pre-defined network and cannot be removed",
                network.name
            )));
        }
        self.remove_unused_network(&network)?;
        Ok(network)
    }

    /// Removes the networks that no container is on, running or not. Gives their names.
    ///
    /// # Errors
    /// The database's, or the kernel's.
    pub fn prune_networks(&mut self, filter: &PruneFilter) -> Result<Vec<String>> {
        self.repair()?;
        let mut gone = Vec::new();
        for network in networks::all(self.store.read())? {
            let predefined = matches!(network.name.as_str(), "bridge" | "host" | "none");
            let labels = network.settings.labels.clone().into_iter().collect();
            if predefined
                || self.network_is_used(&network.id)?
                || !filter.wants(network.created / 1_000_000_000, &labels)
            {
                continue;
            }
            match self.remove_unused_network(&network) {
                Ok(()) => gone.push(network.name),
                // A container has taken it meanwhile, or somebody else removes it.
                Err(Error::Conflict(_) | Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.tell("network", "prune", "", [("reclaimed", "0".into())]);
        Ok(gone)
    }

    fn remove_unused_network(&mut self, network: &Network) -> Result<()> {
        let mut active = Vec::new();
        // Whoever starts one of its containers has looked at its networks under that one's lock.
        let mut locks = Vec::new();
        let mut there = endpoints::of_network(self.store.read(), &network.id)?;
        // All who take several locks take them in this order.
        there.sort_by(|one, other| one.container.cmp(&other.container));
        for endpoint in &there {
            let Ok(container) = containers::find(self.store.read(), &endpoint.container) else { continue };
            match self.lock_unless_active(&container) {
                Ok(Some(lock)) => locks.push(lock),
                Ok(None) => active.push(container),
                // It is being removed, and its folder is gone.
                Err(Error::System { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if !active.is_empty() {
            return Err(in_use(network, &active));
        }
        // The record first: what is left of it on the host then is found by `network reload` and `system reset`, and
        // nobody can start on it any more.
        let there = self.store.write(|transaction| {
            // Those that have come since then may run.
            let new = endpoints::of_network(transaction, &network.id)?
                .into_iter()
                .filter(|new| !there.iter().any(|known| known.container == new.container))
                .map(|new| containers::find(transaction, &new.container))
                .collect::<Result<Vec<_>>>()?;
            if !new.is_empty() {
                return Err(in_use(network, &new));
            }
            let there = networks::delete(transaction, &network.id)?;
            if there && network.driver == Driver::Bridge {
                left_on_host(transaction, network)?;
            }
            Ok(there)
        })?;
        if !there {
            return Err(Error::NotFound { kind: "network", name: network.name.clone() });
        }
        bulkhead_sys::fail::point("network rm: record gone");
        self.clear_away(network)?;
        self.tell("network", "destroy", &network.id, of_network(network));
        Ok(())
    }

    /// Removes what a network that has no record any more has on the host.
    fn clear_away(&mut self, network: &Network) -> Result<()> {
        if let Some(bridge) = network.bridge() {
            bridge::remove(&bridge)?;
        }
        bulkhead_sys::fail::point("network rm: bridge gone");
        forget_network(&self.roots.networks(), &network.id)
            .doing(|| format!("forget the names of network {}", network.name))?;
        self.store.write(|transaction| cleared(transaction, network))
    }

    /// Finishes removals of networks that were killed.
    pub(crate) fn finish_removals_of_networks(&mut self) -> Result<()> {
        for network in to_be_cleared(self.store.read())? {
            self.clear_away(&network)?;
        }
        Ok(())
    }
}

/// Docker's words.
fn in_use(network: &Network, active: &[Container]) -> Error {
    let active: Vec<String> = active
        .iter()
        .map(|container| format!("name:\"{}\" id:\"{}\"", container.name, crate::id::short(&container.id)))
        .collect();
    Error::Conflict(format!(
        "error while removing network: network {} id {} has active endpoints ({})",
        network.name,
        network.id,
        active.join(", ")
    ))
}

/// What the settings begin with that remember what is on the host of a network without a record; its ID follows.
const NOTE: &str = "network to clear away:";

fn left_on_host(transaction: &rusqlite::Transaction<'_>, network: &Network) -> Result<()> {
    let text = serde_json::to_string(&(&network.name, &network.settings))
        .map_err(|error| Error::Corrupt(error.to_string()))?;
    crate::store::settings::set(transaction, &format!("{NOTE}{}", network.id), &text)
}

fn cleared(transaction: &rusqlite::Transaction<'_>, network: &Network) -> Result<()> {
    crate::store::settings::unset(transaction, &format!("{NOTE}{}", network.id))
}

fn to_be_cleared(connection: &rusqlite::Connection) -> Result<Vec<Network>> {
    let notes = crate::store::settings::beginning_with(connection, NOTE)?;
    notes
        .into_iter()
        .map(|(key, text)| {
            let (name, settings) =
                serde_json::from_str(&text).map_err(|error| Error::Corrupt(error.to_string()))?;
            let id = key.trim_start_matches(NOTE).to_owned();
            Ok(Network { id, name, created: 0, driver: Driver::Bridge, settings })
        })
        .collect()
}
