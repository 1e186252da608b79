//! What a supervisor leaves on disk about its container: one small file, replaced whole, that any client can
//! read without asking anybody. Only the supervisor writes it while it lives.

use std::fs;
use std::io;
use std::path::Path;

pub use bulkhead_isolation::identity::boot_id;
use bulkhead_isolation::identity::start_of;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::health::Health;

/// The file's name in the container's folder.
pub const FILE: &str = "status.json";

/// A process that can be told from a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub pid: i32,
    /// Its start in clock ticks after boot (field 22 of proc_pid_stat(5)).
    pub started: u64,
    /// The boot that it belongs to.
    pub boot: String,
}

impl ProcessId {
    /// The process of that number that runs now.
    ///
    /// # Errors
    /// There is none.
    pub fn of(pid: i32) -> io::Result<ProcessId> {
        Ok(ProcessId { pid, started: start_of(pid)?, boot: boot_id()? })
    }

    /// Whether it is still there (a zombie is not).
    pub fn lives(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot) && start_of(self.pid).is_ok_and(|s| s == self.started)
    }
}

/// Where a container stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its first program runs.
    Running,
    /// All its programs are frozen.
    Paused,
    /// Its first program has ended, and its restart policy starts it again soon.
    Restarting,
    /// Its first program has ended.
    Exited,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The state.
    pub state: State,
    /// The first program, while it runs.
    pub first: Option<ProcessId>,
    /// The supervisor.
    pub supervisor: ProcessId,
    /// When the first program started (RFC 3339).
    pub started_at: String,
    /// When it ended.
    pub finished_at: Option<String>,
    /// How it ended: 0–255, or 128 + n for signal n.
    pub exit_code: i32,
    /// Whether the kernel ended a program of it for want of memory.
    pub oom_killed: bool,
    /// What went wrong, if its end was not its own.
    pub error: String,
    /// How often its restart policy has started it again since somebody did.
    #[serde(default)]
    pub restarts: u32,
    /// How long the next run is waited for, in milliseconds; that of the run before, once it runs.
    #[serde(default)]
    pub waited: u64,
    /// Whether somebody asked for its end.
    #[serde(default)]
    pub stopped: bool,
    /// How it does, if its health is checked.
    #[serde(default)]
    pub health: Option<Health>,
}

impl Status {
    /// Reads it from the container's folder; `None` if the container has never been started.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn read(folder: &Path) -> io::Result<Option<Status>> {
        let text = match fs::read(folder.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&text).map(Some).map_err(io::Error::from)
    }

    /// Replaces it. (No fsync: after a power cut the container does not run anyway.)
    ///
    /// # Errors
    /// Those of writing and renaming a file.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let (next, file) = (folder.join("status.json.next"), folder.join(FILE));
        let text = serde_json::to_vec(self)?;
        match fs::write(&next, &text) {
            // There is no room for another file; most likely there is for what this one says now, in its own place.
            Err(error) if is_full(&error) && file.exists() => {
                let _ = fs::remove_file(next);
                overwrite(&file, &text)
            }
            written => written.and_then(|()| fs::rename(next, file)),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn overwrite(file: &Path, text: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let file = fs::File::options().write(true).open(file)?;
    file.write_all_at(text, 0)?;
    file.set_len(text.len() as u64)
}

/// The time now as RFC 3339 with nanoseconds, in UTC: Docker's form.
pub fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::ProcessId;

    #[test]
    fn a_process_is_told_from_a_later_one_of_the_same_number() {
        let own = ProcessId::of(std::process::id().cast_signed()).unwrap();
        assert!(own.lives());
        assert!(!ProcessId { started: own.started + 1, ..own.clone() }.lives());
        assert!(!ProcessId { boot: "another".into(), ..own }.lives());
        assert!(ProcessId::of(-1).is_err());
    }
}
