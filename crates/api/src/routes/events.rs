//! `GET /events`: what happened, and what happens.

use std::io::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use bulkhead_engine::Engine;
use bulkhead_engine::filters::events::EventFilter;
use bulkhead_engine::models::EventMessage;
use serde::Deserialize;
use serde_json::json;

use super::Query;
use crate::failure::Failure;
use crate::filters;
use crate::house::House;
use crate::moments::{moment, nanoseconds, time_left};
use crate::worker::{Form, Out, flow, gone};

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new().route("/events", get(events))
}

#[derive(Deserialize)]
struct EventsQuery {
    since: Option<String>,
    until: Option<String>,
    filters: Option<String>,
}

async fn events(
    State(house): State<Arc<House>>,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Failure> {
    let filter = EventFilter::new(filters::parse(query.filters.as_deref())?)?;
    let asked = query.since.as_deref().filter(|text| !text.is_empty());
    // Here 0 is 1970 and not "from now on".
    let since = moment("since", asked)?.or_else(|| asked.map(|_| UNIX_EPOCH));
    let until = moment("until", query.until.as_deref())?;
    flow(&house, move |engine, out| tell(engine, since, until, &filter, out)).await
}

fn tell(
    engine: &mut Engine,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    filter: &EventFilter,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut events = engine.events()?;
    let since = nanoseconds(since.unwrap_or_else(SystemTime::now));
    let last = until.map(nanoseconds);
    let out = out.begin(Form::Json)?;
    // What comes while we look is told whatever the clock says: it may have been set back.
    let mut is_past = true;
    loop {
        let mut lines = Vec::new();
        while let Some(event) = events.next_event()? {
            let at = event.time_nano.unwrap_or(0);
            let in_time = (!is_past || at >= since) && last.is_none_or(|last| at <= last);
            if in_time && filter.wants(&event) {
                serde_json::to_writer(&mut lines, &shown(&event)).map_err(|error| gone(error.into()))?;
                lines.push(b'\n');
            }
        }
        is_past = false;
        out.write_all(&lines).map_err(gone)?;
        let left = time_left(until);
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(());
        }
        events.wait(left)?;
    }
}

/// An event as Docker sends it: a container's has the names of old versions too.
fn shown(event: &EventMessage) -> serde_json::Value {
    let mut value = json!(event);
    if value.get("Type").and_then(|kind| kind.as_str()) == Some("container")
        && let Some(map) = value.as_object_mut()
    {
        let actor = event.actor.as_ref();
        let image = actor.and_then(|actor| actor.attributes.as_ref()?.get("image"));
        map.insert("status".into(), json!(event.action));
        map.insert("id".into(), json!(actor.and_then(|actor| actor.id.as_ref())));
        map.insert("from".into(), json!(image));
    }
    value
}
