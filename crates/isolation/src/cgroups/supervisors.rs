//! The control group of the supervisors, beside those of the containers.
//!
//! A supervisor must not stay in its starter's group: who stops a service (systemd.kill(5)) or a login session ends
//! what is in its group, and what limits the starter's memory would end supervisors first. (An engine with a daemon has
//! its containers' parents in the daemon's group.)
//!
//! On version 2 it is born in its group, since a move would wait for an RCU grace period; on version 1 it moves itself
//! while it has one thread, which does not. Where that is not allowed (in a container that has no groups of its own to
//! manage) it stays where it is: whoever ends the container around it ends it anyway.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::layout::{Hierarchy, Layout, named_systemd};
use super::{below, v1, v2};
use crate::error::{Result, Step};

/// Its path, below the root of each hierarchy.
pub const PATH: &str = "/bulkhead/supervisors";

/// In the starter: the folder for a supervisor to be born in, on version 2.
///
/// # Errors
/// No control groups are mounted, or the group cannot be made or opened.
pub fn birthplace() -> Result<Option<OwnedFd>> {
    let Layout::V2(mount) = Layout::detect()? else { return Ok(None) };
    let path = below(&mount, PATH);
    if !path.exists() {
        v2::make(&mount, PATH)?;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(&path, flags, Mode::empty()).map(Some).step(super::STEP, || format!("open {}", path.display()))
}

/// In a supervisor that has one thread: enters its group, on version 1.
///
/// # Errors
/// No control groups are mounted, or a group cannot be made or entered.
pub fn enter() -> Result<()> {
    let Layout::V1(hierarchies) = Layout::detect()? else { return Ok(()) };
    for hierarchy in &hierarchies {
        enter_one(hierarchy)?;
    }
    // systemd tells by a hierarchy of its own, which has no controllers, what belongs to a service.
    if let Some(mount) = named_systemd()? {
        enter_one(&Hierarchy { controllers: Vec::new(), mount })?;
    }
    Ok(())
}

/// Removes the group, unless supervisors are in it.
///
/// # Errors
/// No control groups are mounted, or a group that cannot be removed.
pub fn remove() -> Result<()> {
    super::remove_if_empty(PATH)?;
    if let Some(mount) = named_systemd()? {
        for path in [PATH, "/bulkhead"] {
            match rustix::fs::rmdir(below(&mount, path)) {
                Ok(()) | Err(Errno::NOENT | Errno::BUSY | Errno::NOTEMPTY) => {}
                Err(error) => {
                    return Err(error).step(super::STEP, || format!("remove {path} from systemd's groups"));
                }
            }
        }
    }
    Ok(())
}

fn enter_one(hierarchy: &Hierarchy) -> Result<()> {
    let tasks = |folder: &Path| fs::write(folder.join("tasks"), "0");
    let folder = below(&hierarchy.mount, PATH);
    if tasks(&folder).is_ok() {
        return Ok(());
    }
    // Most likely it is the first one.
    v1::make_folder(hierarchy, PATH)?;
    tasks(&folder).step(super::STEP, || format!("enter the control group {}", folder.display()))
}
