//! Who is in a group, and how all of them are ended: by the group's files alone, since whoever asks need not have made it.

use std::os::fd::AsFd;
use std::path::PathBuf;

use super::layout::{self, Layout};
use super::{STEP, below, folders, with_descendants};
use crate::error::{Result, Step};

/// The process IDs in the group, all hierarchies together.
///
/// # Errors
/// A hierarchy that cannot be read.
pub fn processes(path: &str) -> Result<Vec<i32>> {
    let mut all: Vec<i32> = Vec::new();
    for folder in folders(path)? {
        for folder in with_descendants(&folder) {
            let text = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            all.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Whether some process is in the group, or could be. One hierarchy tells: a container cannot leave a single one.
pub fn has_processes(path: &str) -> bool {
    let Ok(folders) = folders(path) else { return true };
    folders.first().is_some_and(|folder| {
        with_descendants(folder).iter().any(|folder| {
            std::fs::read_to_string(folder.join("cgroup.procs")).is_ok_and(|text| !text.trim().is_empty())
        })
    })
}

/// Whether some process is in the group in any hierarchy, systemd's own among them: one that systemd made need not be in all.
///
/// # Errors
/// No control groups at all on this machine.
pub fn has_processes_anywhere(path: &str) -> Result<bool> {
    let mut all = folders(path)?;
    all.extend(layout::counted_by_systemd()?.iter().map(|mount| below(mount, path)));
    let taken = |folder: &PathBuf| {
        let read =
            |folder: &PathBuf| std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        with_descendants(folder).iter().any(|folder| !read(folder).trim().is_empty())
    };
    Ok(all.iter().any(taken))
}

/// Where in the container's group the process is, if the group itself takes no process any more: on version 2 none may be
/// in one that passes controllers down, as a container does that manages groups of its own.
///
/// # Errors
/// No control groups at all on this machine.
pub fn place_beside(path: &str, pid: i32) -> Result<Option<String>> {
    let Layout::V2(mount) = Layout::detect()? else { return Ok(None) };
    let passed = std::fs::read_to_string(below(&mount, path).join("cgroup.subtree_control"));
    if passed.unwrap_or_default().trim().is_empty() {
        return Ok(None);
    }
    let own = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    Ok(own.strip_prefix(path).filter(|rest| rest.starts_with('/')).map(str::to_owned))
}

/// Thaws the group and all that the container made below it, so that what is killed there can die. (On version 2 a frozen
/// process dies all the same.)
///
/// # Errors
/// A group that cannot be thawed.
pub fn thaw_all(path: &str) -> Result<()> {
    let frozen_here = |folder: &PathBuf| folder.join("freezer.state").exists();
    for hierarchy in folders(path)?.into_iter().filter(frozen_here) {
        for folder in with_descendants(&hierarchy) {
            let state = folder.join("freezer.state");
            std::fs::write(&state, "THAWED").step(STEP, || format!("thaw {}", folder.display()))?;
        }
    }
    Ok(())
}

/// Whether the group is frozen, or about to be.
pub fn is_frozen(path: &str) -> bool {
    let read = |folder: &PathBuf, file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    folders(path).is_ok_and(|folders| {
        folders.iter().any(|folder| {
            read(folder, "cgroup.freeze").trim() == "1" || read(folder, "freezer.state").starts_with("FR")
        })
    })
}

/// Ends every process in the group. What is born meanwhile is found by looking again, a bounded number of times.
///
/// # Errors
/// A hierarchy that cannot be read.
pub fn kill_all(path: &str) -> Result<()> {
    if let Layout::V2(mount) = Layout::detect()?
        && std::fs::write(below(&mount, path).join("cgroup.kill"), "1").is_ok()
    {
        return Ok(());
    }
    thaw_all(path)?;
    for _ in 0..64 {
        let processes = processes(path)?;
        if processes.is_empty() {
            break;
        }
        for pid in processes {
            if let Some(pid) = rustix::process::Pid::from_raw(pid)
                && let Ok(pidfd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
                && self::processes(path)?.contains(&pid.as_raw_nonzero().get())
            {
                // Between the list and the pidfd the number may have come to mean another process: it was
                // looked up again, and the pidfd holds it since.
                let _ = bulkhead_sys::pidfd::send_signal(pidfd.as_fd(), 9);
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(())
}
