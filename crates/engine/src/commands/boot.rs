//! `system boot`, `system shutdown`, `system start-again`: what restart policies ask for when nobody is there who would
//! do it: after a boot, before the machine goes down, after a container's end.

use std::process::{Command, Stdio};

use bulkhead_supervisor::restart::Policy;
use bulkhead_supervisor::status::{State, Status, now};

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
                && policy(&container)?.follows_boot(status.exit_code, status.stopped)
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
            let ended = self.end_stopping(&container, stopping).and_then(|()| self.forget_stop(&container));
            if let Err(error) = ended {
                failed.push((container.name, error));
            }
        }
        Ok(failed)
    }

    /// The supervisor noted that somebody stopped the container. That was the machine, and not a person.
    fn forget_stop(&self, container: &Container) -> Result<()> {
        // One that removed itself has no folder any more.
        let Ok(Some(_lock)) = self.lock(container) else { return Ok(()) };
        let Some(mut status) = self.status_of(container)? else { return Ok(()) };
        if status.state == State::Exited && status.stopped {
            status.stopped = false;
            self.write_status(container, &status)?;
        }
        Ok(())
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

    /// Has another process start a container whose supervisor was killed, if its policy asks for that.
    pub(crate) fn start_again_aside(&self, container: &Container, status: &Status) -> Result<()> {
        if status.stopped || !policy(container)?.follows_end(status.exit_code, status.restarts) {
            return Ok(());
        }
        let command = self.command(&["system", "start-again", &container.id])?;
        let Some((program, args)) = command.split_first() else { return Ok(()) };
        // It lives longer than we do, or whoever starts us waits for it by chance: it needs nobody.
        Command::new(program)
            .args(args)
            .env_clear()
            .envs(bulkhead_sys::fail::environment())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(drop)
            .doing(|| format!("start {program}"))
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
