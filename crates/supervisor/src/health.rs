//! Health checks: a program of the container that is run again and again, and says by its exit code how the container
//! does. The rules are Docker's (<https://docs.docker.com/reference/dockerfile/#healthcheck>): `retries` failures in a
//! row make it unhealthy, one success healthy, and failures in the start period do not count until the first success.
//!
//! A container without a check costs nothing: the supervisor sets no timer then.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use bulkhead_isolation::birth::Running;
use bulkhead_isolation::enter::{Container, enter};
use bulkhead_isolation::trace::Trace;
use bulkhead_isolation::{Process, Result, Step};
use bulkhead_sys::pidfd;
use serde::{Deserialize, Serialize};

use crate::sessions::no_streams;
use crate::status::now;

/// The name, in the container's folder, of the file with the latest results.
const FILE: &str = "health.json";
/// How many results are kept.
const KEPT: usize = 5;
/// How many bytes of a check's output are kept.
const LONGEST: usize = 4096;

/// What is checked, and when. Times are in nanoseconds, as Docker has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// From the end of one check to the next.
    pub interval: u64,
    /// How long a check may take.
    pub timeout: u64,
    /// How long after the start failures do not count.
    pub start_period: u64,
    /// From check to check while that lasts.
    pub start_interval: u64,
    /// How many failures in a row make the container unhealthy.
    pub retries: u32,
}

/// How a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// It is not known yet.
    Starting,
    /// Well.
    Healthy,
    /// Not well.
    Unhealthy,
}

impl Word {
    /// Docker's word.
    pub fn text(self) -> &'static str {
        match self {
            Word::Starting => "starting",
            Word::Healthy => "healthy",
            Word::Unhealthy => "unhealthy",
        }
    }
}

/// The state of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// How the container does.
    pub word: Word,
    /// How many checks have failed since the last success.
    pub failures: u32,
}

impl Health {
    /// Before the first check.
    pub const UNKNOWN: Health = Health { word: Word::Starting, failures: 0 };

    /// After a check with this exit code; `starting` says whether the start period lasts still.
    fn after(self, exit_code: i32, retries: u32, starting: bool) -> Health {
        if exit_code == 0 {
            return Health { word: Word::Healthy, failures: 0 };
        }
        if starting && self.word == Word::Starting {
            return self;
        }
        let failures = self.failures.saturating_add(1);
        Health { word: if failures >= retries { Word::Unhealthy } else { self.word }, failures }
    }
}

/// One check, as it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// When it began (RFC 3339).
    pub start: String,
    /// When it ended.
    pub end: String,
    /// Its exit code; -1 if it could not be run or took too long.
    pub exit_code: i32,
    /// The beginning of what it wrote.
    pub output: String,
}

/// The latest results of a container, the oldest first.
pub fn outcomes(folder: &Path) -> Vec<Outcome> {
    // It tells people more than they need to know: one that cannot be read says nothing.
    fs::read(folder.join(FILE)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn keep(folder: &Path, outcome: Outcome) -> io::Result<()> {
    let mut all = outcomes(folder);
    all.push(outcome);
    let surplus = all.len().saturating_sub(KEPT);
    all.drain(..surplus);
    let next = folder.join("health.json.next");
    fs::write(&next, serde_json::to_vec(&all)?)?;
    fs::rename(next, folder.join(FILE))
}

/// A check that runs.
#[derive(Debug)]
struct Probe {
    running: Running,
    /// What it writes; `None` when that has ended.
    output: Option<OwnedFd>,
    text: Vec<u8>,
    start: String,
    deadline: Instant,
    late: bool,
    /// Whether it began in the start period: by its beginning a failure is judged.
    starting: bool,
}

/// The checks of one container.
#[derive(Debug)]
pub(crate) struct Checks {
    check: Check,
    begun: Instant,
    next: Instant,
    probe: Option<Probe>,
    /// Since when the container is frozen, if it is.
    frozen: Option<Instant>,
}

impl Checks {
    /// For a container that has just started: results of its last run are forgotten.
    pub(crate) fn begin(check: Check, folder: &Path) -> Checks {
        let _ = fs::remove_file(folder.join(FILE));
        let begun = Instant::now();
        let mut checks = Checks { check, begun, next: begun, probe: None, frozen: None };
        checks.next = begun + checks.pause(Health::UNKNOWN);
        checks
    }

    /// When there is something to do, whatever else happens.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.probe {
            _ if self.frozen.is_some() => None,
            // It has been killed: its end will be told, if ever (it may wait for a disk).
            Some(probe) if probe.late => None,
            Some(probe) => Some(probe.deadline),
            None => Some(self.next),
        }
    }

    /// What a running check writes.
    pub(crate) fn output(&self) -> Option<&OwnedFd> {
        self.probe.as_ref().and_then(|probe| probe.output.as_ref())
    }

    /// Whether a check is to be begun now; one that takes too long is ended.
    pub(crate) fn tick(&mut self) -> bool {
        let now = Instant::now();
        if self.frozen.is_some() {
            return false;
        }
        match &mut self.probe {
            None => self.next <= now,
            Some(probe) => {
                if probe.deadline <= now && !probe.late {
                    probe.late = true;
                    // If it cannot be killed, it has ended.
                    let _ = pidfd::send_signal(probe.running.pidfd.as_fd(), 9);
                }
                false
            }
        }
    }

    /// The program and its arguments.
    pub(crate) fn args(&self) -> &[String] {
        &self.check.args
    }

    /// The container is frozen: nobody looks, and time does not count.
    pub(crate) fn freeze(&mut self) {
        self.frozen.get_or_insert_with(Instant::now);
    }

    /// It goes on.
    pub(crate) fn thaw(&mut self, health: Health) {
        let Some(frozen) = self.frozen.take() else { return };
        match &mut self.probe {
            Some(probe) => probe.deadline += frozen.elapsed(),
            None => self.next = Instant::now() + self.pause(health),
        }
    }

    /// Begins a check.
    pub(crate) fn start(&mut self, container: Container<'_>, process: &Process) -> Result<()> {
        let [null, ..] = no_streams()?;
        let flags = rustix::pipe::PipeFlags::CLOEXEC;
        let (output, theirs) = rustix::pipe::pipe_with(flags).step("health check", || "make a pipe")?;
        rustix::io::ioctl_fionbio(&output, true).step("health check", || "read without waiting")?;
        let errors = theirs.try_clone().step("health check", || "share a pipe")?;
        let start = now();
        let running = enter(container, process, Some([null, theirs, errors]), &mut Trace::new(false))?;
        let deadline = Instant::now() + Duration::from_nanos(self.check.timeout);
        let starting = self.is_starting();
        self.probe = Some(Probe {
            running,
            output: Some(output),
            text: Vec::new(),
            start,
            deadline,
            late: false,
            starting,
        });
        Ok(())
    }

    /// Reads what a running check has written.
    pub(crate) fn read(&mut self) {
        let Some(probe) = &mut self.probe else { return };
        let Some(output) = &probe.output else { return };
        let mut buffer = [0u8; 4096];
        match rustix::io::read(output, &mut buffer) {
            Ok(0) => probe.output = None,
            Ok(length) => {
                let room = LONGEST.saturating_sub(probe.text.len()).min(length);
                probe.text.extend_from_slice(buffer.get(..room).unwrap_or_default());
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => probe.output = None,
        }
    }

    /// If the check has ended: how the container does now.
    pub(crate) fn reap(&mut self, health: Health, folder: &Path) -> Option<Health> {
        let end = match pidfd::wait(&self.probe.as_ref()?.running.pidfd, false) {
            Ok(None) => return None,
            Ok(Some(end)) => end.code(),
            Err(_) => -1,
        };
        // What it wrote last; a process that it left behind may go on writing, and is not waited for.
        for _ in 0..17 {
            self.read();
        }
        let probe = self.probe.take()?;
        let (exit_code, output) = if probe.late {
            let limit = Duration::from_nanos(self.check.timeout);
            (-1, format!("Health check exceeded timeout ({limit:?})"))
        } else {
            (end, String::from_utf8_lossy(&probe.text).into_owned())
        };
        let outcome = Outcome { start: probe.start, end: now(), exit_code, output };
        Some(self.ended(health, folder, outcome, probe.starting))
    }

    /// How the container does after a check that ended so.
    pub(crate) fn ended(
        &mut self,
        health: Health,
        folder: &Path,
        outcome: Outcome,
        starting: bool,
    ) -> Health {
        let health = health.after(outcome.exit_code, self.check.retries, starting);
        // A full disk: the state is known all the same.
        let _ = keep(folder, outcome);
        self.next = Instant::now() + self.pause(health);
        health
    }

    /// Whether the start period lasts still.
    pub(crate) fn is_starting(&self) -> bool {
        self.begun.elapsed() < Duration::from_nanos(self.check.start_period)
    }

    fn pause(&self, health: Health) -> Duration {
        let starting = health.word == Word::Starting && self.is_starting();
        Duration::from_nanos(if starting { self.check.start_interval } else { self.check.interval })
    }
}

#[cfg(test)]
mod tests {
    use super::{Health, Word};

    #[test]
    fn failures_in_a_row_count_and_one_success_ends_them() {
        let mut health = Health::UNKNOWN;
        for expected in [Word::Starting, Word::Starting, Word::Unhealthy] {
            health = health.after(1, 3, false);
            assert_eq!(health.word, expected);
        }
        health = health.after(0, 3, false);
        assert_eq!(health, Health { word: Word::Healthy, failures: 0 });
        health = health.after(1, 3, true);
        assert_eq!(
            health,
            Health { word: Word::Healthy, failures: 1 },
            "it has been healthy: failures count"
        );
    }

    #[test]
    fn failures_while_it_starts_do_not_count() {
        let health = Health::UNKNOWN.after(1, 1, true).after(-1, 1, true);
        assert_eq!(health, Health::UNKNOWN);
        assert_eq!(health.after(1, 1, false).word, Word::Unhealthy);
    }
}
