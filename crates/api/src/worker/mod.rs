//! A process for each request that needs the engine.
//!
//! The server has one thread, so a clone of it is a process in which everything can be used as before the clone, and the
//! engine's own clones and namespaces are as safe as in a command. The child opens the engine, does the job, writes what
//! came of it to a pipe, and ends; it has none of the server's descriptors but that pipe and what it is given, so that a client's connection
//! ends when the server says so. A job that changes something goes on if its client, or the server, has gone: what began
//! is finished, as with a command whose terminal was closed.
//!
//! | file | holds |
//! |---|---|
//! | `jobs` | what routes ask of such a process |
//! | `out` | what it says while it works |

mod jobs;
mod out;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use axum::body::Bytes;
use bulkhead_engine::Engine;
use bulkhead_sys::process::{CloneArgs, Cloned, clone3, close_all_but, exit_now};
use bulkhead_sys::signals;
use rustix::pipe::{PipeFlags, pipe_with};
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use crate::connections;
use crate::failure::Failure;
use crate::flow::Flow;
use crate::house::House;

pub(crate) use jobs::{answer, ask, ask_with, flow, flow_of, flow_with, hand_over};
pub(crate) use out::{Extra, Form, Out, gone};

use jobs::understood;

/// What begins a message that tells of success, and one that tells of a failure.
const DONE: u8 = b'+';
const FAILED: u8 = b'-';
/// What ends a message that is whole.
const END: u8 = b'.';

const SIGPIPE: i32 = 13;
/// The largest answer that is not sent while it is written: the server has it whole.
const LARGEST_ANSWER: u64 = 64 << 20;

const SIGCHLD: i32 = 17;

/// A process that does a job. The kernel reaps it, whatever becomes of the request ([`reap_by_itself`]).
pub(crate) struct Worker {
    answer: Receiver,
    process: OwnedFd,
}

/// Lets the kernel reap the processes of requests (SIGCHLD ignored, wait(2)): their answers say how they ended.
pub(crate) fn reap_by_itself() {
    signals::ignore(SIGCHLD);
}

impl Worker {
    /// Begins a job that has one answer.
    pub(crate) fn send<T: Serialize>(
        house: &House,
        job: impl FnOnce(&mut Engine) -> Result<T, Failure>,
    ) -> Result<Worker, Failure> {
        Worker::begin(house, Vec::new(), |engine, _, answer| tell(answer, engine.and_then(job)))
    }

    /// Begins a job that has one answer, with descriptors of the server's.
    pub(super) fn send_with<T: Serialize>(
        house: &House,
        given: Vec<OwnedFd>,
        job: impl FnOnce(&mut Engine, Vec<OwnedFd>) -> Result<T, Failure>,
    ) -> Result<Worker, Failure> {
        Worker::begin(house, given, |engine, given, answer| {
            tell(answer, engine.and_then(|engine| job(engine, given)));
        })
    }

    /// Begins a job that writes its answer bit by bit. What fails before the first of it is told as a failure; what fails
    /// later breaks the body off, and whoever runs the server is told. Second: where the last word comes from, without which
    /// the body is not whole: a killed process says none.
    pub(super) fn send_flowing(
        house: &House,
        mut given: Vec<OwnedFd>,
        job: impl FnOnce(&mut Engine, Vec<OwnedFd>, &mut Out) -> Result<(), Failure>,
    ) -> Result<(Worker, OwnedFd), Failure> {
        let failed = |error: rustix::io::Errno| Failure::ours(format!("cannot make a pipe: {error}"));
        let (last_word, says_it) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(failed)?;
        given.push(says_it);
        let worker = Worker::begin(house, given, |engine, mut given, answer| {
            let Some(says_it) = given.pop() else { return };
            let Ok(pipe) = answer.try_clone() else { return };
            let mut out = Out { pipe, begun: false };
            match engine.and_then(|engine| job(engine, given, &mut out)) {
                // Said before the body's pipe is closed, so that it is there when its end is seen.
                Ok(()) => drop(rustix::io::write(&says_it, &[END])),
                Err(failure) if out.begun => {
                    eprintln!("bulkhead serve: an answer ends early: {}", failure.printable())
                }
                Err(failure) => tell::<()>(answer, Err(failure)),
            }
        })?;
        Ok((worker, last_word))
    }

    /// The process: it ends when `work` has told what came of it. `given` are its own from then on, and no longer the
    /// server's.
    fn begin(
        house: &House,
        given: Vec<OwnedFd>,
        work: impl FnOnce(Result<&mut Engine, Failure>, Vec<OwnedFd>, &mut File),
    ) -> Result<Worker, Failure> {
        let failed = |doing: &str, error: std::io::Error| Failure::ours(format!("cannot {doing}: {error}"));
        let Some(files) = house.files else { return Err(Failure::ours("this server does no jobs")) };
        let (read, write) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed("make a pipe", error.into()))?;
        match clone3(&CloneArgs::default())
            .map_err(|error| failed("make a process for the request", error))?
        {
            Cloned::Child => {
                connections::restore_limit(files);
                let done = catch_unwind(AssertUnwindSafe(|| live(house, write, given, work)));
                exit_now(i32::from(done.is_err()));
            }
            Cloned::Parent { pidfd: process, .. } => {
                drop(write);
                let answer = Receiver::from_owned_fd(read);
                answer
                    .map(|answer| Worker { answer, process })
                    .map_err(|error| failed("hear from the request's process", error))
            }
        }
    }

    /// What flows, after the first word.
    pub(super) async fn flow(mut self, last_word: OwnedFd) -> Result<(Form, Vec<Extra>, Flow), Failure> {
        let mut first = [0];
        self.answer.read_exact(&mut first).await.map_err(|_| killed())?;
        if first == [DONE] {
            self.answer.read_exact(&mut first).await.map_err(|_| killed())?;
            let [letter] = first;
            let form = Form::of(letter).ok_or_else(killed)?;
            let mut length = [0; 4];
            self.answer.read_exact(&mut length).await.map_err(|_| killed())?;
            let mut headers = vec![0; u32::from_ne_bytes(length) as usize];
            self.answer.read_exact(&mut headers).await.map_err(|_| killed())?;
            let headers = understood(&headers)?;
            let flow = Flow::new(self.answer, self.process, last_word);
            if matches!(form, Form::Tar | Form::Bytes) {
                let failed = |error| Failure::ours(format!("cannot watch over an answer: {error}"));
                flow.must_be_taken().map_err(failed)?;
            }
            return Ok((form, headers, flow));
        }
        let mut why = Vec::new();
        let whole = self.answer.read_to_end(&mut why).await.is_ok() && why.pop() == Some(END);
        let failure = if whole { serde_json::from_slice(&why).ok() } else { None };
        Err(failure.unwrap_or_else(killed))
    }

    /// What came of it, as JSON. The process may live on for what nobody waits for.
    pub(crate) async fn json(self) -> Result<Bytes, Failure> {
        let mut message = Vec::new();
        let read = self.answer.take(LARGEST_ANSWER + 1).read_to_end(&mut message).await;
        let read =
            read.map_err(|error| Failure::ours(format!("cannot hear from the request's process: {error}")))?;
        if read as u64 > LARGEST_ANSWER {
            let most = LARGEST_ANSWER >> 20;
            return Err(Failure::ours(format!("the answer is larger than {most} MiB: ask for less")));
        }
        let whole = message.pop() == Some(END);
        match message.split_first() {
            Some((&DONE, _)) if whole => {
                let end = message.len();
                Ok(Bytes::from(message).slice(1..end))
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
fn live(
    house: &House,
    answer: OwnedFd,
    given: Vec<OwnedFd>,
    work: impl FnOnce(Result<&mut Engine, Failure>, Vec<OwnedFd>, &mut File),
) {
    let kept: Vec<BorrowedFd<'_>> = given.iter().chain([&answer]).map(AsFd::as_fd).collect();
    let closed = close_all_but(3, &kept);
    let mut answer = File::from(answer);
    // What cannot be closed would keep others' connections open, so nothing is done then.
    if let Err(error) = closed {
        let failure = Failure::ours(format!("cannot close what is the server's: {error}"));
        return work(Err(failure), given, &mut answer);
    }
    // A terminal's signals are the server's: what began is finished. (A new process leads no group yet.)
    let _ = rustix::process::setsid();
    signals::reset();
    // As in a command (Rust's runtime ignores it): who stops reading is an error to whoever writes, and no death.
    signals::ignore(SIGPIPE);
    match Engine::open(house.roots.clone(), house.programs.clone()) {
        Err(error) => work(Err(error.into()), given, &mut answer),
        Ok(mut engine) => {
            engine.usual_users(house.usual_users.clone());
            work(Ok(&mut engine), given, &mut answer);
            drop(answer);
            // Nobody waits now. What fails here fails for the next process too, which has somebody to tell.
            if engine.wants_checkpoint() {
                let _ = engine.checkpoint();
            }
        }
    }
}

/// Tells what came of a job. If nobody listens, the client and the server have gone, and what is done is done.
fn tell<T: Serialize>(answer: &mut File, done: Result<T, Failure>) {
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
        let _ = answer.write_all(&message);
    }
}
