//! Volumes: listed, made, looked at and removed.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bulkhead_engine::models::{VolumeCreateRequest, VolumeListResponse};
use bulkhead_engine::{Engine, Error};
use serde::Deserialize;

use super::{Query, is_on, parse};
use crate::failure::Failure;
use crate::filters;
use crate::house::House;
use crate::worker::{answer, ask};

type Shared = State<Arc<House>>;

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/volumes", get(list))
        .route("/volumes/create", post(create))
        .route("/volumes/{name}", get(inspect).delete(remove))
}

#[derive(Deserialize)]
struct ListQuery {
    filters: Option<String>,
}

async fn list(State(house): Shared, Query(query): Query<ListQuery>) -> Result<Response, Failure> {
    let filters = filters::parse(query.filters.as_deref())?;
    let job = |engine: &mut Engine| {
        let volumes = engine.volumes_wanted(&filters)?;
        Ok(VolumeListResponse { volumes: Some(volumes), warnings: None })
    };
    answer(&house, job).await
}

async fn create(State(house): Shared, body: Bytes) -> Result<Response, Failure> {
    let request: VolumeCreateRequest = parse(&body)?;
    if request.cluster_volume_spec.is_some() {
        return Err(Failure::new(
            StatusCode::NOT_IMPLEMENTED,
            "bulkhead is no cluster: there are no cluster volumes",
        ));
    }
    bulkhead_engine::spec::binds::refuse_driver(request.driver.as_deref())?;
    let job = |engine: &mut Engine| {
        let labels = request.labels.unwrap_or_default().into_iter().collect();
        let options = request.driver_opts.unwrap_or_default().into_iter().collect();
        let name = request.name.as_deref().filter(|name| !name.is_empty());
        Ok(engine.create_volume(name, labels, options)?)
    };
    let response = answer(&house, job).await?;
    Ok((StatusCode::CREATED, response).into_response())
}

async fn inspect(State(house): Shared, Path(name): Path<String>) -> Result<Response, Failure> {
    answer(&house, |engine| Ok(engine.inspect_volume(&name)?)).await
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
    let job = |engine: &mut Engine| match engine.remove_volume(&name) {
        Err(Error::NotFound { .. }) if force => Ok(()),
        other => Ok(other?),
    };
    ask(&house, job).await.map(|()| StatusCode::NO_CONTENT.into_response())
}
