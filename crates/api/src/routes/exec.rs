//! Execs: described in a container, started by ID with a session of their own, resized, asked about.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bulkhead_engine::commands::exec::ExecRequest;
use bulkhead_engine::detach_keys::{self, DetachKeys};
use bulkhead_engine::models::{ExecConfig, ExecStartConfig};
use bulkhead_engine::{Engine, Error, TerminalSize};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{Winsize, tcsetwinsize};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{LARGEST_BODY, Query, parse};
use crate::descriptors::Stream;
use crate::execs::{Exec, LOST};
use crate::failure::Failure;
use crate::hijack::Client;
use crate::house::House;
use crate::session::Session;
use crate::worker::{ask, hand_over};

type Shared = State<Arc<House>>;
type Answer = Result<Response, Failure>;

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/containers/{id}/exec", post(create))
        .route("/exec/{id}/start", post(start))
        .route("/exec/{id}/resize", post(resize))
        .route("/exec/{id}/json", get(inspect))
}

async fn create(State(house): Shared, Path(container): Path<String>, body: Bytes) -> Answer {
    let config: ExecConfig = parse(&body)?;
    if config.cmd.as_ref().and_then(|command| command.first()).is_none_or(String::is_empty) {
        return Err(Failure::bad("No exec command specified"));
    }
    keys(&config)?;
    let job = |engine: &mut Engine| {
        let container = engine.container(&container)?;
        engine.can_exec(&container)?;
        Ok(container.id)
    };
    let container = ask(&house, job).await?;
    let id = house.execs.add(container, config)?;
    Ok((StatusCode::CREATED, axum::Json(json!({ "Id": id }))).into_response())
}

fn keys(config: &ExecConfig) -> Result<DetachKeys, Failure> {
    let text = config.detach_keys.as_deref().filter(|keys| !keys.is_empty());
    DetachKeys::parse(text.unwrap_or(detach_keys::USUAL)).map_err(Failure::bad)
}

/// How long a resize waits for the start, and how often it looks.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
const BREATH: Duration = Duration::from_millis(10);

/// The exit code of what could not be started, as Docker has it.
const NOT_STARTED: i32 = 126;

/// How an exec began.
#[derive(Debug, Serialize, Deserialize)]
enum Begun {
    /// It runs. With this come the connection to its supervisor and its terminal, if it has one.
    Runs(i32),
    /// There is no such program, or it cannot be executed.
    Failed { code: i32, why: String },
}

async fn start(State(house): Shared, Path(id): Path<String>, mut request: Request) -> Answer {
    let client = Client::of(&mut request);
    let body = to_bytes(request.into_body(), LARGEST_BODY)
        .await
        .map_err(|error| Failure::bad(format!("cannot read the request's body: {error}")))?;
    let asked: ExecStartConfig = if body.is_empty() { ExecStartConfig::default() } else { parse(&body)? };
    let exec = house.execs.get(&id)?;
    let claim = exec.claim()?;
    if asked.detach.unwrap_or(false) {
        // A task of its own: a client that goes in the middle changes nothing.
        let started = tokio::spawn(async move {
            let session = begin(&house, &exec, &asked).await;
            drop(claim);
            // Nobody sees what it says: it is read, so that the program does not wait for that.
            session.map(|session| {
                tokio::spawn(async move { session.serve(tokio::io::empty(), Bytes::new(), None).await });
            })
        });
        started.await.map_err(|_| Failure::ours("the start of an exec was given up"))??;
        return Ok(StatusCode::OK.into_response());
    }
    let framed = !asked.tty.unwrap_or(false);
    // As Docker, the program starts after the answer: what fails is said where the program's words would be.
    let session = async move {
        let session = begin(&house, &exec, &asked).await.unwrap_or_else(|failure| {
            if exec.is_starting() {
                exec.end(NOT_STARTED);
            }
            said(&failure.to_string(), framed)
        });
        drop(claim);
        session
    };
    client.begin(framed, session, Body::empty())
}

/// Starts it.
async fn begin(house: &House, exec: &Arc<Exec>, asked: &ExecStartConfig) -> Result<Session, Failure> {
    let (mut session, streams) = streams(exec, asked)
        .map_err(|error| Failure::ours(format!("cannot make the streams of an exec: {error}")))?;
    let terminal = exec.config.tty.unwrap_or(false).then(|| size(exec, asked));
    let job = |engine: &mut Engine, streams: Vec<OwnedFd>| {
        let container = engine.container(&exec.container)?;
        engine.can_exec(&container)?;
        let config = exec.config.clone();
        let request = ExecRequest {
            command: config.cmd.unwrap_or_default(),
            env: config.env.unwrap_or_default(),
            working_dir: config.working_dir,
            user: config.user,
            terminal,
            privileged: config.privileged.unwrap_or(false),
            detached: false,
            trace: false,
        };
        match engine.exec(&container, &request, &streams) {
            Ok(running) => {
                let made = [running.connection.into()].into_iter().chain(running.terminal).collect();
                Ok((Begun::Runs(running.pid), made))
            }
            Err(error @ Error::Birth(_)) => {
                Ok((Begun::Failed { code: error.exit_code(), why: error.to_string() }, Vec::new()))
            }
            Err(error) => Err(error.into()),
        }
    };
    let (begun, made) = hand_over(house, streams, job).await?;
    // It runs, and nobody will tell how it ends.
    let lost = |error: std::io::Error| {
        exec.end(LOST);
        Failure::ours(format!("cannot wait for an exec: {error}"))
    };
    match begun {
        Begun::Runs(pid) => {
            let mut made = made.into_iter();
            let connection =
                made.next().ok_or_else(|| Failure::ours("an exec came without its supervisor"))?;
            let own = made.next().map(Stream::new).transpose().map_err(lost)?.map(Arc::new);
            if let Some(own) = &own {
                session.output = Some(Arc::clone(own));
                session.input = Some(Arc::clone(own)).filter(|_| exec.config.attach_stdin.unwrap_or(false));
            }
            exec.run(pid, connection, own).map_err(lost)?;
        }
        // The client learns the code when it asks.
        Begun::Failed { code, why } => {
            exec.end(code);
            session = said(&why, session.framed);
        }
    }
    Ok(session)
}

/// Our ends of what an exec without a terminal reads and writes, and its own, of which it gets /dev/null for what nobody
/// wants.
fn streams(exec: &Exec, asked: &ExecStartConfig) -> std::io::Result<(Session, Vec<OwnedFd>)> {
    let config = &exec.config;
    let mut session = Session {
        framed: !asked.tty.unwrap_or(false),
        keys: if config.tty.unwrap_or(false) {
            keys(config).unwrap_or_default()
        } else {
            DetachKeys::default()
        },
        ended: Some(exec.ended()),
        ..Session::default()
    };
    let mut theirs = Vec::new();
    if config.tty.unwrap_or(false) {
        return Ok((session, theirs));
    }
    let detached = asked.detach.unwrap_or(false);
    let wanted = |stream: Option<bool>| stream.unwrap_or(false) && !detached;
    let null = || openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let pipe = || pipe_with(PipeFlags::CLOEXEC);
    let ours = |end| Stream::new(end).map(Arc::new).map(Some);
    if wanted(config.attach_stdin) {
        let (read, write) = pipe()?;
        theirs.push(read);
        session.input = ours(write)?;
    } else {
        theirs.push(null()?);
    }
    for (stream, place) in
        [(config.attach_stdout, &mut session.output), (config.attach_stderr, &mut session.errors)]
    {
        if wanted(stream) {
            let (read, write) = pipe()?;
            theirs.push(write);
            *place = ours(read)?;
        } else {
            theirs.push(null()?);
        }
    }
    Ok((session, theirs))
}

/// A session in which only that is said. One for which no pipe can be had says nothing.
fn said(words: &str, framed: bool) -> Session {
    let say = || -> std::io::Result<Stream> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        // That much a pipe takes at once.
        let line = format!("{words}\r\n");
        rustix::io::write(&write, line.as_bytes().get(..line.len().min(4096)).unwrap_or_default())?;
        Stream::new(read)
    };
    Session { output: say().ok().map(Arc::new), framed, ..Session::default() }
}

/// The terminal's first size.
fn size(exec: &Exec, asked: &ExecStartConfig) -> TerminalSize {
    let given = asked.console_size.as_ref().or(exec.config.console_size.as_ref());
    let number = |index: usize| given.and_then(|size| u16::try_from(*size.get(index)?).ok());
    match (number(0), number(1)) {
        (Some(rows), Some(columns)) => TerminalSize { rows, columns },
        _ => TerminalSize::default(),
    }
}

#[derive(Deserialize)]
struct ResizeQuery {
    h: u16,
    w: u16,
}

async fn resize(State(house): Shared, Path(id): Path<String>, Query(size): Query<ResizeQuery>) -> Answer {
    let exec = house.execs.get(&id)?;
    // Clients do this as soon as they are answered, and it starts then.
    for _ in 0..STARTS_WITHIN.as_millis() / BREATH.as_millis() {
        if !exec.is_starting() {
            break;
        }
        tokio::time::sleep(BREATH).await;
    }
    let terminal = exec.terminal()?;
    let size = Winsize { ws_row: size.h, ws_col: size.w, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal.as_fd(), size)
        .map_err(|error| Failure::ours(format!("cannot resize the terminal of exec {id}: {error}")))?;
    Ok(StatusCode::OK.into_response())
}

async fn inspect(State(house): Shared, Path(id): Path<String>) -> Answer {
    Ok(axum::Json(house.execs.get(&id)?.inspect()).into_response())
}
