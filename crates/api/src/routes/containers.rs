//! Containers: made, looked at, started, stopped, changed and removed.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use bulkhead_engine::commands::create::Purpose;
use bulkhead_engine::commands::diff::Difference;
use bulkhead_engine::commands::list::Listing;
use bulkhead_engine::commands::start::Starting;
use bulkhead_engine::models::{
    ContainerCreateBody, ContainerCreateResponse, ContainerTopResponse, ContainerUpdateBody,
    ContainerUpdateResponse,
};
use bulkhead_engine::protocol::Attach;
use bulkhead_engine::{Container, Engine, Error};
use serde::Deserialize;

use super::{Query, is_on, parse};
use crate::failure::Failure;
use crate::filters;
use crate::house::House;
use crate::pending;
use crate::worker::{answer, ask, ask_with};

const SIGKILL: i32 = 9;

type Shared = State<Arc<House>>;
type Answer = Result<Response, Failure>;

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/containers/json", get(list))
        .route("/containers/create", post(create))
        .route("/containers/{id}", delete(remove))
        .route("/containers/{id}/json", get(inspect))
        .route("/containers/{id}/top", get(top))
        .route("/containers/{id}/changes", get(changes))
        .route("/containers/{id}/resize", post(resize))
        .route("/containers/{id}/start", post(start))
        .route("/containers/{id}/stop", post(stop))
        .route("/containers/{id}/restart", post(restart))
        .route("/containers/{id}/kill", post(kill))
        .route("/containers/{id}/update", post(update))
        .route("/containers/{id}/rename", post(rename))
        .route("/containers/{id}/pause", post(pause))
        .route("/containers/{id}/unpause", post(unpause))
}

/// Does something to a container that has no answer but that it is done.
async fn act(
    house: &House,
    id: String,
    act: impl FnOnce(&mut Engine, &Container) -> Result<(), Failure> + Send,
) -> Answer {
    let job = |engine: &mut Engine| {
        let container = engine.container(&id)?;
        act(engine, &container)
    };
    ask(house, job).await.map(|()| StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
struct ListQuery {
    all: Option<String>,
    limit: Option<i64>,
    filters: Option<String>,
    size: Option<String>,
}

async fn list(State(house): Shared, Query(query): Query<ListQuery>) -> Answer {
    let listing = Listing {
        all: is_on(query.all.as_ref()),
        last: query.limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0),
        sizes: is_on(query.size.as_ref()),
        filters: filters::parse(query.filters.as_deref())?,
    };
    answer(&house, |engine| Ok(engine.list_wanted(&listing)?)).await
}

#[derive(Deserialize)]
struct CreateQuery {
    name: Option<String>,
    platform: Option<String>,
}

async fn create(State(house): Shared, Query(query): Query<CreateQuery>, body: Bytes) -> Answer {
    let request: ContainerCreateBody = parse(&body)?;
    if let Some(platform) = query.platform.filter(|platform| !platform.is_empty()) {
        check_platform(&platform)?;
    }
    let name = query.name.filter(|name| !name.is_empty());
    let job = |engine: &mut Engine| {
        let created = engine.create(request, name.as_deref(), Purpose::StartLater)?;
        Ok(ContainerCreateResponse { id: created.container.id, warnings: created.warnings })
    };
    let response = answer(&house, job).await?;
    Ok((StatusCode::CREATED, response).into_response())
}

/// An image here is for this machine, whatever else it could be asked for.
fn check_platform(wanted: &str) -> Result<(), Failure> {
    let architecture = super::system::architecture();
    let mut parts = wanted.split('/');
    let fits = parts.next() == Some("linux") && parts.next().is_none_or(|asked| asked == architecture);
    if fits {
        return Ok(());
    }
    let why = format!(
        "image with reference for platform {wanted} was not found: only linux/{architecture} runs here"
    );
    Err(Failure::new(StatusCode::NOT_FOUND, why))
}

#[derive(Deserialize)]
struct InspectQuery {
    size: Option<String>,
}

async fn inspect(State(house): Shared, Path(id): Path<String>, Query(query): Query<InspectQuery>) -> Answer {
    let job = |engine: &mut Engine| {
        let container = engine.container(&id)?;
        let mut shown = match is_on(query.size.as_ref()) {
            true => engine.inspect_with_size(&container)?,
            false => engine.inspect(&container)?,
        };
        shown.exec_ids = Some(house.execs.of(&container.id)).filter(|ids| !ids.is_empty());
        Ok(shown)
    };
    answer(&house, job).await
}

#[derive(Deserialize)]
struct TopQuery {
    ps_args: Option<String>,
}

async fn top(State(house): Shared, Path(id): Path<String>, Query(query): Query<TopQuery>) -> Answer {
    let options = query.ps_args.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "-ef".into());
    let options: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
    let job = |engine: &mut Engine| {
        let container = engine.container(&id)?;
        let top = engine.top(&container, &options)?;
        Ok(ContainerTopResponse { titles: Some(top.titles), processes: Some(top.processes) })
    };
    answer(&house, job).await
}

async fn changes(State(house): Shared, Path(id): Path<String>) -> Answer {
    let job = |engine: &mut Engine| {
        let container = engine.container(&id)?;
        Ok(engine.diff(&container)?.iter().map(change).collect::<Vec<_>>())
    };
    answer(&house, job).await
}

/// In JSON, a path is text: what is none is shown as near as text comes.
fn change(difference: &Difference) -> serde_json::Value {
    let kind = match difference.kind {
        'A' => 1,
        'D' => 2,
        _ => 0,
    };
    serde_json::json!({"Path": String::from_utf8_lossy(&difference.path), "Kind": kind})
}

#[derive(Deserialize)]
struct ResizeQuery {
    h: u16,
    w: u16,
}

async fn resize(State(house): Shared, Path(id): Path<String>, Query(size): Query<ResizeQuery>) -> Answer {
    act(&house, id, |engine, container| Ok(engine.resize(container, size.h, size.w)?)).await?;
    Ok(StatusCode::OK.into_response())
}

#[derive(Deserialize)]
struct StartQuery {
    checkpoint: Option<String>,
}

async fn start(State(house): Shared, Path(id): Path<String>, Query(query): Query<StartQuery>) -> Answer {
    if query.checkpoint.is_some_and(|checkpoint| !checkpoint.is_empty()) {
        return Err(Failure::new(StatusCode::NOT_IMPLEMENTED, "bulkhead does not restore from checkpoints"));
    }
    let _start = house.pending.start(&id);
    let (wanted, streams) = pending::apart(waiting_for(&house, &id).await?);
    let job = |engine: &mut Engine, streams: Vec<OwnedFd>| {
        let container = engine.container(&id)?;
        let mut attached = pending::together(&wanted, streams);
        if engine.still_writes(&container)? {
            // Somebody else was quicker: who waited for the start hears what comes from now on.
            for (wanted, streams) in &attached {
                engine.attach(&container, *wanted, streams)?;
            }
            return Ok(false);
        }
        // Of two who start it, one is too late, and must do what it would have done if it had come later.
        let copies = |streams: &[OwnedFd]| {
            streams.iter().map(OwnedFd::try_clone).collect::<std::io::Result<Vec<OwnedFd>>>()
        };
        let late = attached.iter().map(|(wanted, streams)| Ok((*wanted, copies(streams)?)));
        let late = late.collect::<std::io::Result<Vec<(Attach, Vec<OwnedFd>)>>>();
        let late = late.map_err(|error| Failure::ours(format!("cannot copy descriptors: {error}")))?;
        let mut starting = Starting::default();
        if !attached.is_empty() {
            (starting.attach, starting.streams) = attached.remove(0);
        }
        starting.also = attached;
        let Err(error) = engine.start(&container, starting) else { return Ok(true) };
        if engine.still_writes(&container).unwrap_or(false) {
            for (wanted, streams) in &late {
                engine.attach(&container, *wanted, streams)?;
            }
            return Ok(false);
        }
        // What never ran has ended: a client waits for its removal. What was in the way of the start (a conflict) may be in
        // the way of that too, and says nothing of the container. The failure of the start is the one to tell.
        if container.auto_remove && !matches!(error, Error::Conflict(_)) {
            let _ = engine.remove(&container, false, true);
        }
        Err(error.into())
    };
    let started = ask_with(&house, streams, job).await?;
    Ok(if started { StatusCode::NO_CONTENT } else { StatusCode::NOT_MODIFIED }.into_response())
}

/// The streams of those who attached to the container before its start.
async fn waiting_for(house: &House, id: &str) -> Result<Vec<(Attach, Vec<OwnedFd>)>, Failure> {
    if house.pending.is_empty() {
        return Ok(Vec::new());
    }
    if bulkhead_engine::id::is_full(id) {
        return Ok(house.pending.take(id));
    }
    let full: String = ask(house, |engine| Ok(engine.container(id)?.id)).await?;
    Ok(house.pending.take(&full))
}

#[derive(Deserialize)]
struct StopQuery {
    signal: Option<String>,
    t: Option<i64>,
}

async fn stop(State(house): Shared, Path(id): Path<String>, Query(query): Query<StopQuery>) -> Answer {
    let job = |engine: &mut Engine| {
        let container = engine.container(&id)?;
        if !engine.still_writes(&container)? {
            return Ok(false);
        }
        engine.stop(&container, query.signal.as_deref().filter(|signal| !signal.is_empty()), query.t)?;
        Ok(true)
    };
    let status = if ask(&house, job).await? { StatusCode::NO_CONTENT } else { StatusCode::NOT_MODIFIED };
    Ok(status.into_response())
}

async fn restart(State(house): Shared, Path(id): Path<String>, Query(query): Query<StopQuery>) -> Answer {
    let _start = house.pending.start(&id);
    let (wanted, streams) = pending::apart(waiting_for(&house, &id).await?);
    let job = |engine: &mut Engine, streams: Vec<OwnedFd>| {
        let container = engine.container(&id)?;
        let also = pending::together(&wanted, streams);
        let signal = query.signal.as_deref().filter(|signal| !signal.is_empty());
        engine.restart(&container, signal, query.t, Starting { also, ..Starting::default() })?;
        Ok(())
    };
    ask_with(&house, streams, job).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
struct KillQuery {
    signal: Option<String>,
}

async fn kill(State(house): Shared, Path(id): Path<String>, Query(query): Query<KillQuery>) -> Answer {
    let asked = query.signal.filter(|signal| !signal.is_empty());
    let signal = match &asked {
        None => SIGKILL,
        Some(text) => bulkhead_sys::signals::parse(text)
            .ok_or_else(|| Failure::bad(format!("invalid signal: {text}")))?,
    };
    act(&house, id, |engine, container| {
        engine.kill(container, signal)?;
        // Docker answers when it has done its work.
        if signal == SIGKILL {
            match engine.wait(container) {
                // It has ended, and removed itself.
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })
    .await
}

async fn update(State(house): Shared, Path(id): Path<String>, body: Bytes) -> Answer {
    let request: ContainerUpdateBody = parse(&body)?;
    let job = |engine: &mut Engine| {
        let container = engine.container(&id)?;
        Ok(ContainerUpdateResponse { warnings: Some(engine.update(&container, request)?) })
    };
    answer(&house, job).await
}

#[derive(Deserialize)]
struct RenameQuery {
    name: String,
}

async fn rename(State(house): Shared, Path(id): Path<String>, Query(query): Query<RenameQuery>) -> Answer {
    act(&house, id, |engine, container| Ok(engine.rename(container, query.name.trim_start_matches('/'))?))
        .await
}

async fn pause(State(house): Shared, Path(id): Path<String>) -> Answer {
    act(&house, id, |engine, container| Ok(engine.freeze(container, true)?)).await
}

async fn unpause(State(house): Shared, Path(id): Path<String>) -> Answer {
    act(&house, id, |engine, container| Ok(engine.freeze(container, false)?)).await
}

#[derive(Deserialize)]
struct RemoveQuery {
    v: Option<String>,
    force: Option<String>,
    link: Option<String>,
}

async fn remove(State(house): Shared, Path(id): Path<String>, Query(query): Query<RemoveQuery>) -> Answer {
    if is_on(query.link.as_ref()) {
        return Err(Failure::new(StatusCode::NOT_IMPLEMENTED, "bulkhead does not remove links alone"));
    }
    let (force, with_volumes) = (is_on(query.force.as_ref()), is_on(query.v.as_ref()));
    let job = |engine: &mut Engine| {
        let container = engine.container(&id)?;
        engine.remove(&container, force, with_volumes)?;
        Ok(container.id)
    };
    let removed: String = ask(&house, job).await?;
    // Who waited for its start waits for nothing now.
    drop(house.pending.take(&removed));
    Ok(StatusCode::NO_CONTENT.into_response())
}
