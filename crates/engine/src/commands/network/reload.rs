//! `network reload`: everything that the networks of running containers have on the host is made right again, after
//! somebody flushed the firewall or removed a link.

use std::net::SocketAddr;

use bulkhead_network::bridge::{self, Bridge};
use bulkhead_network::endpoint::{self, Uplink};
use bulkhead_network::firewall::{self, Presence};
use bulkhead_supervisor::networks::{read_published, with_presences};

use crate::Engine;
use crate::error::{Doing, Result};
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
            bridge::stand(bridge)?;
        }
        self.restore_firewall(None)?;
        // Now that nobody on them sends what he may not.
        self.plug_in()?;
        firewall::sweep()?;
        Ok(Reloaded { containers: presences.len(), bridges: bridges.len() })
    }

    /// Makes the links of running containers ports of their bridges again, and these ways from the host's loopback
    /// addresses to published ports.
    fn plug_in(&self) -> Result<()> {
        let published = self.roots.published();
        for container in containers::all(self.store.read())? {
            if self.condition(&container)?.running().is_none() {
                continue;
            }
            let ports = read_published(&published, &container.id)
                .doing(|| format!("read which ports container {} has published", container.name))?
                .map_or_else(Vec::new, |published| published.ports);
            let places = self.places(&container.id)?;
            for (endpoint, network) in &places {
                let link = link_of(endpoint, network, &places)?;
                let Uplink::Bridge { name, host_link, .. } = &link.uplink else { continue };
                if !endpoint::plug(&link)? {
                    continue;
                }
                let led_here = |to: Option<SocketAddr>| {
                    to.is_some_and(|to| link.addresses.iter().any(|own| own.addr() == to.ip()))
                };
                let mut ours = ports.iter().filter(|port| led_here(port.to)).peekable();
                if ours.peek().is_some() {
                    endpoint::reflect(host_link)?;
                }
                if ours.any(|port| port.address.is_unspecified() || port.address.is_loopback()) {
                    bridge::allow_loopback(name, &link.addresses)?;
                }
            }
        }
        Ok(())
    }

    /// Puts back into the firewall what running containers have in it, and `also` this bridge.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(crate) fn restore_firewall(&self, also: Option<&Bridge>) -> Result<()> {
        // What a container that is just being born has published is known as long as this lasts.
        let restored = with_presences(&self.roots.published(), |published| -> Result<()> {
            let (bridges, mut presences) = self.all_in_the_firewall()?;
            presences.extend_from_slice(published);
            let all: Vec<&Bridge> =
                bridges.iter().chain(also.filter(|also| !bridges.contains(also))).collect();
            Ok(firewall::restore(&all, &presences)?)
        });
        restored.doing(|| "read which ports are published")?
    }

    /// The bridges of running containers, and what lets the links of each of these send.
    fn all_in_the_firewall(&self) -> Result<(Vec<Bridge>, Vec<Presence>)> {
        let mut bridges: Vec<Bridge> = Vec::new();
        let mut presences: Vec<Presence> = Vec::new();
        for container in containers::all(self.store.read())? {
            if self.condition(&container)?.running().is_none() {
                continue;
            }
            let places = self.places(&container.id)?;
            let mut presence = Presence::default();
            for (endpoint, network) in &places {
                let Some(bridge) = network.bridge() else { continue };
                presence.senders.extend(link_of(endpoint, network, &places)?.senders());
                if !bridges.contains(&bridge) {
                    bridges.push(bridge);
                }
            }
            presences.push(presence);
        }
        Ok((bridges, presences))
    }
}
