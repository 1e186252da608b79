//! Restart policies: whether a container that has ended is started again, and how long that waits.
//!
//! The supervisor of the run that ended waits the time out, so that `stop` and `rm` reach somebody meanwhile, and then
//! becomes the command that starts the container anew: with whatever its record, its image and the containers that it
//! joins are by then. The times are Docker's: 100 ms, twice as long after each run that lasted less than ten
//! seconds, a minute at most.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The first wait, in milliseconds.
const FIRST: u64 = 100;
/// The longest wait, in milliseconds.
const LONGEST: u64 = 60_000;
/// A run of this length has succeeded in starting: the next wait is the first again.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

/// When a container is started again, in Docker's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Never.
    #[default]
    No,
    /// When its exit code is not 0, and it has not been done `most` times already (0: however often).
    OnFailure {
        /// How often.
        most: u32,
    },
    /// Whenever it ends, unless somebody stopped it; and at each boot.
    Always,
    /// Whenever it ends, and at each boot, unless somebody stopped it.
    UnlessStopped,
}

impl Policy {
    /// Whether a run that ended by itself is followed by another; `count` says how many followed already.
    pub fn follows_end(self, exit_code: i32, count: u32) -> bool {
        match self {
            Policy::No => false,
            Policy::OnFailure { most } => exit_code != 0 && (most == 0 || count < most),
            Policy::Always | Policy::UnlessStopped => true,
        }
    }

    /// Whether a boot starts a container that has run before, and was started again `count` times since somebody did.
    pub fn follows_boot(self, exit_code: i32, count: u32, stopped: bool) -> bool {
        match self {
            Policy::No => false,
            Policy::OnFailure { .. } => self.follows_end(exit_code, count) && !stopped,
            Policy::Always => true,
            Policy::UnlessStopped => !stopped,
        }
    }
}

/// How a container is started again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Restart {
    /// When.
    pub policy: Policy,
    /// How often that was done before this run since somebody started the container.
    pub count: u32,
    /// How long this run was waited for, in milliseconds.
    pub waited: u64,
    /// The command that does it: program and arguments.
    pub command: Vec<String>,
}

impl Restart {
    /// How long to wait, in milliseconds, before the next run; `None`: there is none. `ran` is how long this one lasted.
    pub(crate) fn wait_after(&self, exit_code: i32, ran: Duration) -> Option<u64> {
        self.policy.follows_end(exit_code, self.count).then(|| match self.waited {
            0 => FIRST,
            _ if ran >= LONG_ENOUGH => FIRST,
            waited => waited.saturating_mul(2).min(LONGEST),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Policy, Restart};
    use std::time::Duration;

    fn wait(policy: Policy, count: u32, waited: u64, exit_code: i32, seconds: u64) -> Option<u64> {
        Restart { policy, count, waited, command: Vec::new() }
            .wait_after(exit_code, Duration::from_secs(seconds))
    }

    #[test]
    fn each_policy_has_its_ends() {
        let most = Policy::OnFailure { most: 2 };
        assert_eq!(wait(Policy::No, 0, 0, 1, 0), None);
        assert_eq!(wait(most, 0, 0, 0, 0), None, "that was no failure");
        assert_eq!(wait(most, 1, 0, 1, 0), Some(100));
        assert_eq!(wait(most, 2, 0, 1, 0), None, "often enough");
        assert_eq!(wait(Policy::OnFailure { most: 0 }, 1000, 0, 1, 0), Some(100));
        assert_eq!(wait(Policy::Always, 1000, 0, 0, 0), Some(100));
    }

    #[test]
    fn it_waits_longer_each_time_unless_a_run_lasted() {
        let mut waited = 0;
        let mut all = Vec::new();
        for _ in 0..12 {
            waited = wait(Policy::Always, 0, waited, 0, 1).unwrap();
            all.push(waited);
        }
        assert_eq!(all[..5], [100, 200, 400, 800, 1600]);
        assert_eq!(all[11], 60_000);
        assert_eq!(wait(Policy::Always, 0, waited, 0, 10), Some(100));
    }

    #[test]
    fn a_boot_starts_what_was_not_stopped() {
        assert!(Policy::Always.follows_boot(0, 9, true), "as Docker's daemon does");
        assert!(
            !Policy::UnlessStopped.follows_boot(0, 0, true)
                && Policy::UnlessStopped.follows_boot(0, 0, false)
        );
        let on_failure = Policy::OnFailure { most: 1 };
        assert!(on_failure.follows_boot(255, 0, false) && !on_failure.follows_boot(255, 1, false));
        assert!(!on_failure.follows_boot(0, 0, false) && !on_failure.follows_boot(255, 0, true));
    }
}
