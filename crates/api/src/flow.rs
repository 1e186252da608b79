//! A body that is written while it is sent: what comes through a pipe from a request's process.
//!
//! The pipe is all that is kept of it, so a client that reads slowly makes the process wait, and costs no memory. A
//! client that goes ends the process: whoever only tells has nothing to finish.
//!
//! A body is whole when its process says so, by a byte in a pipe of its own. Without that the answer is broken off (the last
//! chunk is missing), and the client knows that it has half of an archive.

use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use bulkhead_sys::pidfd;
use hyper::body::{Body, Frame};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::unix::pipe::Receiver;

const SIGKILL: i32 = 9;
/// What is read at once: a pipe's whole contents.
const PIECE: usize = 64 * 1024;

/// The rest of what a process says.
pub(crate) struct Flow {
    pipe: Receiver,
    process: OwnedFd,
    /// Where its last word comes from; reading it does not wait.
    last_word: OwnedFd,
}

impl Flow {
    pub(crate) fn new(pipe: Receiver, process: OwnedFd, last_word: OwnedFd) -> Flow {
        Flow { pipe, process, last_word }
    }

    /// How it ends when nothing more comes.
    fn end(&self) -> Option<Result<Frame<Bytes>, std::io::Error>> {
        match rustix::io::read(&self.last_word, &mut [0; 1]) {
            Ok(1) => None,
            _ => Some(Err(std::io::Error::other("the process that made this answer has not finished it"))),
        }
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
        let piece = ready!(poll_piece(&mut self.pipe, context));
        Poll::Ready(piece.or_else(|| self.end()))
    }
}

/// What a session says to a client whose connection stays HTTP.
pub(crate) struct SocketBody(OwnedReadHalf);

impl SocketBody {
    pub(crate) fn new(socket: OwnedReadHalf) -> SocketBody {
        SocketBody(socket)
    }
}

impl Body for SocketBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        poll_piece(&mut self.0, context)
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
