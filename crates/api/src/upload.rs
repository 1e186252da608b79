//! A body that is read while it is received: the other direction of [`flow`](crate::flow).
//!
//! A request's process reads it from a pipe, so a process that is slow makes the client wait, and a body of any size costs
//! a pipe. The pieces are framed (a length of four bytes, then as many), and a frame of no bytes is the end: a client that
//! was cut off in the middle is an error to whoever reads, where the end of a bare pipe would look like the end of the
//! archive.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use axum::body::Body;
use http_body_util::BodyExt;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Sender;

use crate::failure::Failure;

/// Begins to write a body into a pipe, of which it gives the other end: for [`Upload`], in the request's process.
pub(crate) fn receive(body: Body) -> Result<OwnedFd, Failure> {
    let failed = |error: io::Error| Failure::ours(format!("cannot receive the request's body: {error}"));
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
    let pipe = Sender::from_owned_fd(write).map_err(failed)?;
    // Whoever reads learns of a failure by the end that is missing; a reader that has gone wants no more.
    tokio::spawn(async move { drop(copy(body, pipe).await) });
    Ok(read)
}

async fn copy(mut body: Body, pipe: Sender) -> io::Result<()> {
    let mut pipe = Some(pipe);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(io::Error::other)?.into_data() else { continue };
        if let Some(open) = pipe.as_mut().filter(|_| !data.is_empty())
            && pass_on(open, &data).await.is_err()
        {
            // A client that is still sending would not hear the answer if nobody took what it sends.
            pipe = None;
        }
    }
    match pipe {
        Some(mut pipe) => pipe.write_all(&0u32.to_ne_bytes()).await,
        None => Ok(()),
    }
}

async fn pass_on(pipe: &mut Sender, data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).map_err(io::Error::other)?;
    pipe.write_all(&length.to_ne_bytes()).await?;
    pipe.write_all(data).await
}

/// The body among the descriptors that a job is given: the last of them.
pub(crate) fn given(descriptors: &mut Vec<OwnedFd>) -> Result<Upload, Failure> {
    let pipe = descriptors.pop().ok_or_else(|| Failure::ours("the request's body was not handed over"))?;
    Ok(Upload::new(pipe))
}

/// What a client sends, as its request's process reads it. A client that goes before the end is `UnexpectedEof`.
#[derive(Debug)]
pub(crate) struct Upload {
    pipe: File,
    /// What is left of this frame.
    left: usize,
    ended: bool,
}

impl Upload {
    /// Reads what [`receive`] writes.
    pub(crate) fn new(pipe: OwnedFd) -> Upload {
        Upload { pipe: pipe.into(), left: 0, ended: false }
    }
}

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.ended {
            return Ok(0);
        }
        if self.left == 0 {
            let mut length = [0; 4];
            self.pipe.read_exact(&mut length).map_err(cut_off)?;
            self.left = u32::from_ne_bytes(length) as usize;
            if self.left == 0 {
                self.ended = true;
                return Ok(0);
            }
        }
        let wanted = buffer.len().min(self.left);
        let read = self.pipe.read(buffer.get_mut(..wanted).unwrap_or_default())?;
        if read == 0 {
            return Err(cut_off(io::ErrorKind::UnexpectedEof.into()));
        }
        self.left -= read;
        Ok(read)
    }
}

fn cut_off(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            io::Error::new(io::ErrorKind::UnexpectedEof, "the client went before all was sent")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn reads(frames: &[Vec<u8>], end: bool) -> (Vec<u8>, io::Result<usize>) {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let mut write = File::from(write);
        for frame in frames {
            write.write_all(&u32::try_from(frame.len()).unwrap().to_ne_bytes()).unwrap();
            write.write_all(frame).unwrap();
        }
        if end {
            write.write_all(&[0; 4]).unwrap();
        }
        drop(write);
        let mut all = Vec::new();
        let result = Upload::new(read).read_to_end(&mut all);
        (all, result)
    }

    proptest! {
        #[test]
        fn what_is_sent_arrives_and_half_of_it_is_an_error(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 0..20)
        ) {
            let whole = frames.concat();
            let (read, result) = reads(&frames, true);
            prop_assert_eq!(&read, &whole);
            prop_assert_eq!(result.unwrap(), whole.len());
            let (read, result) = reads(&frames, false);
            prop_assert_eq!(read, whole);
            prop_assert_eq!(result.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
