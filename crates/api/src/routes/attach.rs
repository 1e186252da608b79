//! `POST /containers/{id}/attach`: a container's own streams, those of one that runs, or of one that will be started.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use bulkhead_engine::detach_keys::{self, DetachKeys};
use bulkhead_engine::protocol::Attach;
use bulkhead_engine::{Condition, Engine};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};

use super::{Query, is_on, logs};
use crate::descriptors::Stream;
use crate::failure::Failure;
use crate::hijack::Client;
use crate::house::House;
use crate::session::Session;
use crate::worker::{ask_with, flow_of};

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new().route("/containers/{id}/attach", post(attach))
}

#[derive(Deserialize)]
struct AttachQuery {
    logs: Option<String>,
    stream: Option<String>,
    stdin: Option<String>,
    stdout: Option<String>,
    stderr: Option<String>,
    #[serde(rename = "detachKeys")]
    detach_keys: Option<String>,
}

/// What is known of the container then.
#[derive(Serialize, Deserialize)]
struct Found {
    id: String,
    /// Whether it has a terminal, whose output has no second stream.
    terminal: bool,
    /// Whether it runs, and is attached to.
    attached: bool,
}

async fn attach(
    State(house): State<Arc<House>>,
    Path(id): Path<String>,
    Query(query): Query<AttachQuery>,
    mut request: Request,
) -> Result<Response, Failure> {
    let client = Client::of(&mut request);
    let keys = query.detach_keys.as_deref().filter(|keys| !keys.is_empty());
    let keys = DetachKeys::parse(keys.unwrap_or(detach_keys::USUAL)).map_err(Failure::bad)?;
    let streams = is_on(query.stream.as_ref());
    let wants = |stream: Option<&String>| streams && is_on(stream);
    let wanted = Attach {
        stdin: wants(query.stdin.as_ref()),
        stdout: wants(query.stdout.as_ref()),
        stderr: wants(query.stderr.as_ref()),
    };
    let failed = |error: std::io::Error| Failure::ours(format!("cannot make the streams: {error}"));
    let (mut session, theirs) = pipes(wanted).map_err(failed)?;
    let found = loop {
        let mut started = house.pending.started();
        let copies = theirs.iter().map(OwnedFd::try_clone).collect::<Result<_, _>>().map_err(failed)?;
        let found: Found =
            ask_with(&house, copies, |engine, theirs| connect(engine, &id, wanted, theirs)).await?;
        if found.attached || wanted == Attach::default() {
            break found;
        }
        // One that is started just now neither runs yet nor waits for a start.
        if house.pending.is_starting(&found.id) {
            let _ = started.changed().await;
        } else if !started.has_changed().unwrap_or(false) {
            let (wanted, theirs) = without_errors(wanted, theirs, found.terminal);
            session.place = Some(house.pending.keep(found.id.clone(), wanted, theirs)?);
            break found;
        }
    };
    session.framed = !found.terminal;
    if found.terminal {
        session.keys = keys;
        session.errors = None;
    }
    if is_on(query.logs.as_ref()) {
        let asked = logs::Asked::all(is_on(query.stdout.as_ref()), is_on(query.stderr.as_ref()));
        let job = |engine: &mut Engine, out: &mut _| {
            let container = engine.container(&found.id)?;
            logs::show(engine, &container, &asked, out)
        };
        session.before = Some(flow_of(&house, job).await?);
    }
    client.begin(session.framed, std::future::ready(session), request.into_body())
}

/// Our ends of what is wanted, and the far ends in the protocol's order.
fn pipes(wanted: Attach) -> std::io::Result<(Session, Vec<OwnedFd>)> {
    let (mut session, mut theirs) = (Session::default(), Vec::new());
    let pipe = || pipe_with(PipeFlags::CLOEXEC);
    let ours = |end| Stream::new(end).map(Arc::new).map(Some);
    if wanted.stdin {
        let (read, write) = pipe()?;
        theirs.push(read);
        session.input = ours(write)?;
    }
    for (is_wanted, place) in [(wanted.stdout, &mut session.output), (wanted.stderr, &mut session.errors)] {
        if is_wanted {
            let (read, write) = pipe()?;
            theirs.push(write);
            *place = ours(read)?;
        }
    }
    Ok((session, theirs))
}

/// A terminal has no second stream. It is the last one.
fn without_errors(wanted: Attach, mut streams: Vec<OwnedFd>, terminal: bool) -> (Attach, Vec<OwnedFd>) {
    if terminal && wanted.stderr {
        streams.pop();
        return (Attach { stderr: false, ..wanted }, streams);
    }
    (wanted, streams)
}

/// Connects the streams if the container runs.
fn connect(engine: &mut Engine, id: &str, wanted: Attach, streams: Vec<OwnedFd>) -> Result<Found, Failure> {
    let container = engine.container(id)?;
    let terminal = container.config.tty.unwrap_or(false);
    let waits = matches!(engine.condition(&container)?, Condition::Created | Condition::Exited(_));
    let attached = !waits && wanted != Attach::default();
    if attached {
        let (wanted, streams) = without_errors(wanted, streams, terminal);
        // The supervisor has the streams; by them the client learns of the end.
        engine.attach(&container, wanted, &streams)?;
    }
    Ok(Found { id: container.id, terminal, attached })
}
