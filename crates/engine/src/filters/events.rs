//! Filters of `events` and `GET /events`.

use std::collections::HashMap;

use bollard_stubs::models::EventMessage;

use super::{FilterError, Filters};

/// Some are of what there is not here (swarm's, plugins): they are asked in vain.
const KNOWN: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// Those that ask for things of one kind by their ID or name.
const KINDS: [&str; 9] =
    ["config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume"];

/// Which events are asked for.
#[derive(Clone, Debug)]
pub struct EventFilter {
    filters: Filters,
}

impl EventFilter {
    /// Checks filters.
    ///
    /// # Errors
    /// An unknown one.
    pub fn new(filters: Filters) -> Result<EventFilter, FilterError> {
        filters.only(&KNOWN)?;
        Ok(EventFilter { filters })
    }

    /// Whether this one is.
    pub fn wants(&self, event: &EventMessage) -> bool {
        let (filters, none) = (&self.filters, HashMap::new());
        let actor = event.actor.as_ref();
        let attributes = actor.and_then(|actor| actor.attributes.as_ref()).unwrap_or(&none);
        let attribute = |key: &str| attributes.get(key).map(String::as_str).unwrap_or_default();
        let kind = event.typ.map(|kind| kind.to_string()).unwrap_or_default();
        let id = actor.and_then(|actor| actor.id.as_deref()).unwrap_or_default();
        let action = event.action.as_deref().unwrap_or_default();
        let is = |key: &&str| {
            let one = |wanted: &String| id.starts_with(wanted.as_str()) || attribute("name") == *wanted;
            filters.any(key, |wanted| kind == **key && one(wanted))
        };
        let of_image = |wanted: &String| {
            let image = attribute(if kind == "image" { "name" } else { "image" });
            let without_tag = image.rsplit_once(':').map_or(image, |(name, _)| name);
            *wanted == image || *wanted == without_tag || (kind == "image" && id == *wanted)
        };
        // `health_status: healthy` and `exec_start: sh` are asked for by their first word, or whole.
        let of_action =
            |wanted: &String| action == *wanted || action.split(':').next() == Some(wanted.as_str());
        KINDS.iter().all(is)
            && filters.any("image", of_image)
            && filters.any("event", of_action)
            && filters.exact("type", &kind)
            && filters.exact("scope", "local")
            && filters.labels("label", attributes)
    }
}
