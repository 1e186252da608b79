//! `POST /{containers,images,volumes,networks}/prune`: what nothing needs any more goes.
//!
//! A container, volume or network may be called `prune`, and its other methods have the same path; so the path is that of
//! all names, and the name is looked at here.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Json, Router};
use bulkhead_engine::Engine;
use bulkhead_engine::filters::prune::PruneFilter;
use bulkhead_engine::models::{
    BuildPruneResponse, ContainerPruneResponse, ImagePruneResponse, NetworkPruneResponse, VolumePruneResponse,
};
use serde::Deserialize;

use super::Query;
use super::images::shown;
use crate::failure::Failure;
use crate::filters;
use crate::house::House;
use crate::version::ApiVersion;
use crate::worker::answer;

type Shared = State<Arc<House>>;
type Answer = Result<Response, Failure>;

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/containers/{id}", post(containers))
        .route("/images/prune", post(images))
        .route("/volumes/{name}", post(volumes))
        .route("/networks/{id}", post(networks))
        .route("/build/prune", post(build_cache))
}

#[derive(Deserialize)]
struct PruneQuery {
    filters: Option<String>,
}

/// Nothing is built here, so there is nothing to go: `docker system prune` asks for this after all else.
async fn build_cache(Query(query): Query<PruneQuery>) -> Result<Json<BuildPruneResponse>, Failure> {
    filters::parse(query.filters.as_deref())?;
    Ok(Json(BuildPruneResponse { caches_deleted: Some(Vec::new()), space_reclaimed: Some(0) }))
}

/// Nothing else is done to a thing by its name alone.
fn must_be_prune(name: &str) -> Result<(), Failure> {
    if name == "prune" { Ok(()) } else { Err(Failure::new(StatusCode::NOT_FOUND, "page not found")) }
}

async fn containers(
    State(house): Shared,
    Path(name): Path<String>,
    Query(query): Query<PruneQuery>,
) -> Answer {
    must_be_prune(&name)?;
    let filter = PruneFilter::new(filters::parse(query.filters.as_deref())?)?;
    let job = |engine: &mut Engine| {
        let pruned = engine.prune_containers(&filter)?;
        let containers_deleted = Some(pruned.names);
        Ok(ContainerPruneResponse { containers_deleted, space_reclaimed: Some(signed(pruned.bytes)) })
    };
    answer(&house, job).await
}

async fn images(State(house): Shared, Query(query): Query<PruneQuery>) -> Answer {
    let filter = PruneFilter::of_images(filters::parse(query.filters.as_deref())?)?;
    let job = |engine: &mut Engine| {
        let (removed, bytes) = engine.prune_images(&filter)?;
        let images_deleted = Some(removed.into_iter().map(shown).collect());
        Ok(ImagePruneResponse { images_deleted, space_reclaimed: Some(signed(bytes)) })
    };
    answer(&house, job).await
}

async fn volumes(
    State(house): Shared,
    Extension(version): Extension<ApiVersion>,
    Path(name): Path<String>,
    Query(query): Query<PruneQuery>,
) -> Answer {
    must_be_prune(&name)?;
    let mut filters = filters::parse(query.filters.as_deref())?;
    // Before 1.42, and so in what these clients ask their users, all volumes were meant.
    if version < ApiVersion(42) {
        filters.only(&["label", "label!"])?;
        filters.add("all", "true");
    }
    let filter = PruneFilter::of_volumes(filters)?;
    let job = |engine: &mut Engine| {
        let pruned = engine.prune_volumes(&filter)?;
        let volumes_deleted = Some(pruned.names);
        Ok(VolumePruneResponse { volumes_deleted, space_reclaimed: Some(signed(pruned.bytes)) })
    };
    answer(&house, job).await
}

async fn networks(State(house): Shared, Path(name): Path<String>, Query(query): Query<PruneQuery>) -> Answer {
    must_be_prune(&name)?;
    let filter = PruneFilter::new(filters::parse(query.filters.as_deref())?)?;
    let job = |engine: &mut Engine| {
        Ok(NetworkPruneResponse { networks_deleted: Some(engine.prune_networks(&filter)?) })
    };
    answer(&house, job).await
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
