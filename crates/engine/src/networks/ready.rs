//! What of its networks a container needs before it starts.

use bollard_stubs::models::HostConfig;
use bulkhead_supervisor::networks::Publish;

use super::memberships::Place;
use super::ports;
use crate::Engine;
use crate::error::{Error, Result};
use crate::spec::namespaces::{Mode, Modes};
use crate::store::containers::Container;
use crate::store::networks::{self, DEFAULT};

impl Engine {
    /// The container's places on networks whose bridges stand.
    pub(crate) fn prepare_networks(
        &self,
        container: &Container,
        host: &HostConfig,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Place>> {
        if Modes::of(host)?.net != Mode::Own {
            return Ok(Vec::new());
        }
        let places = self.places(&container.id)?;
        let asked = host.network_mode.as_deref().filter(|mode| !matches!(*mode, "" | "default"));
        let first = asked.unwrap_or(DEFAULT);
        // It was removed, or the container was taken off it, which is as good as having been asked for without.
        if places.is_empty() && networks::find(self.store.read(), first).is_err() {
            return Err(Error::NotFound { kind: "network", name: first.to_owned() });
        }
        for (_, network) in &places {
            warnings.extend(self.ensure_network(network)?);
        }
        Ok(places)
    }

    /// The ports that are to be published.
    pub(crate) fn ports_of(
        &self,
        container: &Container,
        host: &HostConfig,
        places: &[Place],
    ) -> Result<Vec<Publish>> {
        match places.iter().find(|(_, network)| ports::can_lead_to(network)) {
            Some((_, network)) => ports::wanted(&container.config, host, network.settings.host_binding),
            None => Ok(Vec::new()),
        }
    }
}
