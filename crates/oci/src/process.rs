//! A process that can be told from a later one with the same number, as a state file has it.

use std::io;
use std::os::fd::OwnedFd;

use bulkhead_isolation::identity::{boot_id, start_of};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

/// One.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number; 0: none.
    #[serde(rename = "init_process_pid")]
    pub pid: i32,
    /// Its start in clock ticks after boot.
    #[serde(rename = "init_process_start")]
    pub start: u64,
    /// The boot that it belongs to.
    #[serde(default)]
    pub boot: String,
}

impl ProcessId {
    /// The process of that number that runs now.
    ///
    /// # Errors
    /// There is none.
    pub fn of(pid: i32) -> io::Result<ProcessId> {
        Ok(ProcessId { pid, start: start_of(pid)?, boot: boot_id()? })
    }

    /// Whether it is still there (a zombie is not).
    pub fn lives(&self) -> bool {
        self.pid > 0
            && start_of(self.pid).is_ok_and(|start| start == self.start)
            && boot_id().is_ok_and(|boot| boot == self.boot)
    }

    /// A descriptor of it, which never comes to mean another; `None`: it has ended.
    pub fn open(&self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Looked at after it was opened: whoever has that start is whom the descriptor means.
        self.lives().then_some(pidfd)
    }
}

#[cfg(test)]
mod tests {
    use super::ProcessId;

    #[test]
    fn a_number_alone_is_no_process() {
        let own = ProcessId::of(std::process::id().cast_signed()).unwrap();
        assert!(own.lives() && own.open().is_some());
        let later = ProcessId { start: own.start + 1, ..own.clone() };
        assert!(!later.lives() && later.open().is_none());
        assert!(!ProcessId { boot: "another".into(), ..own }.lives());
        assert!(!ProcessId::default().lives());
    }
}
