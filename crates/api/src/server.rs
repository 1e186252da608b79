//! Connections: taken, limited, and served until somebody asks for the end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::os::unix::net::UnixListener as StdListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tower::ServiceExt;

use crate::failure::Failure;
use crate::listen::{self, Address};
use crate::version::{self, ApiVersion};
use crate::worker::House;
use crate::{Options, ServeError, routes, worker};

/// How long a client may take to say what it wants.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// How much it may say before the body.
const LARGEST_HEAD: usize = 64 * 1024;
/// How long to wait when no connection can be taken: no descriptor is free.
const BREATH: Duration = Duration::from_millis(50);

pub(crate) async fn serve(options: Options, ready: impl FnOnce(&[Address])) -> Result<(), ServeError> {
    let Options { roots, programs, mut addresses, read_only } = options;
    if addresses.is_empty() {
        addresses.push(Address::Unix(roots.state.join("bulkhead.sock")));
    }
    let asked_to_end = |kind| signal(kind).map_err(|error| ServeError::new("wait for signals", error));
    let mut terminated = asked_to_end(SignalKind::terminate())?;
    let mut interrupted = asked_to_end(SignalKind::interrupt())?;
    worker::reap_by_itself();
    let mut listeners = Vec::new();
    for Address::Unix(path) in &addresses {
        listeners.push((listen::listen(path, &roots.state)?, path.clone(), listen::identity(path)));
    }
    let app = routes::router(Arc::new(House::new(roots, programs)));
    let mut left: Vec<(PathBuf, Option<(u64, u64)>)> = Vec::new();
    for (listener, path, identity) in listeners {
        let listener = registered(listener)?;
        tokio::spawn(take_all(listener, app.clone(), read_only));
        left.push((path, identity));
    }
    ready(&addresses);
    poll_fn(|context| {
        let ended = terminated.poll_recv(context).is_ready() || interrupted.poll_recv(context).is_ready();
        if ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    for (path, identity) in left {
        if identity.is_some() && listen::identity(&path) == identity {
            let _ = std::fs::remove_file(&path);
        }
    }
    Ok(())
}

fn registered(listener: StdListener) -> Result<UnixListener, ServeError> {
    UnixListener::from_std(listener).map_err(|error| ServeError::new("wait for clients", error))
}

async fn take_all(listener: UnixListener, app: Router, read_only: bool) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let app = app.clone();
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    answer(app.clone(), request.map(Body::new), read_only)
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADERS_WITHIN)
                    .max_buf_size(LARGEST_HEAD)
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades();
                // How a client goes is its own affair.
                tokio::spawn(async move { drop(connection.await) });
            }
            // Out of descriptors or memory: those who are served give some back.
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

/// One request. Everything that is said to a client goes through here.
async fn answer(app: Router, mut request: Request<Body>, read_only: bool) -> Result<Response, Infallible> {
    let mut response = match version::split(request.uri()) {
        Err(failure) => failure.into_response(),
        Ok(_) if read_only && !matches!(*request.method(), Method::GET | Method::HEAD) => Failure::new(
            StatusCode::FORBIDDEN,
            "this server only lets clients look (it was started with --allow read-only)",
        )
        .into_response(),
        // A few routes differ by version.
        Ok((version, uri)) => {
            *request.uri_mut() = uri;
            request.extensions_mut().insert(version);
            app.oneshot(request).await.unwrap_or_else(|never| match never {})
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
    Ok(response)
}
