//! A process for each request that needs the engine.
//!
//! The server has one thread, so a clone of it is a process in which everything can be used as before the clone, and the
//! engine's own clones and namespaces are as safe as in a command. The child opens the engine, does the job, writes what
//! came of it to a pipe, and ends; it has none of the server's descriptors but that pipe, so that a client's connection
//! ends when the server says so. A job that changes something goes on if its client, or the server, has gone: what began
//! is finished, as with a command whose terminal was closed.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bulkhead_engine::{Engine, Programs, Roots};
use bulkhead_sys::process::{CloneArgs, Cloned, clone3, close_all_but, exit_now};
use bulkhead_sys::signals;
use rustix::pipe::{PipeFlags, pipe_with};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use crate::failure::Failure;

/// What begins a message that tells of success, and one that tells of a failure.
const DONE: u8 = b'+';
const FAILED: u8 = b'-';
/// What ends a message that is whole.
const END: u8 = b'.';

const SIGCHLD: i32 = 17;

/// What every request gets.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) roots: Roots,
    pub(crate) programs: Programs,
}

/// A process that does a job. The kernel reaps it, whatever becomes of the request ([`reap_by_itself`]).
pub(crate) struct Worker {
    answer: Receiver,
}

/// Lets the kernel reap the processes of requests (SIGCHLD ignored, wait(2)): their answers say how they ended.
pub(crate) fn reap_by_itself() {
    signals::ignore(SIGCHLD);
}

impl Worker {
    /// Begins a job.
    pub(crate) fn send<T: Serialize>(
        house: &House,
        job: impl FnOnce(&mut Engine) -> Result<T, Failure>,
    ) -> Result<Worker, Failure> {
        let failed = |doing: &str, error: std::io::Error| Failure::ours(format!("cannot {doing}: {error}"));
        let (read, write) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed("make a pipe", error.into()))?;
        match clone3(&CloneArgs::default())
            .map_err(|error| failed("make a process for the request", error))?
        {
            Cloned::Child => {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| live(house, write, job)));
                exit_now(i32::from(done.is_err()));
            }
            Cloned::Parent { .. } => {
                drop(write);
                let answer = Receiver::from_owned_fd(read);
                answer
                    .map(|answer| Worker { answer })
                    .map_err(|error| failed("hear from the request's process", error))
            }
        }
    }

    /// What came of it, as JSON. The process may live on for what nobody waits for.
    pub(crate) async fn json(mut self) -> Result<Vec<u8>, Failure> {
        let mut message = Vec::new();
        let read = self.answer.read_to_end(&mut message).await;
        read.map_err(|error| Failure::ours(format!("cannot hear from the request's process: {error}")))?;
        let whole = message.pop() == Some(END);
        match message.split_first() {
            Some((&DONE, _)) if whole => {
                message.remove(0);
                Ok(message)
            }
            Some((&FAILED, why)) if whole => Err(serde_json::from_slice(why).unwrap_or_else(|_| killed())),
            _ => Err(killed()),
        }
    }
}

fn killed() -> Failure {
    Failure::ours(
        "the process that served this request was killed; what it left is put right by the next one",
    )
}

/// The child's life.
fn live<T: Serialize>(house: &House, answer: OwnedFd, job: impl FnOnce(&mut Engine) -> Result<T, Failure>) {
    // What cannot be closed would keep others' connections open, so nothing is done then.
    if let Err(error) = close_all_but(3, &[answer.as_fd()]) {
        return tell::<()>(answer, Err(Failure::ours(format!("cannot close what is the server's: {error}"))));
    }
    signals::reset();
    match Engine::open(house.roots.clone(), house.programs.clone()) {
        Err(error) => tell::<()>(answer, Err(error.into())),
        Ok(mut engine) => {
            let done = job(&mut engine);
            tell(answer, done);
            // Nobody waits now. What fails here fails for the next process too, which has somebody to tell.
            if engine.wants_checkpoint() {
                let _ = engine.checkpoint();
            }
        }
    }
}

/// Tells what came of a job. If nobody listens, the client and the server have gone, and what is done is done.
fn tell<T: Serialize>(answer: OwnedFd, done: Result<T, Failure>) {
    let mut message = Vec::with_capacity(1024);
    let written = match &done {
        Ok(value) => {
            message.push(DONE);
            serde_json::to_writer(&mut message, value)
        }
        Err(failure) => {
            message.push(FAILED);
            serde_json::to_writer(&mut message, failure)
        }
    };
    // Half a message without its end is known for what it is.
    if written.is_ok() {
        message.push(END);
        let _ = std::fs::File::from(answer).write_all(&message);
    }
}

/// Does a job, and answers with what came of it.
pub(crate) async fn answer<T: Serialize>(
    house: &House,
    job: impl FnOnce(&mut Engine) -> Result<T, Failure> + Send,
) -> Result<Response, Failure> {
    let worker = Worker::send(house, job)?;
    let json = worker.json().await?;
    Ok(([(CONTENT_TYPE, "application/json")], Bytes::from(json)).into_response())
}

/// Does a job, and gives what came of it.
pub(crate) async fn ask<T: Serialize + DeserializeOwned>(
    house: &House,
    job: impl FnOnce(&mut Engine) -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let worker = Worker::send(house, job)?;
    let json = worker.json().await?;
    serde_json::from_slice(&json)
        .map_err(|error| Failure::ours(format!("the request's process cannot be understood: {error}")))
}
