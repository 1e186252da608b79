//! Images from and to registries: `/images/create`, `/images/{name}/push`, `/auth`, `/distribution/{name}/json`.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use bulkhead_engine::commands::pull::PullRequest;
use bulkhead_engine::commands::push::PushRequest;
use bulkhead_engine::models::{AuthResponse, DistributionInspect, OciDescriptor, OciPlatform};
use bulkhead_engine::registry::kept::domain_of;
use bulkhead_engine::registry::{Credentials, Described, RegistryError};
use bulkhead_engine::{Engine, Error, Reference};

use super::image_archives::{self, Pairs, one};
use super::{Query, parse};
use crate::failure::Failure;
use crate::house::House;
use crate::messages::Messages;
use crate::worker::{answer, flow};

type Shared = State<Arc<House>>;
type Answer = Result<Response, Failure>;

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/images/create", post(create))
        .route("/auth", post(login))
        .route("/distribution/{*name}", get(describe))
}

/// Who asks, by the header that clients send along.
fn credentials(headers: &HeaderMap) -> Result<Credentials, Failure> {
    let Some(header) = headers.get("x-registry-auth") else { return Ok(Credentials::default()) };
    let text = header.to_str().map_err(|_| Failure::bad("invalid X-Registry-Auth header: it is no text"))?;
    Credentials::from_header(text).map_err(|error| Failure::bad(error.to_string()))
}

async fn create(State(house): Shared, Query(query): Query<Pairs>, headers: HeaderMap, body: Body) -> Answer {
    match (one(&query, "fromImage"), one(&query, "fromSrc")) {
        (Some(image), None) => pull(&house, image, &query, &headers).await,
        (None, Some(_)) => image_archives::import(&house, &query, body).await,
        _ => Err(Failure::bad("either an image (fromImage) or a source (fromSrc) must be given")),
    }
}

async fn pull(house: &House, image: String, query: &Pairs, headers: &HeaderMap) -> Answer {
    let credentials = credentials(headers)?;
    let exact = exact(&image)?;
    let reference = match one(query, "tag") {
        Some(digest) if digest.contains(':') => format!("{}@{digest}", exact.familiar_name()),
        Some(tag) => format!("{}:{tag}", exact.familiar_name()),
        None => image,
    };
    let wanted = self::exact(&reference)?;
    let all_tags = wanted.tag().is_none() && wanted.digest().is_none();
    let request = PullRequest { reference, platform: one(query, "platform"), all_tags };
    flow(house, move |engine, out| {
        let mut messages = Messages::new(out);
        let pulled = engine.pull(&request, &credentials, &mut |progress| messages.tell(&progress));
        messages.end(pulled.map(drop).map_err(told))
    })
    .await
}

/// Why an image did not travel. A registry that wants to know who asks is no 401 here, nor is it with Docker: its command
/// would ask for a name and a password, in a script too.
fn told(error: Error) -> Failure {
    match error {
        Error::Registry(RegistryError::Unauthorized(why)) => Failure::ours(why),
        other => other.into(),
    }
}

fn exact(name: &str) -> Result<Reference, Failure> {
    Reference::parse_exact(name).map_err(|error| Failure::bad(error.to_string()))
}

/// `POST /images/{name}/push`: without a tag, all of them.
pub(super) async fn push(house: &House, name: &str, tag: Option<String>, headers: &HeaderMap) -> Answer {
    let credentials = credentials(headers)?;
    let exact = exact(name)?;
    let reference = match tag.filter(|tag| !tag.is_empty()) {
        Some(tag) => format!("{}:{tag}", exact.familiar_name()),
        None => name.to_owned(),
    };
    let all_tags = self::exact(&reference)?.tag().is_none();
    let request = PushRequest { reference, all_tags };
    flow(house, move |engine, out| {
        let mut messages = Messages::new(out);
        let pushed = engine.push(&request, &credentials, &mut |progress| messages.tell(&progress));
        messages.end(pushed.map(drop).map_err(told))
    })
    .await
}

async fn login(State(house): Shared, body: Bytes) -> Answer {
    let mut credentials: Credentials = parse(&body)?;
    credentials.split_auth().map_err(|error| Failure::bad(error.to_string()))?;
    let job = |engine: &mut Engine| {
        let domain = domain_of(Some(&credentials.serveraddress));
        let token = engine.login(&domain, &credentials)?;
        let identity_token = Some(token.unwrap_or_default());
        Ok(AuthResponse { status: "Login Succeeded".into(), identity_token })
    };
    answer(&house, job).await
}

async fn describe(State(house): Shared, Path(rest): Path<String>, headers: HeaderMap) -> Answer {
    let Some((name, "json")) = rest.rsplit_once('/') else {
        return Err(Failure::new(axum::http::StatusCode::NOT_FOUND, "page not found"));
    };
    let credentials = credentials(&headers)?;
    answer(&house, |engine| Ok(shown(engine.describe(name, &credentials)?))).await
}

fn shown(described: Described) -> DistributionInspect {
    let platform = |one: bulkhead_engine::Platform| OciPlatform {
        architecture: Some(one.architecture),
        os: Some(one.os),
        variant: one.variant,
        ..OciPlatform::default()
    };
    DistributionInspect {
        descriptor: OciDescriptor {
            media_type: Some(described.media_type),
            digest: Some(described.digest.to_string()),
            size: i64::try_from(described.size).ok(),
            ..OciDescriptor::default()
        },
        platforms: described.platforms.into_iter().map(platform).collect(),
    }
}
