//! What the server and the engine are: `/_ping`, `/version`, `/info`, `/system/df`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bulkhead_engine::models::{SystemVersion, SystemVersionComponents, SystemVersionPlatform};

use crate::failure::Failure;
use crate::version::ApiVersion;
use crate::worker::{House, answer};

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

async fn info(State(house): State<Arc<House>>) -> Result<Response, Failure> {
    answer(&house, |engine| Ok(engine.info()?)).await
}

async fn disk_usage(State(house): State<Arc<House>>) -> Result<Response, Failure> {
    answer(&house, |engine| Ok(engine.disk_usage()?)).await
}
