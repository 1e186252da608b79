//! What is known of a container: the record, and how it is now. [`crate::store`] keeps it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bulkhead_isolation::namespaces::Namespaces;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::process::ProcessId;
use crate::spec::VERSION;
use crate::spec::hooks::Hooks;
use crate::spec::process::Process;

/// The longest ID: what a folder's name may be, with room for the names of groups.
const LONGEST: usize = 250;

/// The record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The container's name.
    pub id: String,
    /// Its first process.
    #[serde(flatten)]
    pub first: ProcessId,
    /// When it was made (RFC 3339).
    pub created: String,
    /// The version of the specification that its configuration was written for.
    pub oci_version: String,
    /// The bundle's absolute path.
    pub bundle: String,
    /// The root file system's absolute path.
    pub rootfs: String,
    /// What the configuration notes.
    pub annotations: BTreeMap<String, String>,
    /// Who made it.
    pub owner: u32,
    /// The control group, below the root of each hierarchy.
    pub cgroup: String,
    /// Its folders.
    pub cgroup_paths: Vec<PathBuf>,
    /// The unit that it belongs to, if systemd made it.
    #[serde(default)]
    pub unit: Option<crate::groups::Unit>,
    /// Its namespaces.
    pub namespaces: Namespaces,
    /// What later programs begin with: the configuration's process.
    pub process: Process,
    /// And its filter.
    pub seccomp: Option<bulkhead_isolation::seccomp::Seccomp>,
    /// And its execution domain.
    pub personality: Option<crate::spec::process::Personality>,
    /// The configuration's hooks.
    pub hooks: Hooks,
}

/// How a container is (runtime.md, "State").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is being made.
    Creating,
    /// It waits to be started.
    Created,
    /// Its program runs.
    Running,
    /// It is frozen.
    Paused,
    /// Its program has ended.
    Stopped,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        })
    }
}

/// What `state` prints, and hooks read.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown<'a> {
    oci_version: &'static str,
    id: &'a str,
    pub(crate) pid: i32,
    pub(crate) status: Status,
    bundle: &'a str,
    rootfs: &'a str,
    created: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    owner: String,
}

impl State {
    /// As others see it.
    pub(crate) fn shown(&self, status: Status, owner: String) -> Shown<'_> {
        Shown {
            oci_version: VERSION,
            id: &self.id,
            pid: if status == Status::Stopped { 0 } else { self.first.pid },
            status,
            bundle: &self.bundle,
            rootfs: &self.rootfs,
            created: &self.created,
            annotations: &self.annotations,
            owner,
        }
    }

    /// What a hook reads.
    pub(crate) fn for_hooks(&self, status: Status) -> Vec<u8> {
        serde_json::to_vec(&self.shown(status, String::new())).unwrap_or_default()
    }
}

/// Refuses what can be no ID.
///
/// # Errors
/// Anything but letters, digits and `_+-.`, or a name that leads elsewhere.
pub fn check_id(id: &str) -> Result<()> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_+-.".contains(letter);
    if id.is_empty() || id.len() > LONGEST || id == "." || id == ".." || !id.chars().all(plain) {
        return Err(Error::InvalidId);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_id;
    use crate::error::Error;

    #[test]
    fn ids_lead_nowhere_else() {
        for good in ["a", "A-1_2+3.x", "...", &"x".repeat(250)] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\n", &"x".repeat(251)] {
            assert!(matches!(check_id(bad), Err(Error::InvalidId)), "{bad:?}");
        }
    }
}
