//! Networks: listed, made, looked at, removed, and containers connected to them.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bulkhead_engine::Engine;
use bulkhead_engine::models::{
    NetworkConnectRequest, NetworkCreateRequest, NetworkCreateResponse, NetworkDisconnectRequest,
};
use serde::Deserialize;

use super::{Query, parse};
use crate::failure::Failure;
use crate::filters;
use crate::house::House;
use crate::worker::{answer, ask};

type Shared = State<Arc<House>>;

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/networks", get(list))
        .route("/networks/create", post(create))
        .route("/networks/{id}", get(inspect).delete(remove))
        .route("/networks/{id}/connect", post(connect))
        .route("/networks/{id}/disconnect", post(disconnect))
}

#[derive(Deserialize)]
struct ListQuery {
    filters: Option<String>,
}

async fn list(State(house): Shared, Query(query): Query<ListQuery>) -> Result<Response, Failure> {
    let filters = filters::parse(query.filters.as_deref())?;
    answer(&house, |engine| Ok(engine.networks_wanted(&filters)?)).await
}

async fn create(State(house): Shared, body: Bytes) -> Result<Response, Failure> {
    let request: NetworkCreateRequest = parse(&body)?;
    let job = |engine: &mut Engine| {
        Ok(NetworkCreateResponse { id: engine.create_network(request)?.id, warning: String::new() })
    };
    let response = answer(&house, job).await?;
    Ok((StatusCode::CREATED, response).into_response())
}

async fn inspect(State(house): Shared, Path(id): Path<String>) -> Result<Response, Failure> {
    answer(&house, |engine| Ok(engine.inspect_network(&id)?)).await
}

async fn remove(State(house): Shared, Path(id): Path<String>) -> Result<Response, Failure> {
    let job = |engine: &mut Engine| Ok(engine.remove_network(&id).map(drop)?);
    ask(&house, job).await.map(|()| StatusCode::NO_CONTENT.into_response())
}

async fn connect(State(house): Shared, Path(id): Path<String>, body: Bytes) -> Result<Response, Failure> {
    let request: NetworkConnectRequest = parse(&body)?;
    let job = |engine: &mut Engine| {
        let network = engine.network(&id)?;
        let container = engine.container(&request.container)?;
        let settings = request.endpoint_config.unwrap_or_default();
        Ok(engine.connect_network(&network, &container, &settings)?)
    };
    ask(&house, job).await.map(|()| StatusCode::OK.into_response())
}

async fn disconnect(State(house): Shared, Path(id): Path<String>, body: Bytes) -> Result<Response, Failure> {
    let request: NetworkDisconnectRequest = parse(&body)?;
    let job = |engine: &mut Engine| {
        let network = engine.network(&id)?;
        let container = engine.container(&request.container)?;
        Ok(engine.disconnect_network(&network, &container, request.force.unwrap_or(false))?)
    };
    ask(&house, job).await.map(|()| StatusCode::OK.into_response())
}
