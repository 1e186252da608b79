//! `GET /containers/{id}/stats`: what a container uses, once or every second until it is removed or its client goes.

use std::io::Write;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use bulkhead_engine::commands::stats;
use bulkhead_engine::{Engine, Error};
use serde::Deserialize;

use super::{Query, is_on};
use crate::failure::Failure;
use crate::house::House;
use crate::worker::{Form, Out, flow, gone};

/// From one to the next.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new().route("/containers/{id}/stats", get(stats_of))
}

#[derive(Deserialize)]
struct StatsQuery {
    stream: Option<String>,
    #[serde(rename = "one-shot")]
    one_shot: Option<String>,
}

/// How often they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    /// Again and again.
    Stream,
    /// Once, with what was used in the moment before.
    Rate,
    /// Once and at once.
    Shot,
}

async fn stats_of(
    State(house): State<Arc<House>>,
    Path(id): Path<String>,
    Query(query): Query<StatsQuery>,
) -> Result<Response, Failure> {
    // Not said at all means on.
    let stream = query.stream.is_none() || is_on(query.stream.as_ref());
    let times = match (stream, is_on(query.one_shot.as_ref())) {
        (true, true) => return Err(Failure::bad("cannot have stream=true and one-shot=true")),
        (true, false) => Times::Stream,
        (false, false) => Times::Rate,
        (false, true) => Times::Shot,
    };
    flow(&house, move |engine, out| tell(engine, &id, times, out)).await
}

fn tell(engine: &mut Engine, name: &str, times: Times, out: &mut Out) -> Result<(), Failure> {
    let container = engine.container(name)?;
    let mut sample = engine.stats(&container)?;
    if times == Times::Rate && sample.pids_stats.as_ref().is_some_and(|pids| pids.current.is_some()) {
        sleep(PAUSE);
        sample = stats::after(&sample, engine.stats(&container)?);
    }
    let out = out.begin(Form::Json)?;
    loop {
        let mut line = serde_json::to_vec(&sample).map_err(|error| Failure::ours(error.to_string()))?;
        line.push(b'\n');
        out.write_all(&line).map_err(gone)?;
        if times != Times::Stream {
            return Ok(());
        }
        sleep(PAUSE);
        // Another one may have taken its name.
        let container = match engine.container(&container.id) {
            Err(Error::NotFound { .. }) => return Ok(()),
            other => other?,
        };
        sample = stats::after(&sample, engine.stats(&container)?);
    }
}
