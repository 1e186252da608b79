//! Docker's routes, a file for each group of its reference, and the [`TABLE`] of all of them.

mod archives;
mod attach;
mod containers;
mod events;
mod exec;
mod image_archives;
mod images;
mod logs;
mod networks;
mod prune;
mod stats;
mod system;
mod table;
mod transfers;
mod volumes;
mod wait;

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde::de::DeserializeOwned;

use crate::failure::Failure;
use crate::house::House;

use table::Served;
pub(crate) use table::{TABLE, reference};

/// The largest description of a container or of anything else.
const LARGEST_BODY: usize = 4 << 20;

/// All routes.
pub(crate) fn router(house: Arc<House>) -> Router {
    let mut router = Router::new()
        .merge(system::routes())
        .merge(containers::routes())
        .merge(wait::routes())
        .merge(attach::routes())
        .merge(exec::routes())
        .merge(logs::routes())
        .merge(events::routes())
        .merge(images::routes())
        .merge(archives::routes())
        .merge(image_archives::routes())
        .merge(transfers::routes())
        .merge(networks::routes())
        .merge(volumes::routes())
        .merge(prune::routes())
        .merge(stats::routes())
        .layer(DefaultBodyLimit::max(LARGEST_BODY));
    let served: HashSet<&str> =
        TABLE.iter().filter(|route| !matches!(route.served, Served::No(_))).map(|route| route.path).collect();
    let mut refused = HashSet::new();
    for route in TABLE {
        if let Served::No(why) = route.served
            && !served.contains(route.path)
            && refused.insert(route.path)
        {
            let refusal = Failure::new(StatusCode::NOT_IMPLEMENTED, why);
            router = router.route(route.path, any(move || async move { refusal }));
        }
    }
    router
        .fallback(|| async { Failure::new(StatusCode::NOT_FOUND, "page not found") })
        .method_not_allowed_fallback(unserved_method)
        .with_state(house)
}

/// A method that a path does not have: one of Docker's that is not served, or none.
async fn unserved_method() -> Response {
    Failure::new(StatusCode::NOT_IMPLEMENTED, "this method of this path is not served").into_response()
}

/// What follows the `?`, as a structure: what is said wrongly is the client's mistake, in Docker's form.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Query(query))
            .map_err(|error| Failure::bad(format!("invalid query: {error}")))
    }
}

/// Whether a flag is on, as Docker reads it: anything but nothing, `0`, `no`, `false` and `none`.
pub(crate) fn is_on(flag: Option<&String>) -> bool {
    flag.is_some_and(|flag| {
        !matches!(flag.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
    })
}

/// What a body says.
pub(crate) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::bad(format!("invalid JSON: {error}")))
}
