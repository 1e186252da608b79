//! One request and its answer: what a client may, what is bounded, and what every answer says.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, to_bytes};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::Router;
use tower::ServiceExt;

use crate::connections::{InUse, Slot};
use crate::failure::Failure;
use crate::overdue;
use crate::version::{self, ApiVersion};

/// Whether a request only looks. A GET may become a session, in which a client types.
fn only_looks(method: &Method, uri: &Uri) -> bool {
    // The one has a container's input; the other has the server ask whatever host is named.
    let acts =
        uri.path().trim_end_matches('/').ends_with("/attach/ws") || uri.path().starts_with("/distribution/");
    matches!(*method, Method::GET | Method::HEAD) && !acts
}

/// One request. Everything that is said to a client goes through here.
pub(crate) async fn answer(
    app: Router,
    mut request: Request<Body>,
    read_only: bool,
    slot: Option<Arc<Slot>>,
) -> Result<Response, Infallible> {
    let busy = slot.as_ref().map(Slot::busy);
    let mut response = match version::split(request.uri()) {
        Err(failure) => failure.into_response(),
        Ok((_, uri)) if read_only && !only_looks(request.method(), &uri) => Failure::new(
            StatusCode::FORBIDDEN,
            "this server only lets clients look (it was started with --allow read-only)",
        )
        .into_response(),
        // A few routes differ by version.
        Ok((version, uri)) => {
            *request.uri_mut() = uri;
            request.extensions_mut().insert(version);
            if let Some(slot) = slot {
                request.extensions_mut().insert(slot);
            }
            let (request, is_overdue) = overdue::bound(request);
            let response = app.oneshot(request).await.unwrap_or_else(|never| match never {});
            if is_overdue.load(Ordering::Relaxed) {
                let failure = Failure::new(StatusCode::REQUEST_TIMEOUT, overdue::why());
                // What of the body may come still is not to be taken for the next request.
                ([(CONNECTION, "close")], failure).into_response()
            } else {
                in_our_form(response).await
            }
        }
    };
    let headers = response.headers_mut();
    let newest = HeaderValue::from_str(&ApiVersion::NEWEST.to_string());
    if let Ok(newest) = newest {
        headers.insert("Api-Version", newest);
    }
    headers.insert("Ostype", HeaderValue::from_static("linux"));
    headers.insert("Docker-Experimental", HeaderValue::from_static("false"));
    headers.insert(
        "Server",
        HeaderValue::from_static(concat!("Bulkhead/", env!("CARGO_PKG_VERSION"), " (linux)")),
    );
    Ok(response.map(|body| Body::new(InUse::new(body, busy))))
}

/// The most that the framework says of a refusal.
const LARGEST_REFUSAL: usize = 64 * 1024;

/// What the framework refuses by itself (a body that is too large, a path that is no text), in Docker's form.
async fn in_our_form(response: Response) -> Response {
    let refused = response.status().is_client_error() || response.status().is_server_error();
    let is_text =
        response.headers().get(CONTENT_TYPE).is_some_and(|form| form.as_bytes().starts_with(b"text/plain"));
    if !refused || !is_text {
        return response;
    }
    let status = response.status();
    let text = to_bytes(response.into_body(), LARGEST_REFUSAL).await.unwrap_or_default();
    Failure::new(status, String::from_utf8_lossy(&text)).into_response()
}

#[cfg(test)]
mod tests {
    use super::{Method, only_looks};
    use crate::routes::TABLE;

    #[test]
    fn what_changes_something_is_no_look() {
        for route in TABLE {
            let path = route.path.replace(['{', '}', '*'], "");
            let method = Method::from_bytes(route.method.as_bytes()).unwrap();
            let acts = path == "/containers/id/attach/ws" || path.starts_with("/distribution/");
            let looks = matches!(route.method, "GET" | "HEAD") && !acts;
            assert_eq!(only_looks(&method, &path.parse().unwrap()), looks, "{} {path}", route.method);
        }
        assert!(!only_looks(&Method::GET, &"/containers/x/attach/ws/?stdin=1".parse().unwrap()));
    }
}
