//! Images: listed, looked at, named and removed. An image's name may have slashes, so what follows `/images/` is read from
//! its end.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bulkhead_engine::commands::images::Removed;
use bulkhead_engine::models::{ImageDeleteResponseItem, OciPlatform};
use bulkhead_engine::{Engine, Platform};
use serde::{Deserialize, Serialize};

use super::{Query, is_on};
use crate::failure::Failure;
use crate::filters;
use crate::house::House;
use crate::version::ApiVersion;
use crate::worker::{answer, ask};

type Shared = State<Arc<House>>;

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/images/json", get(list))
        .route("/images/{*name}", get(look).post(change).delete(remove))
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

#[derive(Deserialize)]
struct LookQuery {
    /// An image here is for one platform, so there are no other manifests to tell of.
    manifests: Option<String>,
    platform: Option<String>,
}

async fn look(
    State(house): Shared,
    Extension(version): Extension<ApiVersion>,
    Path(rest): Path<String>,
    Query(query): Query<LookQuery>,
) -> Result<Response, Failure> {
    let platform = query.platform.filter(|text| !text.is_empty());
    if is_on(query.manifests.as_ref()) && platform.is_some() {
        return Err(Failure::bad("conflicting options: manifests and platform options cannot both be set"));
    }
    let (name, what) = rest.rsplit_once('/').unwrap_or(("", rest.as_str()));
    let fits = |engine: &Engine| fits(engine, name, platform.as_deref());
    match what {
        _ if name.is_empty() => Err(unserved(&rest)),
        "json" => {
            let job = |engine: &mut Engine| {
                fits(engine)?;
                Ok(summary(&engine.inspect_image(name)?, version))
            };
            answer(&house, job).await
        }
        "history" => answer(&house, |engine| fits(engine).and_then(|()| Ok(engine.history(name)?))).await,
        "get" => super::image_archives::save(&house, vec![name.to_owned()], platform.clone()).await,
        _ => Err(unserved(&rest)),
    }
}

/// Reads a platform as clients write it here: JSON.
pub(super) fn stated(platform: Option<&str>) -> Result<Option<Platform>, Failure> {
    let Some(text) = platform.filter(|text| !text.is_empty()) else { return Ok(None) };
    let invalid = |why: String| Failure::bad(format!("invalid platform {text:?}: {why}"));
    let read: OciPlatform = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let words = [read.os, read.architecture, read.variant];
    let words: Vec<String> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    let platform = Platform::parse(&words.join("/"));
    platform.map(Some).ok_or_else(|| invalid("an os and an architecture are wanted".into()))
}

/// Refuses an image for another platform than the one that was asked for.
pub(super) fn fits(engine: &Engine, name: &str, platform: Option<&str>) -> Result<(), Failure> {
    let Some(wanted) = stated(platform)? else { return Ok(()) };
    let image = engine.inspect_image(name)?;
    let (os, architecture) = (image.os.unwrap_or_default(), image.architecture.unwrap_or_default());
    if os == wanted.os && architecture == wanted.architecture {
        return Ok(());
    }
    let why = format!(
        "image with reference {name} was found but does not provide the specified platform ({wanted}): it is for \
         {os}/{architecture}"
    );
    Err(Failure::new(StatusCode::NOT_FOUND, why))
}

#[derive(Deserialize)]
struct ChangeQuery {
    repo: Option<String>,
    tag: Option<String>,
    platform: Option<String>,
}

async fn change(
    State(house): Shared,
    Path(rest): Path<String>,
    Query(query): Query<ChangeQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    match rest.rsplit_once('/') {
        Some((image, "tag")) => name(&house, image, query).await,
        Some((image, "push")) => {
            if let Some(platform) = query.platform.filter(|text| !text.is_empty()) {
                let tag = query.tag.as_deref().filter(|tag| !tag.is_empty());
                let full = tag.map_or_else(|| image.to_owned(), |tag| format!("{image}:{tag}"));
                ask(&house, |engine| fits(engine, &full, Some(&platform))).await?;
            }
            super::transfers::push(&house, image, query.tag, &headers).await
        }
        _ => Err(unserved(&rest)),
    }
}

async fn name(house: &House, image: &str, query: ChangeQuery) -> Result<Response, Failure> {
    let repository = query.repo.filter(|name| !name.is_empty());
    let repository = repository.ok_or_else(|| Failure::bad("a new name (repo) must be given"))?;
    let new = match query.tag.filter(|tag| !tag.is_empty()) {
        Some(tag) => format!("{repository}:{tag}"),
        None => repository,
    };
    let job = |engine: &mut Engine| Ok(engine.tag(image, &new)?);
    ask(house, job).await.map(|()| StatusCode::CREATED.into_response())
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
