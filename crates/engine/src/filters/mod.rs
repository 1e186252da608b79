//! Filters: which of many things are meant. Each front end reads its own spelling (`--filter key=value`, the API's
//! JSON); what a key means for each kind of thing is said here, once.
//!
//! | file | of |
//! |---|---|
//! | [`containers`] | `ps` |
//! | [`images`] | `images` |
//! | [`volumes`] | `volume ls` |
//! | [`networks`] | `network ls` |
//! | [`events`] | `events` |
//! | [`prune`] | what goes by a `prune` |
//! | [`pattern`] | names that are asked for by a pattern |
//!
//! Several values of one key widen (`status=exited` or `status=created`), several keys narrow; only labels narrow
//! among themselves. That is Docker's rule (<https://docs.docker.com/engine/cli/filter/>).

pub mod containers;
pub mod events;
pub mod images;
pub mod networks;
pub mod pattern;
pub mod prune;
#[cfg(test)]
mod tests;
pub mod volumes;

use std::collections::{BTreeMap, HashMap};

use time::OffsetDateTime;

use crate::error::Error;
use crate::times::parse_time;

/// A filter that cannot be used, in Docker's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No filter of that name.
    #[error("invalid filter '{0}'")]
    Unknown(String),
    /// A value that this filter doesn't take.
    #[error("invalid filter '{key}=[{value}]'")]
    Value {
        /// The filter.
        key: String,
        /// Its values.
        value: String,
    },
    /// A moment that is none, and why.
    #[error("invalid filter '{key}': {why}")]
    Time {
        /// The filter.
        key: String,
        /// Why it cannot be used.
        why: String,
    },
}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Error {
        Error::Invalid(error.to_string())
    }
}

/// Filters by name, each with the values asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    values: BTreeMap<String, Vec<String>>,
}

impl Filters {
    /// Notes that a filter was named, with whatever values: one without any refuses nothing, but must be one that there is.
    pub fn name(&mut self, key: &str) {
        self.values.entry(key.to_owned()).or_default();
    }

    /// Adds a value.
    pub fn add(&mut self, key: &str, value: &str) {
        let values = self.values.entry(key.to_owned()).or_default();
        if !values.iter().any(|known| known == value) {
            values.push(value.to_owned());
        }
    }

    /// Refuses every filter but these.
    ///
    /// # Errors
    /// [`FilterError::Unknown`]: a mistyped filter must not widen what `prune` removes.
    pub fn only(&self, known: &[&str]) -> Result<(), FilterError> {
        match self.values.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(FilterError::Unknown(key.clone())),
            None => Ok(()),
        }
    }

    /// Is nothing asked for?
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Is something asked of this filter?
    pub fn has(&self, key: &str) -> bool {
        !self.get(key).is_empty()
    }

    /// The values asked of a filter, none if it was not given.
    pub fn get(&self, key: &str) -> &[String] {
        self.values.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// All filters and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.values.iter().map(|(key, values)| (key.as_str(), values.as_slice()))
    }

    /// Does one of the values satisfy `test`? True if the filter was not given.
    pub fn any(&self, key: &str, test: impl FnMut(&String) -> bool) -> bool {
        !self.has(key) || self.get(key).iter().any(test)
    }

    /// Is `text` one of the values?
    pub fn exact(&self, key: &str, text: &str) -> bool {
        self.any(key, |value| value == text)
    }

    /// Does `text` begin with one of the values? So IDs are asked for.
    pub fn prefix(&self, key: &str, text: &str) -> bool {
        self.any(key, |value| text.starts_with(value.strip_prefix('^').unwrap_or(value)))
    }

    /// Does one of the values match `text`, a part of it or by a pattern? So names are asked for; see [`pattern::matches`].
    pub fn contains(&self, key: &str, text: &str) -> bool {
        self.any(key, |value| pattern::matches(value, text))
    }

    /// Do the labels satisfy all the values, `name` or `name=value`?
    pub fn labels(&self, key: &str, labels: &HashMap<String, String>) -> bool {
        self.get(key).iter().all(|wanted| has_label(labels, wanted))
    }

    /// Does one of the labels satisfy one of the values? So labels are asked for that must not be there.
    pub fn any_label(&self, key: &str, labels: &HashMap<String, String>) -> bool {
        self.get(key).iter().any(|unwanted| has_label(labels, unwanted))
    }

    /// The one truth asked for (`true`, `1`, `false`, `0`), `None` if the filter was not given.
    ///
    /// # Errors
    /// [`FilterError::Value`]: another value, or both truths.
    pub fn truth(&self, key: &str) -> Result<Option<bool>, FilterError> {
        let truths: Option<Vec<bool>> = self
            .get(key)
            .iter()
            .map(|value| match value.as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            })
            .collect();
        match truths.as_deref() {
            Some([]) => Ok(None),
            Some([first, others @ ..]) if others.iter().all(|other| other == first) => Ok(Some(*first)),
            _ => Err(self.unfit(key)),
        }
    }

    /// The one moment asked for, as [`parse_time`] reads it, in seconds since 1970; `None` if the filter was not given.
    ///
    /// # Errors
    /// [`FilterError::Time`]: several, or one that is none.
    pub fn moment(&self, key: &str) -> Result<Option<i64>, FilterError> {
        let bad = |why: String| FilterError::Time { key: key.to_owned(), why };
        match self.get(key) {
            [] => Ok(None),
            [text] => {
                let time = parse_time(text, OffsetDateTime::now_utc());
                time.map(|time| Some(time.unix_timestamp())).map_err(|error| bad(error.to_string()))
            }
            _ => Err(bad(format!("more than one {key} filter specified"))),
        }
    }

    /// Refuses all values but those that fit.
    ///
    /// # Errors
    /// [`FilterError::Value`].
    fn each(&self, key: &str, fits: impl Fn(&str) -> bool) -> Result<(), FilterError> {
        match self.get(key).iter().find(|value| !fits(value)) {
            Some(value) => Err(FilterError::Value { key: key.to_owned(), value: value.clone() }),
            None => Ok(()),
        }
    }

    fn unfit(&self, key: &str) -> FilterError {
        FilterError::Value { key: key.to_owned(), value: self.get(key).join(" ") }
    }
}

/// Whether there is a label of that name, and of that value if `wanted` has one.
fn has_label(labels: &HashMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}
