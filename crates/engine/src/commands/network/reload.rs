//! `network reload`: everything that the networks of running containers have on the host is made right again, after
//! somebody flushed the firewall or removed a link.

use bulkhead_network::bridge::{self, Bridge};
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
        let (bridges, presences) = self.all_in_the_firewall()?;
        for bridge in &bridges {
            let _ = bridge::ensure(bridge)?;
        }
        self.restore_firewall(None)?;
        Ok(Reloaded { containers: presences.len(), bridges: bridges.len() })
    }

    /// Puts back into the firewall what running containers have in it, and `also` this bridge.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(crate) fn restore_firewall(&self, also: Option<&Bridge>) -> Result<()> {
        let (bridges, presences) = self.all_in_the_firewall()?;
        let all: Vec<&Bridge> = bridges.iter().chain(also.filter(|also| !bridges.contains(also))).collect();
        Ok(firewall::restore(&all, &presences)?)
    }

    /// The bridges of running containers, and what each of these has in the firewall.
    fn all_in_the_firewall(&self) -> Result<(Vec<Bridge>, Vec<Presence>)> {
        let mut bridges: Vec<Bridge> = Vec::new();
        let mut presences: Vec<Presence> = Vec::new();
        for container in containers::all(self.store.read())? {
            if self.condition(&container)?.running().is_none() {
                continue;
            }
            let places = self.places(&container.id)?;
            let mut presence = self.published(&container.id)?.map(|one| one.presence).unwrap_or_default();
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
        Ok((bridges, presences))
    }
}
