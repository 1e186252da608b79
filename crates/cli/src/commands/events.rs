//! `bulkhead events`.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::Duration;

use bulkhead_engine::Error;
use bulkhead_engine::filters::events::EventFilter;
use bulkhead_engine::models::EventMessage;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Done;
use crate::Context;
use crate::failure::{Failure, printable};
use crate::output::filters::parse;
use crate::output::inspect::print_object;
use crate::output::times::parse_time;
use crate::template::{Shape, Type};

/// Show what happens to containers, images and volumes
#[derive(Debug, clap::Args)]
pub struct Events {
    /// Show only some: container=, event=, image=, label=, network=, scope=, type=, volume=
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// A Go template, or "json"
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// From when on: a moment, or how long ago, such as 10m [default: now]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until when
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Events {
    pub(super) fn run(self, context: &Context) -> Done {
        let filter = EventFilter::new(parse(&self.filter)?).map_err(Error::from)?;
        let now = OffsetDateTime::now_utc();
        let moment = |flag: &str, text: &Option<String>| {
            let read = |text: &str| {
                parse_time(text, now)
                    .map_err(|error| Failure::new(format!("invalid value for \"{flag}\": {error}")))
            };
            text.as_deref().map(read).transpose()
        };
        let since = moment("since", &self.since)?.unwrap_or(now);
        let until = moment("until", &self.until)?;
        let mut events = context.engine()?.events()?;
        let mut out = std::io::stdout().lock();
        // What comes while we look is shown whatever the clock says: it may have been set back.
        let mut is_past = true;
        loop {
            while let Some(event) = events.next_event()? {
                let at = OffsetDateTime::from_unix_timestamp_nanos(event.time_nano.unwrap_or(0).into())
                    .unwrap_or(OffsetDateTime::UNIX_EPOCH);
                if (is_past && at < since) || until.is_some_and(|until| at > until) || !filter.wants(&event) {
                    continue;
                }
                self.show(&mut out, &event, at)?;
            }
            is_past = false;
            if out.flush().is_err() {
                // Nobody reads any more.
                return Ok(0);
            }
            let left = until.map(|until| until - OffsetDateTime::now_utc());
            if left.is_some_and(|left| !left.is_positive()) {
                return Ok(0);
            }
            events.wait(left.map(|left| Duration::try_from(left).unwrap_or_default()))?;
        }
    }

    fn show(&self, out: &mut impl Write, event: &EventMessage, at: OffsetDateTime) -> Result<(), Failure> {
        match self.format.as_deref() {
            None | Some("") => writeln!(out, "{}", printable(&line(event, at)))?,
            Some("json" | "{{json .}}") => writeln!(out, "{}", with_old_names(event))?,
            Some(format) => {
                let kind = Type { name: "*events.Message", shapes: &[("Actor.Attributes", Shape::Map)] };
                print_object(out, format, &in_go_s_names(event), kind)
                    .map_err(|error| Failure::new(error.to_string()))?;
            }
        }
        Ok(())
    }
}

fn kind(event: &EventMessage) -> String {
    event.typ.map(|kind| kind.to_string()).unwrap_or_default()
}

fn attributes(event: &EventMessage) -> HashMap<String, String> {
    event.actor.clone().and_then(|actor| actor.attributes).unwrap_or_default()
}

fn id(event: &EventMessage) -> String {
    event.actor.clone().and_then(|actor| actor.id).unwrap_or_default()
}

/// Docker's line.
fn line(event: &EventMessage, at: OffsetDateTime) -> String {
    let sorted: BTreeMap<String, String> = attributes(event).into_iter().collect();
    let list: Vec<String> = sorted.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let tail = if list.is_empty() { String::new() } else { format!(" ({})", list.join(", ")) };
    let second = at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default();
    // Nine digits, whatever they are: lines stay below each other.
    let moment = format!("{}.{:09}Z", second.trim_end_matches('Z'), at.nanosecond());
    let action = event.action.clone().unwrap_or_default();
    format!("{moment} {} {action} {}{tail}", kind(event), id(event))
}

/// The JSON of Docker's clients, which for a container has the names of old versions too.
fn with_old_names(event: &EventMessage) -> serde_json::Value {
    let mut value = json!(event);
    if kind(event) == "container"
        && let Some(map) = value.as_object_mut()
    {
        map.insert("status".into(), json!(event.action));
        map.insert("id".into(), json!(id(event)));
        map.insert("from".into(), json!(attributes(event).get("image")));
    }
    value
}

fn in_go_s_names(event: &EventMessage) -> serde_json::Value {
    json!({
        "Type": kind(event),
        "Action": event.action,
        "Status": event.action,
        "ID": id(event),
        "From": attributes(event).get("image").cloned().unwrap_or_default(),
        "Actor": {"ID": id(event), "Attributes": attributes(event)},
        "Scope": "local",
        "Time": event.time,
        "TimeNano": event.time_nano,
    })
}
