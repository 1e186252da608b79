//! Bodies that must come in time. A description of a container is small: a client that begins to send one and does not go
//! on is told so, and holds its connection no longer. What is a stream, an archive or a session, has its own time.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// How long a client may take to say the whole of what it wants.
const WITHIN: Duration = Duration::from_secs(30);

/// A body whose end must come in time.
pub(crate) struct InTime {
    body: Body,
    /// From the first time on that there was nothing to read.
    deadline: Option<Pin<Box<Sleep>>>,
    overdue: Arc<AtomicBool>,
}

/// Whether what is sent to this path may come as slowly as it likes.
fn is_stream(path: &str) -> bool {
    let mut parts = path.trim_matches('/').split('/');
    matches!(
        (parts.next(), parts.next(), parts.next(), parts.next()),
        (Some("containers"), Some(_), Some("attach" | "archive"), None)
            | (Some("images"), Some("load" | "create"), None, None)
            | (Some("build" | "session" | "grpc"), None, None, None)
    )
}

/// Bounds the time of a request's body; gives what tells whether that was over.
pub(crate) fn bound(request: Request<Body>) -> (Request<Body>, Arc<AtomicBool>) {
    let overdue = Arc::new(AtomicBool::new(false));
    if request.body().is_end_stream() || is_stream(request.uri().path()) {
        return (request, overdue);
    }
    let told = Arc::clone(&overdue);
    (request.map(|body| Body::new(InTime { body, deadline: None, overdue: told })), overdue)
}

impl hyper::body::Body for InTime {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(WITHIN)));
        if deadline.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.overdue.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(axum::Error::new(io::Error::from(ErrorKind::TimedOut)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What is said of a body that was not whole in time.
pub(crate) fn why() -> String {
    format!("the request's body did not come within {} seconds", WITHIN.as_secs())
}

#[cfg(test)]
mod tests {
    use super::is_stream;

    #[test]
    fn archives_and_sessions_may_take_their_time() {
        for path in
            ["/containers/x/attach", "/containers/x/archive", "/images/load", "/images/create", "/build"]
        {
            assert!(is_stream(path), "{path}");
        }
        for path in
            ["/containers/create", "/containers/attach", "/containers/x/exec", "/exec/x/start", "/", "//"]
        {
            assert!(!is_stream(path), "{path}");
        }
    }
}
