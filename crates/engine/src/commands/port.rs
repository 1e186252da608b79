//! `port`: where a running container's ports are published.

use std::collections::BTreeMap;

use bollard_stubs::models::PortBinding;

use crate::Engine;
use crate::error::Result;
use crate::store::containers::Container;

impl Engine {
    /// The published ports, `80/tcp` each, with where they are on the host: what
    /// [`inspect`](Engine::inspect) says. One that does not run has none.
    ///
    /// # Errors
    /// Those of `inspect`.
    pub fn ports(&self, container: &Container) -> Result<BTreeMap<String, Vec<PortBinding>>> {
        let ports = self.inspect(container)?.network_settings.and_then(|settings| settings.ports);
        Ok(ports.into_iter().flatten().filter_map(|(port, bindings)| Some((port, bindings?))).collect())
    }
}
