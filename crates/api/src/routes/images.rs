//! Images: listed, looked at, named and removed. An image's name may have slashes, so what follows `/images/` is read from
//! its end.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bulkhead_engine::Engine;
use bulkhead_engine::commands::images::Removed;
use bulkhead_engine::models::ImageDeleteResponseItem;
use serde::{Deserialize, Serialize};

use super::{Query, is_on};
use crate::failure::Failure;
use crate::filters;
use crate::version::ApiVersion;
use crate::worker::{House, answer, ask};

type Shared = State<Arc<House>>;

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/images/json", get(list))
        .route("/images/{*name}", get(look).post(name).delete(remove))
}

#[derive(Deserialize)]
struct ListQuery {
    all: Option<String>,
    filters: Option<String>,
    #[serde(rename = "shared-size")]
    shared_size: Option<String>,
    /// The only filter that very old clients know.
    filter: Option<String>,
}

async fn list(
    State(house): Shared,
    Extension(version): Extension<ApiVersion>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Failure> {
    let mut filters = filters::parse(query.filters.as_deref())?;
    if let Some(name) = query.filter.filter(|name| !name.is_empty()) {
        filters.add("reference", &name);
    }
    // No image here is a mere step to another, so all of them are those that are shown.
    let _ = query.all;
    let job = |engine: &mut Engine| {
        let mut images = engine.images_wanted(&filters)?;
        if is_on(query.shared_size.as_ref()) {
            engine.add_shared_sizes(&mut images)?;
        }
        Ok(images.iter().map(|image| summary(image, version)).collect::<Vec<_>>())
    };
    answer(&house, job).await
}

/// An image as clients of that version know it: older ones read its size from a second field.
pub(super) fn summary(image: &impl Serialize, version: ApiVersion) -> serde_json::Value {
    let mut shown = serde_json::json!(image);
    if version < ApiVersion(44)
        && let Some(map) = shown.as_object_mut()
        && let Some(size) = map.get("Size").cloned()
    {
        map.insert("VirtualSize".into(), size);
    }
    shown
}

fn unserved(what: &str) -> Failure {
    Failure::new(
        StatusCode::NOT_IMPLEMENTED,
        format!("this version of bulkhead does not serve images/{what} yet"),
    )
}

async fn look(
    State(house): Shared,
    Extension(version): Extension<ApiVersion>,
    Path(rest): Path<String>,
) -> Result<Response, Failure> {
    match rest.rsplit_once('/') {
        Some((name, "json")) => {
            answer(&house, |engine| Ok(summary(&engine.inspect_image(name)?, version))).await
        }
        Some((name, "history")) => answer(&house, |engine| Ok(engine.history(name)?)).await,
        _ => Err(unserved(&rest)),
    }
}

#[derive(Deserialize)]
struct TagQuery {
    repo: Option<String>,
    tag: Option<String>,
}

async fn name(
    State(house): Shared,
    Path(rest): Path<String>,
    Query(query): Query<TagQuery>,
) -> Result<Response, Failure> {
    let Some((image, "tag")) = rest.rsplit_once('/') else { return Err(unserved(&rest)) };
    let repository = query.repo.filter(|name| !name.is_empty());
    let repository = repository.ok_or_else(|| Failure::bad("a new name (repo) must be given"))?;
    let new = match query.tag.filter(|tag| !tag.is_empty()) {
        Some(tag) => format!("{repository}:{tag}"),
        None => repository,
    };
    let job = |engine: &mut Engine| Ok(engine.tag(image, &new)?);
    ask(&house, job).await.map(|()| StatusCode::CREATED.into_response())
}

#[derive(Deserialize)]
struct RemoveQuery {
    force: Option<String>,
}

async fn remove(
    State(house): Shared,
    Path(name): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Result<Response, Failure> {
    let force = is_on(query.force.as_ref());
    let job = |engine: &mut Engine| {
        let removed = engine.remove_image(&name, force)?;
        Ok(removed.into_iter().map(shown).collect::<Vec<_>>())
    };
    answer(&house, job).await
}

pub(super) fn shown(removed: Removed) -> ImageDeleteResponseItem {
    match removed {
        Removed::Untagged(name) => ImageDeleteResponseItem { untagged: Some(name), deleted: None },
        Removed::Deleted(id) => ImageDeleteResponseItem { untagged: None, deleted: Some(id) },
    }
}
