//! `ps`: containers, in Docker's form.

use std::collections::HashMap;

use bollard_stubs::models::{
    ContainerSummary, ContainerSummaryHealth, ContainerSummaryHostConfig, ContainerSummaryNetworkSettings,
    ContainerSummaryStateEnum,
};
use bulkhead_supervisor::health::Word;
use bulkhead_supervisor::status::{State, Status};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::size::size;
use crate::error::Result;
use crate::filters::Filters;
use crate::networks::ports;
use crate::networks::shown::Networks;
use crate::spec::merge::command;
use crate::store::containers::Container;
use crate::store::{containers, images};
use crate::units::human_duration;
use crate::{Condition, Engine, host_image};

/// Which containers are listed, and what is told of them.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Those that do not run, too.
    pub all: bool,
    /// The newest of those asked for, running or not: no more than this.
    pub last: Option<usize>,
    /// How much their files are, which means looking at all of them.
    pub sizes: bool,
    /// Which.
    pub filters: Filters,
}

impl Engine {
    /// All containers, the newest first; those that do not run only if `all`.
    ///
    /// # Errors
    /// The database's, or a status that cannot be read.
    pub fn list(&mut self, all: bool) -> Result<Vec<ContainerSummary>> {
        self.list_wanted(&Listing { all, ..Listing::default() })
    }

    /// The containers that are asked for, the newest first.
    ///
    /// # Errors
    /// An unknown filter, a value that it doesn't take, a container named in one that is not there; the database's, or a
    /// status that cannot be read.
    pub fn list_wanted(&mut self, listing: &Listing) -> Result<Vec<ContainerSummary>> {
        let Listing { all, last, sizes, filters } = listing;
        self.repair()?;
        let known = containers::ids(self.store.read())?;
        self.remove_orphaned_folders(&known)?;
        self.remove_orphaned_volumes()?;
        self.remove_orphaned_groups(&known);
        let mut found = Vec::new();
        let mut image_names = HashMap::new();
        // One look at the database for all of them: each by itself would lock and unlock it.
        let snapshot = self.store.read().unchecked_transaction()?;
        let networks = self.all_networks()?;
        let asked = self.asked_containers(filters)?;
        let all = *all || last.is_some() || filters.want_stopped();
        for container in containers::all(self.store.read())? {
            if last.is_some_and(|last| found.len() >= last) {
                break;
            }
            if !asked.may_want(&container) {
                continue;
            }
            let condition = self.condition(&container)?;
            if !all && condition.active().is_none() {
                continue;
            }
            let summary = self.summary(container, &condition, &networks, &mut image_names)?;
            if asked.wants(&condition, &summary) {
                found.push(summary);
            }
        }
        // Looking at files takes its time, which the database's log need not be kept for.
        drop(snapshot);
        if *sizes {
            self.add_sizes(&mut found)?;
        }
        Ok(found)
    }

    /// Adds what their files are, without and with their images'.
    fn add_sizes(&self, found: &mut [ContainerSummary]) -> Result<()> {
        let images: HashMap<String, u64> =
            images::all(self.store.read())?.into_iter().map(|image| (image.id, image.size)).collect();
        for container in found {
            let id = container.id.as_deref().unwrap_or_default();
            let image = container.image_id.as_ref().and_then(|image| images.get(image)).copied().unwrap_or(0);
            let own = size(&self.roots.container(id).join("rw/upper"));
            container.size_rw = Some(signed(own));
            container.size_root_fs = Some(signed(own.saturating_add(image)));
        }
        Ok(())
    }

    fn summary(
        &self,
        container: Container,
        condition: &Condition,
        networks: &Networks,
        image_names: &mut HashMap<String, Vec<String>>,
    ) -> Result<ContainerSummary> {
        let host = container.config.host_config.clone().unwrap_or_default();
        let image = self.image_as_asked(&container, image_names)?;
        let running = condition.running().is_some();
        Ok(ContainerSummary {
            names: Some(vec![format!("/{}", container.name)]),
            image: Some(image),
            image_id: Some(container.image.clone()),
            command: Some(command(&container.config).join(" ")),
            created: Some(container.created / 1_000_000_000),
            ports: Some(ports::summaries(&container.config, networks.published(&container.id, running))),
            state: condition.word().parse::<ContainerSummaryStateEnum>().ok(),
            status: Some(sentence(condition)),
            health: condition.running().and_then(|status| status.health).map(|health| {
                ContainerSummaryHealth {
                    status: health.word.text().parse().ok(),
                    failing_streak: Some(health.failures.into()),
                }
            }),
            network_settings: Some(ContainerSummaryNetworkSettings {
                networks: Some(networks.endpoints(&container, running)?),
            }),
            mounts: Some(super::inspect::mount_points(&container, self.roots())),
            host_config: Some(ContainerSummaryHostConfig {
                network_mode: Some(host.network_mode.unwrap_or_else(|| "bridge".into())),
                annotations: host.annotations,
            }),
            labels: container.config.labels,
            id: Some(container.id),
            ..ContainerSummary::default()
        })
    }

    /// The image's name as the container was asked for it, or its ID if the name means another image now.
    fn image_as_asked(
        &self,
        container: &Container,
        known: &mut HashMap<String, Vec<String>>,
    ) -> Result<String> {
        let asked = container.config.image.clone().unwrap_or_default();
        if container.image == host_image::NAME {
            return Ok(asked);
        }
        if !known.contains_key(&container.image) {
            let names = images::names(self.store.read(), &container.image)?;
            known.insert(container.image.clone(), names.iter().map(ToString::to_string).collect());
        }
        let full = bulkhead_image::Reference::parse(&asked).map(|reference| reference.to_string());
        let still =
            known.get(&container.image).is_some_and(|names| full.is_ok_and(|full| names.contains(&full)));
        let hex = container.image.trim_start_matches("sha256:");
        Ok(if still || hex.starts_with(&asked) { asked } else { crate::id::short(hex).to_owned() })
    }
}

/// Docker counts bytes with a sign.
pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// `Up 2 minutes`, `Exited (0) 3 seconds ago`, `Created`.
pub(crate) fn sentence(condition: &Condition) -> String {
    match condition {
        Condition::Created => "Created".into(),
        Condition::Running(status) => {
            let paused = if status.state == State::Paused { " (Paused)" } else { "" };
            let health = match status.health.map(|health| health.word) {
                None => "",
                _ if status.state == State::Paused => "",
                Some(Word::Starting) => " (health: starting)",
                Some(Word::Healthy) => " (healthy)",
                Some(Word::Unhealthy) => " (unhealthy)",
            };
            format!("Up {}{paused}{health}", human_duration(seconds_since(&status.started_at)))
        }
        Condition::Restarting(status) | Condition::Exited(status) => {
            let word = if status.state == State::Restarting { "Restarting" } else { "Exited" };
            let Status { exit_code, finished_at, .. } = status;
            let ago = human_duration(seconds_since(finished_at.as_deref().unwrap_or("")));
            format!("{word} ({exit_code}) {ago} ago")
        }
    }
}

fn seconds_since(moment: &str) -> i64 {
    let now = OffsetDateTime::now_utc();
    OffsetDateTime::parse(moment, &Rfc3339).map_or(0, |then| (now - then).whole_seconds().max(0))
}
