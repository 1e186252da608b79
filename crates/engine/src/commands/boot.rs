//! `system boot`, `system shutdown`, `system start-again`: what restart policies ask for when nobody is there who would
//! do it: after a boot, before the machine goes down, after a container's end.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use bulkhead_supervisor::restart::Policy;
use bulkhead_supervisor::status::{ProcessId, State, Status, now};

use super::start::Starting;
use crate::error::{Doing, Error, Result};
use crate::spec::restart;
use crate::store::containers::{self, Container};
use crate::{Condition, Engine};

/// What a boot did.
#[derive(Debug, Default)]
pub struct Booted {
    /// The names of the containers that were started.
    pub started: Vec<String>,
    /// Those that could not be, and why.
    pub failed: Vec<(String, Error)>,
}

impl Engine {
    /// Starts what its restart policy asks for after a boot: the oldest first, and what joins others after them.
    ///
    /// # Errors
    /// The database's.
    pub fn boot(&mut self) -> Result<Booted> {
        self.repair()?;
        let mut booted = Booted::default();
        let mut left = Vec::new();
        for container in containers::all(self.store.read())?.into_iter().rev() {
            if let Condition::Exited(status) = self.condition(&container)?
                && policy(&container)?.follows_boot(status.exit_code, status.restarts, status.stopped)
            {
                left.push(container);
            }
        }
        // Each round starts what waited for containers that the last one started.
        loop {
            let (before, mut failed) = (left.len(), Vec::new());
            for container in std::mem::take(&mut left) {
                match self.start(&container, Starting::default()) {
                    Ok(_) => booted.started.push(container.name),
                    // Somebody else was faster.
                    Err(Error::Conflict(_)) if self.condition(&container)?.active().is_some() => {}
                    Err(error) => {
                        left.push(container);
                        failed.push(error);
                    }
                }
            }
            if left.is_empty() || left.len() == before {
                booted.failed = left.into_iter().map(|container| container.name).zip(failed).collect();
                return Ok(booted);
            }
        }
    }

    /// Ends all containers, each as its own stop signal and time say; their restart policies take no notice: the next boot
    /// starts what ran.
    ///
    /// # Errors
    /// The database's.
    pub fn shutdown(&mut self) -> Result<Vec<(String, Error)>> {
        let mut waited = Vec::new();
        let mut failed = Vec::new();
        for container in containers::all(self.store.read())? {
            if self.condition(&container)?.active().is_none() {
                continue;
            }
            match self.begin_to_stop(&container) {
                Ok(stopping) => waited.push((container, stopping)),
                Err(error) => failed.push((container.name, error)),
            }
        }
        for (container, stopping) in waited {
            if let Err(error) = self.end_stopping(&container, stopping) {
                failed.push((container.name, error));
            }
        }
        Ok(failed)
    }

    /// Starts a container that waits for it by its restart policy: in the process that its supervisor has become, or
    /// in place of one that was killed. If that fails, the container has ended, and its state says why.
    ///
    /// # Errors
    /// Why it could not be started.
    pub fn start_again(&mut self, container: &Container) -> Result<()> {
        bulkhead_sys::fail::point("again: begun");
        match self.start(container, Starting { again: true, ..Starting::default() }) {
            Ok(_) => Ok(()),
            Err(error) => {
                if let Ok(Some(_lock)) = self.lock(container)
                    && let Some(mut status) = self.status_of(container)?
                {
                    status.state = State::Exited;
                    status.error = error.to_string();
                    status.finished_at.get_or_insert_with(now);
                    self.write_status(container, &status)?;
                    self.forget_run(container);
                }
                Err(error)
            }
        }
    }

    /// Has another process start a container whose supervisor was killed, if its policy asks for that: it waits for the
    /// container's lock, which the caller has. Gives that process.
    pub(crate) fn start_again_aside(
        &self,
        container: &Container,
        status: &Status,
    ) -> Result<Option<ProcessId>> {
        if status.stopped || !policy(container)?.follows_end(status.exit_code, status.restarts) {
            return Ok(None);
        }
        let command = self.command(&["system", "start-again", &container.id])?;
        let Some((program, args)) = command.split_first() else { return Ok(None) };
        // It lives longer than we do, and is not meant by what ends us.
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .envs(bulkhead_sys::fail::environment())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .doing(|| format!("start {program}"))?;
        ProcessId::of(child.id().cast_signed()).map(Some).doing(|| format!("look at {program}"))
    }

    pub(crate) fn write_status(&self, container: &Container, status: &Status) -> Result<()> {
        status
            .write(&self.roots.container(&container.id))
            .doing(|| format!("write the status of container {}", container.name))
    }
}

fn policy(container: &Container) -> Result<Policy> {
    let host = container.config.host_config.as_ref();
    restart::policy(host.and_then(|host| host.restart_policy.as_ref()))
}
