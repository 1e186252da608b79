//! What all `prune` commands share: `--filter`, the question before, and what is said after.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::shown;
use crate::failure::Failure;
use crate::output::filters::Filters;
use crate::output::times::parse_time;

/// `--filter until=…`, `label=…`, `label!=…`.
#[derive(Debug)]
pub(super) struct PruneFilter {
    filters: Filters,
    /// Seconds since 1970: what was made later stays.
    until: Option<i64>,
}

impl PruneFilter {
    /// Reads it; `known` are the filters that the command has.
    pub(super) fn parse(given: &[String], known: &[&str]) -> Result<PruneFilter, Failure> {
        let filters = Filters::parse(given).map_err(|error| Failure::new(error.to_string()))?;
        shown(filters.only(known))?;
        let until = match filters.get("until") {
            [] => None,
            [text] => {
                let time = parse_time(text, OffsetDateTime::now_utc());
                Some(time.map_err(|error| Failure::new(error.to_string()))?.unix_timestamp())
            }
            _ => return Err(Failure::new("more than one until filter specified")),
        };
        Ok(PruneFilter { filters, until })
    }

    pub(super) fn filters(&self) -> &Filters {
        &self.filters
    }

    /// Whether what was made then, with these labels, is meant.
    pub(super) fn wants(&self, created: i64, labels: &HashMap<String, String>) -> bool {
        let labels = labels.clone().into_iter().collect();
        self.until.is_none_or(|until| created <= until)
            && self.filters.labels("label", &labels)
            && !self.filters.any_label("label!", &labels)
    }

    /// The filters, as Docker names them in its question; nothing without any.
    pub(super) fn in_words(&self) -> Vec<String> {
        let one =
            |(key, values): (&str, &[String])| values.iter().map(|value| format!("{key}={value}")).collect();
        self.filters.iter().map(one).collect::<Vec<Vec<String>>>().concat()
    }
}

/// Prints what went, if anything did.
pub(super) fn print_deleted(what: &str, names: &[String]) {
    if !names.is_empty() {
        println!("Deleted {what}:");
        names.iter().for_each(|name| println!("{name}"));
        println!();
    }
}
