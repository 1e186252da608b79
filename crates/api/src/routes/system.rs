//! What the server and the engine are: `/_ping`, `/version`, `/info`, `/system/df`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bulkhead_engine::Engine;
use bulkhead_engine::commands::disk_usage::Kind;
use bulkhead_engine::models::{
    SystemDataUsageResponse, SystemInfo, SystemVersion, SystemVersionComponents, SystemVersionPlatform,
};
use serde_json::{Value, json};

use super::images::summary;
use super::{Query, is_on};

use crate::failure::Failure;
use crate::house::House;
use crate::version::ApiVersion;
use crate::worker::answer;

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/_ping", get(ping))
        .route("/version", get(version))
        .route("/info", get(info))
        .route("/system/df", get(disk_usage))
}

/// What a client asks first, to learn the version from the headers.
async fn ping() -> Response {
    let headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Cache-Control", "no-cache, no-store, must-revalidate"),
        ("Pragma", "no-cache"),
        ("Builder-Version", "1"),
        ("Swarm", "inactive"),
    ];
    (headers, "OK").into_response()
}

async fn version() -> axum::Json<SystemVersion> {
    let ours = env!("CARGO_PKG_VERSION").to_owned();
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    axum::Json(SystemVersion {
        platform: Some(SystemVersionPlatform { name: "Bulkhead".into() }),
        components: Some(vec![SystemVersionComponents {
            name: "Engine".into(),
            version: ours.clone(),
            details: Some(
                [
                    ("ApiVersion", ApiVersion::NEWEST.to_string()),
                    ("MinAPIVersion", ApiVersion::OLDEST.to_string()),
                    ("Os", "linux".into()),
                    ("Arch", architecture().into()),
                    ("KernelVersion", kernel.clone()),
                    ("Experimental", "false".into()),
                ]
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
            ),
        }]),
        version: Some(ours),
        api_version: Some(ApiVersion::NEWEST.to_string()),
        min_api_version: Some(ApiVersion::OLDEST.to_string()),
        os: Some("linux".into()),
        arch: Some(architecture().into()),
        kernel_version: Some(kernel),
        experimental: Some(false),
        ..SystemVersion::default()
    })
}

/// This machine's architecture, by Go's name, which clients expect.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

async fn info(
    State(house): State<Arc<House>>,
    Extension(version): Extension<ApiVersion>,
) -> Result<Response, Failure> {
    answer(&house, |engine| Ok(shown_info(&engine.info()?, version))).await
}

/// Older clients complain of what is not the version that they expect.
fn shown_info(info: &SystemInfo, version: ApiVersion) -> Value {
    let mut shown = json!(info);
    if version < ApiVersion(48) {
        for key in ["ContainerdCommit", "RuncCommit", "InitCommit"] {
            let commit = shown.get_mut(key).and_then(Value::as_object_mut);
            if let Some(commit) = commit
                && let Some(id) = commit.get("ID").cloned()
            {
                commit.insert("Expected".into(), id);
            }
        }
    }
    shown
}

/// `type` may be given several times.
async fn disk_usage(
    State(house): State<Arc<House>>,
    Extension(version): Extension<ApiVersion>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let all = |name: &'static str| query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value);
    let kind = |name: &String| match name.as_str() {
        "image" => Ok(Kind::Images),
        "container" => Ok(Kind::Containers),
        "volume" => Ok(Kind::Volumes),
        "build-cache" => Ok(Kind::BuildCache),
        _ => Err(Failure::bad(format!("unknown object type: {name}"))),
    };
    let mut kinds = all("type").map(kind).collect::<Result<Vec<_>, _>>()?;
    if kinds.is_empty() {
        kinds.extend(Kind::ALL);
    }
    let verbose = is_on(all("verbose").next());
    let job = move |engine: &mut Engine| Ok(shown_usage(engine.disk_usage(&kinds)?, version, verbose));
    answer(&house, job).await
}

/// Sums, and with `verbose` what they are of; before 1.52, lists only.
fn shown_usage(mut usage: SystemDataUsageResponse, version: ApiVersion, verbose: bool) -> Value {
    if version < ApiVersion(52) {
        let layers = usage.image_usage.as_ref().and_then(|usage| usage.total_size).unwrap_or(0);
        let images = usage.image_usage.and_then(|usage| usage.items);
        let shown = |all: Vec<Value>| all.iter().map(|one| summary(one, version)).collect::<Vec<_>>();
        return json!({
            "LayersSize": layers,
            "Images": images.map(shown),
            "Containers": usage.container_usage.and_then(|usage| usage.items),
            "Volumes": usage.volume_usage.and_then(|usage| usage.items),
            "BuildCache": usage.build_cache_usage.and_then(|usage| usage.items),
            "BuilderSize": 0,
        });
    }
    if !verbose {
        usage.image_usage.iter_mut().for_each(|usage| usage.items = None);
        usage.container_usage.iter_mut().for_each(|usage| usage.items = None);
        usage.volume_usage.iter_mut().for_each(|usage| usage.items = None);
        usage.build_cache_usage.iter_mut().for_each(|usage| usage.items = None);
    }
    json!(usage)
}
