//! A process for each request that needs the engine.
//!
//! The server has one thread, so a clone of it is a process in which everything can be used as before the clone, and the
//! engine's own clones and namespaces are as safe as in a command. The child opens the engine, does the job, writes what
//! came of it to a pipe, and ends; it has none of the server's descriptors but that pipe and what it is given, so that a client's connection
//! ends when the server says so. A job that changes something goes on if its client, or the server, has gone: what began
//! is finished, as with a command whose terminal was closed.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bulkhead_engine::{Engine, Programs, Roots, UsualUsers};
use bulkhead_sys::channel;
use bulkhead_sys::process::{CloneArgs, Cloned, clone3, close_all_but, exit_now};
use bulkhead_sys::signals;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Rlimit;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use crate::connections;
use crate::execs::Execs;
use crate::failure::Failure;
use crate::flow::Flow;
use crate::pending::Pending;

/// What begins a message that tells of success, and one that tells of a failure.
const DONE: u8 = b'+';
const FAILED: u8 = b'-';
/// What ends a message that is whole.
const END: u8 = b'.';

const SIGPIPE: i32 = 13;
/// The largest answer that is not sent while it is written: the server has it whole.
const LARGEST_ANSWER: u64 = 64 << 20;

const SIGCHLD: i32 = 17;

/// What every request gets. A request's process has it as it was when it was cloned.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) roots: Roots,
    pub(crate) programs: Programs,
    /// Clients that wait for a container to be started.
    pub(crate) pending: Arc<Pending>,
    /// Programs that clients want run in containers.
    pub(crate) execs: Execs,
    /// Which user namespace containers get that ask for none.
    pub(crate) usual_users: UsualUsers,
    /// The limit of descriptors that the server's children get; `None`: it has none, and does no jobs (fuzzing).
    pub(crate) files: Option<Rlimit>,
}

impl House {
    pub(crate) fn new(
        roots: Roots,
        programs: Programs,
        usual_users: UsualUsers,
        files: Option<Rlimit>,
    ) -> House {
        House { roots, programs, pending: Arc::default(), execs: Execs::default(), usual_users, files }
    }
}

/// A process that does a job. The kernel reaps it, whatever becomes of the request ([`reap_by_itself`]).
pub(crate) struct Worker {
    answer: Receiver,
    process: OwnedFd,
}

/// What a body that is sent while it is written is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON, a line each.
    Json,
    /// The bytes of a terminal.
    Raw,
    /// Frames of two streams.
    Multiplexed,
    /// A tar.
    Tar,
    /// A tar, as `export` calls it.
    Bytes,
}

impl Form {
    fn letter(self) -> u8 {
        match self {
            Form::Json => b'j',
            Form::Raw => b'r',
            Form::Multiplexed => b'm',
            Form::Tar => b't',
            Form::Bytes => b'b',
        }
    }

    fn of(letter: u8) -> Option<Form> {
        let all = [Form::Json, Form::Raw, Form::Multiplexed, Form::Tar, Form::Bytes];
        all.into_iter().find(|form| form.letter() == letter)
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Raw => "application/vnd.docker.raw-stream",
            Form::Multiplexed => "application/vnd.docker.multiplexed-stream",
            Form::Tar => "application/x-tar",
            Form::Bytes => "application/octet-stream",
        }
    }
}

/// A header beyond those that every answer has: its name, in small letters, and its value.
pub(crate) type Extra = (String, String);

/// Where the process of a request writes what is sent while it writes it.
pub(crate) struct Out {
    pipe: File,
    begun: bool,
}

impl Out {
    /// Answers that the request can be served; the body follows, in this form.
    pub(crate) fn begin(&mut self, form: Form) -> Result<&mut File, Failure> {
        self.begin_with(form, &[])
    }

    /// The same, with more headers.
    pub(crate) fn begin_with(&mut self, form: Form, headers: &[Extra]) -> Result<&mut File, Failure> {
        self.begun = true;
        let headers = serde_json::to_vec(headers).map_err(|error| gone(error.into()))?;
        let length = u32::try_from(headers.len()).map_err(|error| gone(std::io::Error::other(error)))?;
        let head = [[DONE, form.letter()].as_slice(), &length.to_ne_bytes(), &headers].concat();
        self.pipe.write_all(&head).map_err(gone)?;
        Ok(&mut self.pipe)
    }

    /// Whether the body has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Another descriptor of the body's pipe, for whoever writes there after the beginning.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd, Failure> {
        self.pipe.try_clone().map(OwnedFd::from).map_err(gone)
    }

    /// The body, begun in this form if it has not begun yet.
    pub(crate) fn begun(&mut self, form: Form) -> Result<&mut File, Failure> {
        if self.begun { Ok(&mut self.pipe) } else { self.begin(form) }
    }
}

/// What it means that a client's end cannot be written: nobody listens any more, so nobody hears this.
pub(crate) fn gone(error: std::io::Error) -> Failure {
    Failure::ours(format!("cannot answer the client: {error}"))
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
    fn send_with<T: Serialize>(
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
    fn send_flowing(
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
                Err(failure) if out.begun => eprintln!("bulkhead serve: an answer ends early: {failure}"),
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
    async fn flow(mut self, last_word: OwnedFd) -> Result<(Form, Vec<Extra>, Flow), Failure> {
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

/// Does a job, and answers with what came of it.
pub(crate) async fn answer<T: Serialize>(
    house: &House,
    job: impl FnOnce(&mut Engine) -> Result<T, Failure> + Send,
) -> Result<Response, Failure> {
    let worker = Worker::send(house, job)?;
    let json = worker.json().await?;
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

/// Does a job, and gives what came of it.
pub(crate) async fn ask<T: Serialize + DeserializeOwned>(
    house: &House,
    job: impl FnOnce(&mut Engine) -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    understood(&Worker::send(house, job)?.json().await?)
}

/// Does a job with descriptors of the server's, and gives what came of it.
pub(crate) async fn ask_with<T: Serialize + DeserializeOwned>(
    house: &House,
    given: Vec<OwnedFd>,
    job: impl FnOnce(&mut Engine, Vec<OwnedFd>) -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    understood(&Worker::send_with(house, given, job)?.json().await?)
}

/// Does a job that makes descriptors, which the server has from then on.
pub(crate) async fn hand_over<T: Serialize + DeserializeOwned>(
    house: &House,
    mut given: Vec<OwnedFd>,
    job: impl FnOnce(&mut Engine, Vec<OwnedFd>) -> Result<(T, Vec<OwnedFd>), Failure> + Send,
) -> Result<(T, Vec<OwnedFd>), Failure> {
    let failed = |error: std::io::Error| Failure::ours(format!("cannot hand over descriptors: {error}"));
    let (ours, theirs) = channel::pair().map_err(failed)?;
    given.push(theirs);
    let job = |engine: &mut Engine, mut given: Vec<OwnedFd>| {
        let theirs = given.pop();
        let (done, made) = job(engine, given)?;
        let made: Vec<BorrowedFd<'_>> = made.iter().map(AsFd::as_fd).collect();
        theirs.map(|theirs| channel::send(theirs, b"made", &made)).transpose().map_err(failed)?;
        Ok(done)
    };
    let done = ask_with(house, given, job).await?;
    // It was sent before the answer was.
    rustix::io::ioctl_fionbio(&ours, true).map_err(|error| failed(error.into()))?;
    let made = channel::receive(&ours).map_err(failed)?.ok_or_else(killed)?;
    Ok((done, made.fds))
}

fn understood<T: DeserializeOwned>(json: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(json)
        .map_err(|error| Failure::ours(format!("the request's process cannot be understood: {error}")))
}

/// Does a job that writes its answer bit by bit.
pub(crate) async fn flow(
    house: &House,
    job: impl FnOnce(&mut Engine, &mut Out) -> Result<(), Failure> + Send,
) -> Result<Response, Failure> {
    flow_with(house, Vec::new(), |engine, _, out| job(engine, out)).await
}

/// The same, for whoever passes it on itself.
pub(crate) async fn flow_of(
    house: &House,
    job: impl FnOnce(&mut Engine, &mut Out) -> Result<(), Failure> + Send,
) -> Result<Flow, Failure> {
    let (worker, last_word) = Worker::send_flowing(house, Vec::new(), |engine, _, out| job(engine, out))?;
    Ok(worker.flow(last_word).await?.2)
}

/// Does a job that writes its answer bit by bit, with descriptors of the server's.
pub(crate) async fn flow_with(
    house: &House,
    given: Vec<OwnedFd>,
    job: impl FnOnce(&mut Engine, Vec<OwnedFd>, &mut Out) -> Result<(), Failure> + Send,
) -> Result<Response, Failure> {
    let (worker, last_word) = Worker::send_flowing(house, given, job)?;
    let (form, extra, flow) = worker.flow(last_word).await?;
    let mut response = ([(CONTENT_TYPE, form.media_type())], Body::new(flow)).into_response();
    for (name, value) in extra {
        let unfit = |error: String| Failure::ours(format!("cannot answer with the header {name}: {error}"));
        let value = HeaderValue::from_str(&value).map_err(|error| unfit(error.to_string()))?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unfit(error.to_string()))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
