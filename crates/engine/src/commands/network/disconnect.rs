//! `network disconnect`: a container is on a network no more, at once if it runs.
//!
//! The link goes first and the place after it: if that is interrupted, the container holds its address still, and
//! disconnecting it again does the rest; its next start makes the link anew.

use bulkhead_supervisor::protocol::{Reply, Request};

use crate::error::{Error, Result};
use crate::store::containers::Container;
use crate::store::endpoints;
use crate::store::networks::Network;
use crate::{Engine, hosts_files};

impl Engine {
    /// Takes a container off a network. `force`: even if its supervisor cannot take the link away.
    ///
    /// # Errors
    /// It is not on it, or the link could not be taken away.
    pub fn disconnect_network(
        &mut self,
        network: &Network,
        container: &Container,
        force: bool,
    ) -> Result<()> {
        self.repair()?;
        self.refuse_foreign_namespace(container)?;
        let lock = self.lock_unless_active(container)?;
        let before = self.places(&container.id)?;
        if endpoints::of_both(self.store.read(), &container.id, &network.id)?.is_none() {
            return Err(Error::Conflict(format!(
                "container {} is not connected to network {}",
                container.id, network.name
            )));
        }
        if self.condition(container)?.running().is_some() {
            match self.ask(container, &Request::Disconnect(network.id.clone()), &[]) {
                Ok((Reply::Done, _)) => {}
                Ok((Reply::Failed(error), _)) if !force => return Err(super::of_old(container, error)),
                Err(error) if !force && self.condition(container)?.running().is_some() => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        bulkhead_sys::fail::point("disconnect: link gone");
        self.store
            .write(|transaction| endpoints::leave(transaction, &network.id, &container.id).map(drop))?;
        bulkhead_sys::fail::point("disconnect: place given back");
        if self.condition(container)?.running().is_some() {
            self.reroute(container, &before, &self.places(&container.id)?)?;
        }
        drop(lock);
        self.tell_of_network(network, container, "disconnect");
        hosts_files::networks_changed(self, container, &before)
    }
}
