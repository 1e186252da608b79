//! How a supervisor runs the checks of its container's health ([`health`](crate::health)), and what it does with what
//! comes of them.

use std::os::fd::AsFd;
use std::path::Path;

use bulkhead_isolation::capabilities::Set;
use bulkhead_isolation::enter::Container;

use crate::health::{Health, Outcome};
use crate::life::Life;
use crate::protocol::Exec;
use crate::status::now;

impl Life {
    /// Begins the check that is due, and ends one that takes too long.
    pub(crate) fn check_health(&mut self) {
        let (Some(checks), Some(health)) = (&mut self.checks, self.status.health) else { return };
        if self.ended || !checks.tick() {
            return;
        }
        let exec = Exec { args: checks.args().to_vec(), ..Exec::default() };
        let container = Container {
            first: self.born.first.pidfd.as_fd(),
            namespaces: &self.namespaces,
            cgroup: &self.born.cgroup,
        };
        let start = now();
        let begun = self.later.program(&exec, Set::NONE).and_then(|mut process| {
            process.seccomp.clone_from(&self.filter);
            checks.start(container, &process)
        });
        if let Err(error) = begun {
            let outcome = Outcome { start, end: now(), exit_code: -1, output: error.message };
            let starting = checks.is_starting();
            let health = checks.ended(health, Path::new(&self.folder), outcome, starting);
            self.does(health);
        }
    }

    /// Hears how a check ended.
    pub(crate) fn reap_check(&mut self) {
        let (Some(checks), Some(health)) = (&mut self.checks, self.status.health) else { return };
        if let Some(health) = checks.reap(health, Path::new(&self.folder)) {
            self.does(health);
        }
    }

    /// Notes how the container does, and tells of a change.
    fn does(&mut self, health: Health) {
        let before = self.status.health.replace(health);
        if before != Some(health) {
            self.write_status();
        }
        if before.map(|health| health.word) != Some(health.word) {
            self.tell(&format!("health_status: {}", health.word.text()), []);
        }
    }
}
