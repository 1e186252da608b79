//! Filters of `ps` and `GET /containers/json`.
//!
//! `publish` and `expose` ask for what a container was made with, so that one that does not run has its ports too.

use std::collections::HashSet;

use bollard_stubs::models::{ContainerSummary, EndpointSettings};
use bulkhead_supervisor::health::Word;

use super::Filters;
use crate::error::{Error, Result};
use crate::networks::ports;
use crate::store::containers::Container;
use crate::store::images::{self, Image};
use crate::{Condition, Engine, host_image};

const KNOWN: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

const STATES: [&str; 7] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];
const HEALTH: [&str; 4] = ["starting", "healthy", "unhealthy", "none"];

/// What is asked for, checked.
pub(crate) struct Asked<'a> {
    filters: &'a Filters,
    /// The images of `ancestor`, and what was made from them.
    images: HashSet<String>,
    /// Between which moments they were made, in nanoseconds since 1970.
    before: Option<i64>,
    since: Option<i64>,
    /// There is no swarm, so nothing here is a task of one.
    tasks: bool,
}

impl Filters {
    /// Whether they ask for containers that do not run.
    pub(crate) fn want_stopped(&self) -> bool {
        self.has("status") || self.has("exited")
    }
}

impl Engine {
    /// Checks filters of containers, and looks up what they name.
    ///
    /// # Errors
    /// An unknown filter, a value that it doesn't take, a container that is not there.
    pub(crate) fn asked_containers<'a>(&self, filters: &'a Filters) -> Result<Asked<'a>> {
        filters.only(&KNOWN)?;
        filters.each("status", |status| STATES.contains(&status))?;
        filters.each("health", |word| HEALTH.contains(&word))?;
        filters.each("exited", |code| code.parse::<i32>().is_ok())?;
        filters.each("publish", is_ports)?;
        filters.each("expose", is_ports)?;
        let made = |key: &str| -> Result<Vec<i64>> {
            filters.get(key).iter().map(|name| Ok(self.container(name)?.created)).collect()
        };
        Ok(Asked {
            filters,
            images: self.with_descendants(filters.get("ancestor"))?,
            before: made("before")?.into_iter().min(),
            since: made("since")?.into_iter().max(),
            tasks: filters.truth("is-task")?.unwrap_or(false),
        })
    }

    /// The IDs of images, and of all that have their layers and more. A name that means none has none.
    fn with_descendants(&self, names: &[String]) -> Result<HashSet<String>> {
        let mut found = HashSet::new();
        if names.is_empty() {
            return Ok(found);
        }
        let all = images::all(self.store.read())?;
        for name in names {
            if name == host_image::NAME {
                found.insert(name.clone());
            }
            let image = match images::find(self.store.read(), name) {
                Ok(image) => image,
                Err(Error::NotFound { .. } | Error::Image(_)) => continue,
                Err(error) => return Err(error),
            };
            let after = |other: &&Image| {
                other.layers.len() > image.layers.len() && other.layers.starts_with(&image.layers)
            };
            found.extend(all.iter().filter(after).map(|other| other.id.clone()));
            found.insert(image.id);
        }
        Ok(found)
    }
}

impl Asked<'_> {
    /// What can be said without looking at more than the record.
    pub(crate) fn may_want(&self, container: &Container) -> bool {
        let filters = self.filters;
        let labels = container.config.labels.clone().unwrap_or_default();
        !self.tasks
            && self.before.is_none_or(|before| container.created < before)
            && self.since.is_none_or(|since| container.created > since)
            && filters.prefix("id", &container.id)
            && (filters.contains("name", &container.name)
                || filters.contains("name", &format!("/{}", container.name)))
            && filters.labels("label", &labels)
            && (!filters.has("ancestor") || self.images.contains(&container.image))
            // Windows' word; here there is one way only.
            && filters.exact("isolation", "default")
            && filters.any("publish", |wanted| has_port(wanted, &ports::bound(&container.config)))
            && filters.any("expose", |wanted| has_port(wanted, &ports::exposed(&container.config)))
    }

    /// The rest.
    pub(crate) fn wants(&self, condition: &Condition, summary: &ContainerSummary) -> bool {
        let filters = self.filters;
        let code = match condition {
            Condition::Exited(status) => Some(status.exit_code),
            _ => None,
        };
        let mounted = |wanted: &String| {
            summary.mounts.iter().flatten().any(|mount| {
                let by = [&mount.name, &mount.source, &mount.destination];
                by.into_iter().flatten().any(|part| part == wanted)
            })
        };
        let is_on = |wanted: &String| {
            let networks =
                summary.network_settings.iter().flat_map(|settings| settings.networks.iter().flatten());
            let has_id = |endpoint: &EndpointSettings| {
                let id = endpoint.network_id.as_deref().unwrap_or_default();
                !wanted.is_empty() && id.starts_with(wanted.as_str())
            };
            networks.into_iter().any(|(name, endpoint)| name == wanted || has_id(endpoint))
        };
        filters.exact("status", condition.word())
            && filters.exact("health", health(condition))
            && filters.any("exited", |wanted| code.is_some_and(|code| wanted.parse() == Ok(code)))
            && filters.any("volume", mounted)
            && filters.any("network", is_on)
    }
}

/// How it does, in Docker's word.
fn health(condition: &Condition) -> &'static str {
    condition.running().and_then(|status| status.health).map_or("none", |health| match health.word {
        Word::Starting => "starting",
        Word::Healthy => "healthy",
        Word::Unhealthy => "unhealthy",
    })
}

/// Whether the text is `PORT[-PORT][/PROTOCOL]`.
fn is_ports(text: &str) -> bool {
    ports::read_ports(text).is_ok()
}

fn has_port(wanted: &str, there: &[ports::Port]) -> bool {
    ports::read_ports(wanted).is_ok_and(|wanted| there.iter().any(|port| wanted.contains(port)))
}
