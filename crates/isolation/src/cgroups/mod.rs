//! Control groups (cgroups(7)): how much a container may use, which devices it may open, how it is paused,
//! and whether the kernel ran out of memory for it. Version 2 and version 1 (alone or as a hybrid) both work.
//!
//! | file | holds |
//! |---|---|
//! | [`created`] | a group that exists: who enters it, what is limited and frozen in it |
//! | [`processes`] | who is in a group, and their end |
//! | [`removal`] | a group's end |
//! | [`layout`] | which hierarchies this machine has, and where |
//! | [`resources`] | the limits, in the OCI specification's words |
//! | [`usage`] | what has been used |
//! | [`v1`], [`v2`] | how each version writes them, freezes, kills and counts |
//! | [`supervisors`] | the group of the supervisors |
//! | [`devices`] | device rules, and the program that decides them on version 2 |
//!
//! A process enters its group at the cost of nothing (v2: CLONE_INTO_CGROUP) or almost nothing (v1: the child
//! writes "0" to each `tasks` file while it has one thread): a PID written to cgroup.procs waits for an RCU
//! grace period, some 10 ms.

mod created;
pub mod devices;
pub mod layout;
mod processes;
mod removal;
pub mod resources;
pub mod supervisors;
pub mod usage;
mod v1;
mod v2;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Result, Step};
pub use created::Created;
use layout::Layout;
pub use processes::{
    has_processes, has_processes_anywhere, is_frozen, kill_all, place_beside, processes, thaw_all,
};
pub use removal::{clear, remove, remove_if_empty};
use resources::Resources;

pub(crate) const STEP: &str = "cgroup";

/// A container's group and what holds in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cgroup {
    /// The group's path below the root of each hierarchy, e.g. `/bulkhead/4f1c…`.
    pub path: String,
    /// The limits.
    pub resources: Resources,
    /// Whose the group becomes, as the host knows them, if the container is to manage groups below its own.
    pub delegate: Option<(u32, u32)>,
}

/// A group below a container's own, and the controllers of version 1 that it is for; none: all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below {
    /// The controllers.
    pub controllers: Vec<String>,
    /// The path from the container's group.
    pub group: String,
}

/// A detached mount of a group's folder.
fn clone(folder: &Path) -> Result<OwnedFd> {
    use rustix::mount::{OpenTreeFlags, open_tree};
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(rustix::fs::CWD, folder, flags)
        .step(STEP, || format!("bind the control group {}", folder.display()))
}

/// The group's folder in each hierarchy.
///
/// # Errors
/// No control groups at all on this machine.
pub fn folders(path: &str) -> Result<Vec<PathBuf>> {
    Ok(match Layout::detect()? {
        Layout::V1(hierarchies) => {
            hierarchies.iter().map(|hierarchy| below(&hierarchy.mount, path)).collect()
        }
        Layout::V2(mount) => vec![below(&mount, path)],
    })
}

/// Gives a group's folder or file away; one that this kernel does not have needs no owner.
fn own(path: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    match std::os::unix::fs::chown(path, Some(uid), Some(gid)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.step(STEP, || format!("give {} to the container's root", path.display())),
    }
}

pub(crate) fn below(mount: &Path, path: &str) -> PathBuf {
    mount.join(path.trim_start_matches('/'))
}

/// The folder and all below it, parents first.
fn with_descendants(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(current) = all.get(next).cloned() {
        next += 1;
        let Ok(entries) = std::fs::read_dir(&current) else { continue };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                all.push(entry.path());
            }
        }
    }
    all
}
