//! A body that is written while it is sent: what comes through a pipe from a request's process.
//!
//! The pipe is all that is kept of it, so a client that reads slowly makes the process wait, and costs no memory. A
//! client that goes ends the process: whoever only tells has nothing to finish.
//!
//! A body is whole when its process says so, by a byte in a pipe of its own. Without that the answer is broken off (the last
//! chunk is missing), and the client knows that it has half of an archive.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use bulkhead_sys::pidfd;
use hyper::body::{Body, Frame};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;

use crate::worker::{Form, Out};

const SIGKILL: i32 = 9;
/// What is read at once: a pipe's whole contents.
const PIECE: usize = 64 * 1024;

/// The rest of what a process says.
pub(crate) struct Flow {
    pipe: Receiver,
    process: OwnedFd,
    /// Where its last word comes from; reading it does not wait.
    last_word: OwnedFd,
    /// Whether it was broken off, and that is not told yet.
    broken: bool,
    /// Since when the client has taken nothing, though there may be something.
    untaken: Arc<Mutex<Option<Instant>>>,
}

/// How long a client may take nothing of an archive: whoever makes one may hold a container's lock.
const TAKES_WITHIN: Duration = Duration::from_secs(60);

impl Flow {
    pub(crate) fn new(pipe: Receiver, process: OwnedFd, last_word: OwnedFd) -> Flow {
        Flow { pipe, process, last_word, broken: false, untaken: Arc::new(Mutex::new(Some(Instant::now()))) }
    }

    /// Ends the process if the client takes nothing for [`TAKES_WITHIN`]. (One that waits for what is not there yet takes what
    /// there is.)
    pub(crate) fn must_be_taken(&self) -> std::io::Result<()> {
        let process = self.process.try_clone()?;
        let untaken = Arc::downgrade(&self.untaken);
        tokio::spawn(async move {
            while let Some(untaken) = untaken.upgrade() {
                let since = *untaken.lock().unwrap_or_else(PoisonError::into_inner);
                if since.is_some_and(|since| since.elapsed() > TAKES_WITHIN) {
                    let _ = pidfd::send_signal(process.as_fd(), SIGKILL);
                    return;
                }
                drop(untaken);
                tokio::time::sleep(TAKES_WITHIN / 12).await;
            }
        });
        Ok(())
    }

    /// How it ends when nothing more comes. What came is sent before it is told that no more will.
    fn end(&mut self, context: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if !self.broken && rustix::io::read(&self.last_word, &mut [0; 1]) == Ok(1) {
            return Poll::Ready(None);
        }
        if !std::mem::replace(&mut self.broken, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let why = std::io::Error::other("the process that made this answer has not finished it");
        Poll::Ready(Some(Err(why)))
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = pidfd::send_signal(self.process.as_fd(), SIGKILL);
    }
}

impl Body for Flow {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let piece = poll_piece(&mut self.pipe, context);
        *self.untaken.lock().unwrap_or_else(PoisonError::into_inner) = piece.is_ready().then(Instant::now);
        match ready!(piece) {
            None => self.end(context),
            piece => Poll::Ready(piece),
        }
    }
}

/// A body that begins with its first byte, so that what fails before it is told as a failure.
pub(crate) struct Late<'a> {
    out: &'a mut Out,
    form: Form,
}

impl Late<'_> {
    pub(crate) fn new(out: &mut Out, form: Form) -> Late<'_> {
        Late { out, form }
    }
}

impl Write for Late<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let pipe = self.out.begun(self.form);
        pipe.map_err(|failure| std::io::Error::other(failure.to_string()))?.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a session says to a client whose connection stays HTTP.
pub(crate) struct SocketBody {
    socket: OwnedReadHalf,
    /// Dropped when the client has gone.
    _client: oneshot::Sender<()>,
}

impl SocketBody {
    pub(crate) fn new(socket: OwnedReadHalf, client: oneshot::Sender<()>) -> SocketBody {
        SocketBody { socket, _client: client }
    }
}

impl Body for SocketBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        poll_piece(&mut self.socket, context)
    }
}

fn poll_piece(
    from: &mut (impl AsyncRead + Unpin),
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
    let mut piece = vec![0u8; PIECE];
    let mut buffer = ReadBuf::new(&mut piece);
    let read = ready!(Pin::new(from).poll_read(context, &mut buffer));
    let length = buffer.filled().len();
    Poll::Ready(match read {
        Err(error) => Some(Err(error)),
        Ok(()) if length == 0 => None,
        Ok(()) => {
            piece.truncate(length);
            Some(Ok(Frame::data(piece.into())))
        }
    })
}
