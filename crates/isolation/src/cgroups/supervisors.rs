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

/// In a supervisor that has one thread: enters its group, on version 1, in each hierarchy in which it is in somebody's. The
/// root of a hierarchy (as this process sees it) is nobody's: nobody limits, freezes or ends it.
///
/// # Errors
/// No control groups are mounted, or a group cannot be made or entered.
pub fn enter() -> Result<()> {
    let own = std::fs::read_to_string("/proc/self/cgroup").step(super::STEP, || "read /proc/self/cgroup")?;
    let somebodys = in_somebodys(&own);
    if somebodys.is_empty() {
        return Ok(());
    }
    let Layout::V1(hierarchies) = Layout::detect()? else { return Ok(()) };
    let among = |hierarchy: &&Hierarchy| {
        hierarchy.controllers.iter().any(|controller| somebodys.contains(&controller.as_str()))
    };
    for hierarchy in hierarchies.iter().filter(among) {
        enter_one(hierarchy)?;
    }
    // systemd tells by a hierarchy of its own, which has no controllers, what belongs to a service.
    if somebodys.contains(&"name=systemd")
        && let Some(mount) = named_systemd()?
    {
        enter_one(&Hierarchy { controllers: Vec::new(), mount })?;
    }
    Ok(())
}

/// The controllers (of version 1) in whose hierarchies a process is in a group below the root, by its own list
/// (cgroups(7), /proc/PID/cgroup).
fn in_somebodys(list: &str) -> Vec<&str> {
    list.lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?, parts.next()?))
        })
        .filter(|(_, path)| *path != "/")
        .flat_map(|(controllers, _)| controllers.split(','))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::in_somebodys;

    #[test]
    fn only_groups_below_a_root_are_somebody_s() {
        let list = "9:name=systemd:/user.slice/x\n5:cpu,cpuacct:/\n4:memory:/a:b\n0::/\n";
        assert_eq!(in_somebodys(list), ["name=systemd", "memory"]);
        assert!(in_somebodys("").is_empty());
    }
}
