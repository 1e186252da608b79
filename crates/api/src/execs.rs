//! Execs: programs that clients want run in containers, each by an ID, from when it is described to a while after its end.
//!
//! They are this server's own: one that is started again knows nothing of those before, whose programs go on.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bulkhead_engine::id;
use bulkhead_engine::models::{ExecConfig, ExecInspectResponse, ProcessConfig};
use bulkhead_engine::protocol::Reply;
use tokio::sync::watch;

use crate::descriptors::{Stream, Supervisor};
use crate::failure::Failure;

/// How long one that has ended can be asked about: Docker's five minutes.
const REMEMBERED: Duration = Duration::from_mins(5);
/// How many there may be that have not ended.
const MOST: usize = 1024;
/// How many of those that have ended are remembered.
const MOST_ENDED: usize = 4096;
/// How long one may stay unstarted.
const UNSTARTED: Duration = Duration::from_hours(1);
/// What is said of a program that ended with its container, or of which nobody told how it ended.
pub(crate) const LOST: i32 = 137;

/// All.
#[derive(Debug, Default)]
pub(crate) struct Execs {
    all: Mutex<HashMap<String, Arc<Exec>>>,
}

/// One.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) id: String,
    /// The container's full ID.
    pub(crate) container: String,
    pub(crate) config: ExecConfig,
    state: Mutex<State>,
    ended: watch::Sender<bool>,
}

#[derive(Debug)]
enum State {
    Created(Instant),
    Starting,
    Running { pid: i32, terminal: Option<Arc<Stream>> },
    Ended { code: i32, at: Instant },
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The server has one thread, and nothing that is done under a lock can fail in the middle.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Execs {
    /// Remembers one that is to be started; gives its ID.
    pub(crate) fn add(&self, container: String, config: ExecConfig) -> Result<String, Failure> {
        let mut all = lock(&self.all);
        all.retain(|_, exec| !exec.is_forgotten());
        let mut ended: Vec<(Instant, String)> =
            all.values().filter_map(|exec| Some((exec.ended_at()?, exec.id.clone()))).collect();
        if all.len() - ended.len() >= MOST {
            let why = format!("{MOST} programs run by exec, or wait for that: no more can");
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, why));
        }
        if ended.len() >= MOST_ENDED {
            ended.sort_unstable();
            for (_, id) in ended.drain(..MOST_ENDED / 2) {
                all.remove(&id);
            }
        }
        let id = id::random();
        let state = Mutex::new(State::Created(Instant::now()));
        let exec = Exec { id: id.clone(), container, config, state, ended: watch::Sender::new(false) };
        all.insert(id.clone(), Arc::new(exec));
        Ok(id)
    }

    /// The one with that ID.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Exec>, Failure> {
        let found = lock(&self.all).get(id).cloned();
        found.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, format!("No such exec instance: {id}")))
    }

    /// The IDs of those in a container.
    pub(crate) fn of(&self, container: &str) -> Vec<String> {
        let all = lock(&self.all);
        let mut ids: Vec<String> =
            all.values().filter(|exec| exec.container == container).map(|exec| exec.id.clone()).collect();
        ids.sort();
        ids
    }
}

impl Exec {
    fn is_forgotten(&self) -> bool {
        match &*lock(&self.state) {
            State::Created(at) => at.elapsed() > UNSTARTED,
            State::Ended { at, .. } => at.elapsed() > REMEMBERED,
            State::Starting | State::Running { .. } => false,
        }
    }

    fn ended_at(&self) -> Option<Instant> {
        if let State::Ended { at, .. } = &*lock(&self.state) { Some(*at) } else { None }
    }

    /// Only one request can start it.
    pub(crate) fn claim(self: &Arc<Self>) -> Result<Claim, Failure> {
        let mut state = lock(&self.state);
        let why = match &*state {
            State::Created(_) => {
                *state = State::Starting;
                return Ok(Claim(Arc::clone(self)));
            }
            State::Starting | State::Running { .. } => "is already running",
            State::Ended { .. } => "has already run",
        };
        Err(Failure::new(StatusCode::CONFLICT, format!("Error: Exec command {} {why}", self.id)))
    }

    /// It has ended, or never began.
    pub(crate) fn end(&self, code: i32) {
        *lock(&self.state) = State::Ended { code, at: Instant::now() };
        self.ended.send_replace(true);
    }

    /// It runs; its supervisor tells of its end over `connection`.
    pub(crate) fn run(
        self: &Arc<Self>,
        pid: i32,
        connection: OwnedFd,
        terminal: Option<Arc<Stream>>,
    ) -> std::io::Result<()> {
        let supervisor = Supervisor::new(connection)?;
        *lock(&self.state) = State::Running { pid, terminal };
        let exec = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                match supervisor.hear().await {
                    Ok(Some(Reply::ExecEnded(code))) => return exec.end(code),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return exec.end(LOST),
                }
            }
        });
        Ok(())
    }

    /// Becomes true when it has ended.
    pub(crate) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    /// Whether it is about to run.
    pub(crate) fn is_starting(&self) -> bool {
        matches!(*lock(&self.state), State::Starting)
    }

    /// Its terminal, while it runs.
    pub(crate) fn terminal(&self) -> Result<Arc<Stream>, Failure> {
        let conflict = |why: &str| Failure::new(StatusCode::CONFLICT, format!("exec {} {why}", self.id));
        match &*lock(&self.state) {
            State::Running { terminal: Some(terminal), .. } => Ok(Arc::clone(terminal)),
            State::Running { terminal: None, .. } => Err(conflict("has no terminal")),
            _ => Err(conflict("is not running")),
        }
    }

    /// What is told of it.
    pub(crate) fn inspect(&self) -> ExecInspectResponse {
        let (running, code, pid) = match &*lock(&self.state) {
            State::Created(_) | State::Starting => (false, None, 0),
            State::Running { pid, .. } => (true, None, *pid),
            State::Ended { code, .. } => (false, Some(i64::from(*code)), 0),
        };
        let config = self.config.clone();
        let mut command = config.cmd.unwrap_or_default().into_iter();
        ExecInspectResponse {
            can_remove: Some(code.is_some()),
            detach_keys: config.detach_keys,
            id: Some(self.id.clone()),
            running: Some(running),
            exit_code: code,
            process_config: Some(ProcessConfig {
                privileged: config.privileged,
                user: config.user,
                tty: Some(config.tty.unwrap_or(false)),
                entrypoint: command.next(),
                arguments: Some(command.collect()),
            }),
            open_stdin: Some(config.attach_stdin.unwrap_or(false)),
            open_stderr: Some(config.attach_stderr.unwrap_or(false)),
            open_stdout: Some(config.attach_stdout.unwrap_or(false)),
            container_id: Some(self.container.clone()),
            pid: Some(i64::from(pid)),
        }
    }
}

/// The right to start one. Dropped without anything having come of it, others have it.
#[derive(Debug)]
pub(crate) struct Claim(Arc<Exec>);

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        if matches!(*state, State::Starting) {
            *state = State::Created(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Execs, LOST, MOST};
    use bulkhead_engine::models::ExecConfig;

    #[test]
    fn there_are_not_more_than_the_most_and_those_that_have_ended_do_not_count() {
        let execs = Execs::default();
        let add = || execs.add("c".into(), ExecConfig::default());
        let ids: Vec<String> = (0..MOST).map(|_| add().unwrap()).collect();
        assert!(add().is_err());
        execs.get(&ids[0]).unwrap().end(0);
        add().unwrap();
        assert!(add().is_err());
    }

    #[test]
    fn a_claim_that_comes_to_nothing_leaves_it_to_others() {
        let execs = Execs::default();
        let id = execs.add("c".into(), ExecConfig::default()).unwrap();
        let exec = execs.get(&id).unwrap();
        let claim = exec.claim().unwrap();
        assert!(exec.claim().is_err());
        drop(claim);
        let claim = exec.claim().unwrap();
        exec.end(LOST);
        drop(claim);
        assert!(exec.claim().is_err());
        assert_eq!(exec.inspect().exit_code, Some(137));
    }
}
