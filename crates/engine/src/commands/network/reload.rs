//! `network reload`: everything that the networks of running containers have on the host is made right again, after
//! somebody flushed the firewall or removed a link.

use bulkhead_network::bridge;
use bulkhead_network::firewall::{self, Presence};

use crate::Engine;
use crate::error::Result;
use crate::networks::memberships::link_of;
use crate::store::containers;

/// What was made right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Running containers.
    pub containers: usize,
    /// Their networks' bridges.
    pub bridges: usize,
}

impl Engine {
    /// Makes the networks of all running containers right again.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn reload_networks(&mut self) -> Result<Reloaded> {
        self.repair()?;
        let mut bridges: Vec<bridge::Bridge> = Vec::new();
        let mut presences: Vec<Presence> = Vec::new();
        for container in containers::all(self.store.read())? {
            if self.condition(&container)?.running().is_none() {
                continue;
            }
            let places = self.places(&container.id)?;
            let mut presence = match self.published(&container.id)? {
                // All that it has in the firewall is said there.
                Some(published) => published.presence,
                None => Presence::default(),
            };
            for (endpoint, network) in &places {
                let Some(bridge) = network.bridge() else { continue };
                for sender in link_of(endpoint, network, &places)?.senders() {
                    if !presence.senders.contains(&sender) {
                        presence.senders.push(sender);
                    }
                }
                if !bridges.contains(&bridge) {
                    bridges.push(bridge);
                }
            }
            presences.push(presence);
        }
        for bridge in &bridges {
            let _ = bridge::ensure(bridge)?;
        }
        let all: Vec<&bridge::Bridge> = bridges.iter().collect();
        firewall::restore(&all, &presences)?;
        Ok(Reloaded { containers: presences.len(), bridges: bridges.len() })
    }
}
