//! A connection that stops to be HTTP: what Docker calls hijacking, for attach and exec.
//!
//! A client that asks to switch protocols (`Upgrade: tcp`) gets 101 and then a stream in both directions, whose halves end
//! by themselves. One that does not ask gets an ordinary body, and what it sends is the body of its request.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use crate::connections::{Busy, Slot};
use crate::descriptors::Hangup;
use crate::failure::Failure;
use crate::flow::SocketBody;
use crate::session::Session;
use crate::worker::Form;

/// How long a client may take to read the head of an answer before the rest is sent all the same.
const HEAD_WITHIN: Duration = Duration::from_millis(500);

/// A client's connection, before it is known whether a session comes of its request.
pub(crate) enum Client {
    /// It is to be a stream.
    Stream(OnUpgrade, Option<Busy>),
    /// It stays HTTP.
    Plain,
}

impl Client {
    /// Which the request asks for.
    pub(crate) fn of(request: &mut Request) -> Client {
        if asks_for_stream(request.headers()) {
            // Its place among the connections is its own until its session ends.
            let busy = request.extensions().get::<Arc<Slot>>().map(Slot::busy);
            return Client::Stream(hyper::upgrade::on(request), busy);
        }
        Client::Plain
    }

    /// Answers, and serves the session that comes of `session` from then on. `sent` is what the client sends if it stays
    /// HTTP.
    pub(crate) fn begin(
        self,
        framed: bool,
        session: impl Future<Output = Session> + Send + 'static,
        sent: Body,
    ) -> Result<Response, Failure> {
        let form = if framed { Form::Multiplexed } else { Form::Raw };
        let head = [(CONTENT_TYPE, form.media_type())];
        match self {
            Client::Stream(upgrade, busy) => {
                tokio::spawn(async move {
                    // A client that has gone has nothing to be told.
                    if let Ok(stream) = upgrade.await {
                        serve(stream, session.await).await;
                    }
                    drop(busy);
                });
                let switch = [(CONNECTION, "Upgrade"), (UPGRADE, "tcp")];
                Ok((StatusCode::SWITCHING_PROTOCOLS, switch, head).into_response())
            }
            Client::Plain => {
                let (ours, theirs) = UnixStream::pair()
                    .map_err(|error| Failure::ours(format!("cannot make a socket: {error}")))?;
                let (answer, input) = theirs.into_split();
                let (client, gone) = oneshot::channel::<()>();
                tokio::spawn(async move {
                    tokio::select! {
                        () = send(sent, input) => {}
                        // Nothing is sent there; it ends with the answer.
                        _ = gone => {}
                    }
                });
                tokio::spawn(async move {
                    let hangup = Hangup::of(&ours).ok();
                    session.await.serve(ours, Bytes::new(), hangup).await;
                });
                Ok((head, Body::new(SocketBody::new(answer, client))).into_response())
            }
        }
    }
}

fn asks_for_stream(headers: &HeaderMap) -> bool {
    let has = |name, word: &str| {
        headers.get_all(name).iter().any(|value| {
            value.to_str().is_ok_and(|text| text.split(',').any(|one| one.trim().eq_ignore_ascii_case(word)))
        })
    };
    has(CONNECTION, "upgrade") && has(UPGRADE, "tcp")
}

async fn serve(stream: Upgraded, session: Session) {
    match stream.downcast::<TokioIo<UnixStream>>() {
        Ok(parts) => {
            let socket = parts.io.into_inner();
            let hangup = Hangup::of(socket.as_fd()).ok();
            answer_is_read(&socket).await;
            session.serve(socket, parts.read_buf, hangup).await;
        }
        Err(stream) => session.serve(TokioIo::new(stream), Bytes::new(), None).await,
    }
}

/// Waits until the client has read the answer's head. Some read it with a buffer, and forget what they read with it of the
/// stream that follows (docker-py): behind a daemon that takes longer to start a program, that never happens.
async fn answer_is_read(socket: &UnixStream) {
    for _ in 0..HEAD_WITHIN.as_millis() {
        if bulkhead_sys::socket::unread_by_peer(socket.as_fd()).is_ok_and(|unread| unread > 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        } else {
            return;
        }
    }
}

async fn send(mut sent: Body, mut input: tokio::net::unix::OwnedWriteHalf) {
    while let Some(Ok(frame)) = sent.frame().await {
        if let Ok(data) = frame.into_data()
            && input.write_all(&data).await.is_err()
        {
            return;
        }
    }
    let _ = input.shutdown().await;
}
