//! Filters of `network ls` and `GET /networks`.

use bollard_stubs::models::NetworkInspect;

use super::Filters;
use crate::Engine;
use crate::error::Result;

const KNOWN: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

impl Engine {
    /// The networks that are asked for, by name. Docker's own are never dangling.
    ///
    /// # Errors
    /// An unknown filter, a value that it doesn't take; the database's.
    pub fn networks_wanted(&mut self, filters: &Filters) -> Result<Vec<NetworkInspect>> {
        filters.only(&KNOWN)?;
        filters.each("type", |kind| matches!(kind, "builtin" | "custom"))?;
        let dangling = filters.truth("dangling")?;
        let mut wanted = Vec::new();
        for network in self.networks()? {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let (id, name) = (text(&network.id), text(&network.name));
            let builtin = matches!(name.as_str(), "bridge" | "host" | "none");
            let fits = filters.exact("driver", &text(&network.driver))
                && filters.prefix("id", &id)
                && filters.contains("name", &name)
                && filters.exact("scope", &text(&network.scope))
                && filters.exact("type", if builtin { "builtin" } else { "custom" })
                && filters.labels("label", &network.labels.clone().unwrap_or_default());
            let fits_in_use = match dangling {
                Some(dangling) => (builtin || self.network_is_used(&id)?) != dangling,
                None => true,
            };
            if fits && fits_in_use {
                wanted.push(network);
            }
        }
        Ok(wanted)
    }
}
