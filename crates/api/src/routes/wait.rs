//! `POST /containers/{id}/wait`: until a container has ended, ends the next time, or is gone.
//!
//! The answer begins before the end is waited for: a client that waits for the end of what it is about to start takes
//! that for the sign that nothing is missed from here on. So events are listened to before the container is looked at.

use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;
use bulkhead_engine::Engine;
use bulkhead_engine::commands::events::Events;
use bulkhead_engine::models::{ContainerWaitResponse, EventMessage};
use serde::Deserialize;

use super::Query;
use crate::failure::Failure;
use crate::house::House;
use crate::worker::{Form, Out, flow, gone};

/// For what is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    NotRunning,
    NextExit,
    Removed,
}

#[derive(Deserialize)]
struct WaitQuery {
    condition: Option<String>,
}

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new().route("/containers/{id}/wait", post(wait))
}

async fn wait(
    State(house): State<Arc<House>>,
    Path(id): Path<String>,
    Query(query): Query<WaitQuery>,
) -> Result<Response, Failure> {
    let until = match query.condition.as_deref() {
        None | Some("" | "not-running") => Until::NotRunning,
        Some("next-exit") => Until::NextExit,
        Some("removed") => Until::Removed,
        Some(other) => return Err(Failure::bad(format!("invalid condition: {other:?}"))),
    };
    flow(&house, move |engine, out| wait_for(engine, &id, until, out)).await
}

fn wait_for(engine: &mut Engine, id: &str, until: Until, out: &mut Out) -> Result<(), Failure> {
    if until == Until::NotRunning {
        let container = engine.container(id)?;
        let out = out.begin(Form::Json)?;
        return answer(out, i64::from(engine.wait(&container)?));
    }
    let mut events = engine.events()?;
    // What is remembered of earlier is over.
    while events.next_event()?.is_some() {}
    let container = engine.container(id)?;
    // One that has ended and is there still tells its code by how it ended. After the answer has begun, the container may
    // be started and be gone in no time: from then on only events are asked.
    let ended = match until {
        Until::Removed if !engine.still_writes(&container)? => {
            engine.inspect(&container)?.state.and_then(|state| state.exit_code)
        }
        _ => None,
    };
    let out = out.begin(Form::Json)?;
    let code = end_of(&mut events, &container.id, until)?.or(ended);
    answer(out, code.unwrap_or(0))
}

fn answer(out: &mut std::fs::File, status_code: i64) -> Result<(), Failure> {
    let answer = ContainerWaitResponse { status_code, error: None };
    let mut line = serde_json::to_vec(&answer).map_err(|error| Failure::ours(error.to_string()))?;
    line.push(b'\n');
    out.write_all(&line).map_err(gone)
}

/// Waits for what happens next; gives the exit code, if it has ended since.
fn end_of(events: &mut Events, id: &str, until: Until) -> Result<Option<i64>, Failure> {
    let mut code = None;
    loop {
        let Some(event) = events.next_event()? else {
            events.wait(None)?;
            continue;
        };
        if event.actor.as_ref().and_then(|actor| actor.id.as_deref()) != Some(id) {
            continue;
        }
        match event.action.as_deref() {
            Some("die") => {
                code = Some(exit_code(&event));
                if until == Until::NextExit {
                    return Ok(code);
                }
            }
            Some("destroy") => return Ok(code),
            _ => {}
        }
    }
}

fn exit_code(event: &EventMessage) -> i64 {
    let attributes = event.actor.as_ref().and_then(|actor| actor.attributes.as_ref());
    attributes.and_then(|all| all.get("exitCode")?.parse().ok()).unwrap_or(0)
}
