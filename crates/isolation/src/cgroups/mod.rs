//! Control groups (cgroups(7)): how much a container may use, which devices it may open, how it is paused,
//! and whether the kernel ran out of memory for it. Version 2 and version 1 (alone or as a hybrid) both work.
//!
//! | file | holds |
//! |---|---|
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

pub mod devices;
pub mod layout;
pub mod resources;
pub mod supervisors;
pub mod usage;
mod v1;
mod v2;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, Step};
use crate::mounts::Attributes;
use layout::Layout;
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

/// A group that exists, opened. It is not removed when this is dropped.
#[derive(Debug)]
pub struct Created {
    version: Version,
    /// On version 1: where the first process enters beside, so that systemd counts it.
    counted: Vec<OwnedFd>,
    /// What could not be set and was left out, a sentence each.
    pub warnings: Vec<String>,
}

#[derive(Debug)]
enum Version {
    V1(Vec<v1::Group>),
    V2(v2::Group),
}

impl Created {
    /// Makes the group and sets its limits. On an error nothing is left behind.
    ///
    /// # Errors
    /// A hierarchy that cannot be written, a limit that the kernel refuses.
    pub fn create(cgroup: &Cgroup) -> Result<Created> {
        let layout = Layout::detect()?;
        let made = match &layout {
            Layout::V1(hierarchies) => v1::create(hierarchies, cgroup)
                .map(|(groups, warnings)| Created::with(Version::V1(groups), warnings)),
            Layout::V2(mount) => {
                v2::create(mount, cgroup).map(|(group, warnings)| Created::with(Version::V2(group), warnings))
            }
        };
        let made = made.and_then(|made| {
            match (cgroup.delegate, &made.version) {
                (None, _) => {}
                (Some(owner), Version::V1(groups)) => v1::delegate(groups, owner)?,
                (Some(owner), Version::V2(group)) => v2::delegate(group, owner)?,
            }
            Ok(made)
        });
        made.inspect_err(|_| {
            // The first error is the one to tell; what is not removed now, `remove` finds again.
            let _ = remove(&cgroup.path);
        })
    }

    /// Opens a group that exists, as another process made it.
    ///
    /// # Errors
    /// A hierarchy that cannot be written.
    pub fn open(path: &str) -> Result<Created> {
        let cgroup = Cgroup { path: path.to_owned(), ..Cgroup::default() };
        Ok(match Layout::detect()? {
            Layout::V1(hierarchies) => {
                Created::with(Version::V1(v1::create(&hierarchies, &cgroup)?.0), Vec::new())
            }
            Layout::V2(mount) => Created::with(Version::V2(v2::create(&mount, &cgroup)?.0), Vec::new()),
        })
    }

    fn with(version: Version, warnings: Vec<String>) -> Created {
        Created { version, counted: Vec::new(), warnings }
    }

    /// The same for a group that systemd made at `path`: whoever enters it does so too where systemd counts processes. On
    /// version 1 that is apart from all controllers, and a group that nobody is in there is over for systemd.
    ///
    /// # Errors
    /// There is no such group.
    pub fn counted_by_systemd(mut self, path: &str) -> Result<Created> {
        if let Version::V1(_) = self.version {
            self.counted = v1::open_counted(&layout::counted_by_systemd()?, path)?;
        }
        Ok(self)
    }

    /// Opens groups below `path` that exist: for each hierarchy of version 1 that of the first of `below` which names one of
    /// its controllers or none at all, and `path` itself where there is no such. Version 2 has one, without controllers.
    ///
    /// # Errors
    /// A group that does not exist, a path that leads elsewhere, controllers on version 2.
    pub fn open_below(path: &str, below: &[Below]) -> Result<Created> {
        let leads_elsewhere = |below: &Below| below.group.split('/').any(|part| part == "..");
        if let Some(elsewhere) = below.iter().find(|below| leads_elsewhere(below)) {
            return Err(Error::new(STEP, format!("the control group {:?} leads upwards", elsewhere.group)));
        }
        let version = match Layout::detect()? {
            Layout::V1(hierarchies) => Version::V1(v1::open_below(&hierarchies, path, below)?),
            Layout::V2(mount) => {
                if below.len() > 1 || below.iter().any(|below| !below.controllers.is_empty()) {
                    return Err(Error::new(
                        STEP,
                        "version 2 has one control group for all controllers: name none",
                    ));
                }
                let group = below.first().map(|below| below.group.trim_matches('/')).unwrap_or_default();
                Version::V2(v2::open(self::below(&mount, &format!("{path}/{group}")))?)
            }
        };
        Ok(Created::with(version, Vec::new()))
    }

    /// The folder that a clone is born in (v2).
    pub(crate) fn for_clone(&self) -> Option<BorrowedFd<'_>> {
        match &self.version {
            Version::V2(group) => Some(group.folder.as_fd()),
            Version::V1(_) => None,
        }
    }

    /// In the child, while it has one thread: enters the group (v1; on v2 it was born in it).
    pub(crate) fn enter(&self) -> Result<()> {
        match &self.version {
            Version::V2(_) => Ok(()),
            Version::V1(groups) => v1::enter(groups, &self.counted),
        }
    }

    /// In the supervisor: detached mounts of the group's folders, for /sys/fs/cgroup in the container.
    pub(crate) fn clones(&self) -> Result<Vec<OwnedFd>> {
        match &self.version {
            Version::V1(groups) => groups.iter().map(|group| clone(&group.folder)).collect(),
            Version::V2(group) => Ok(vec![clone(&group.path)?]),
        }
    }

    /// In the child: attaches those mounts at `target`.
    pub(crate) fn attach(
        &self,
        root: BorrowedFd<'_>,
        target: &str,
        attributes: Attributes,
        next: &mut impl FnMut() -> Result<OwnedFd>,
    ) -> Result<()> {
        use crate::mounts::{attach, target::find_exact};
        let place = find_exact(root, target)?;
        let finish = |mount: &OwnedFd| {
            bulkhead_sys::mount::set_attributes(mount.as_fd(), &attributes.change())
                .step(STEP, || format!("set the attributes of {target}"))
        };
        match &self.version {
            Version::V2(_) => {
                let mount = next()?;
                finish(&mount)?;
                attach(&mount, &place, target)
            }
            Version::V1(groups) => {
                let base = crate::mounts::pseudo::mount(
                    "tmpfs",
                    &[("mode", "0755")],
                    Attributes { readonly: false, ..attributes },
                )?;
                v1::make_names(&base, groups)?;
                attach(&base, &place, target)?;
                for group in groups {
                    let mount = next()?;
                    finish(&mount)?;
                    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                    let place = openat(&base, group.name.as_str(), flags, Mode::empty())
                        .step(STEP, || format!("open {target}/{}", group.name))?;
                    attach(&mount, &place, target)?;
                }
                finish(&base)
            }
        }
    }

    /// Sets limits beside, or in place of, those that hold. Gives what could not be set, a sentence each.
    ///
    /// # Errors
    /// A limit that the kernel refuses; those before it hold then.
    pub fn limit(&self, limits: &Resources) -> Result<Vec<String>> {
        match &self.version {
            Version::V1(groups) => v1::limit(groups, limits),
            Version::V2(group) => v2::limit(group, limits),
        }
    }

    /// Stops (or continues) every process of the group, for as long as it is frozen.
    ///
    /// # Errors
    /// The kernel's.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        match &self.version {
            Version::V1(groups) => v1::freeze(groups, frozen),
            Version::V2(group) => v2::freeze(group, frozen),
        }
    }

    /// How many processes the kernel has ended in it for want of memory.
    pub fn oom_kills(&self) -> u64 {
        match &self.version {
            Version::V1(groups) => v1::oom_kills(groups),
            Version::V2(group) => v2::oom_kills(group),
        }
    }
}

/// A detached mount of a group's folder.
fn clone(folder: &Path) -> Result<OwnedFd> {
    use rustix::mount::{OpenTreeFlags, open_tree};
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(rustix::fs::CWD, folder, flags)
        .step(STEP, || format!("bind the control group {}", folder.display()))
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

/// Removes a group that nobody else will, with whatever runs in it. One that cannot be removed costs the kernel a little
/// memory until the next boot.
pub fn clear(path: &str) {
    if !folders(path).is_ok_and(|folders| folders.iter().any(|folder| folder.exists())) {
        return;
    }
    let _ = kill_all(path);
    for _ in 0..100 {
        match remove(path) {
            Ok(()) => break,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(2)),
        }
    }
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

/// Removes the group from every hierarchy, with what the container made below it. Gone already is fine.
///
/// # Errors
/// EBUSY while processes are in it.
pub fn remove(path: &str) -> Result<()> {
    let mut result = Ok(());
    for folder in folders(path)? {
        for folder in with_descendants(&folder).iter().rev() {
            match rustix::fs::rmdir(folder) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => {
                    let failed =
                        Err(error).step(STEP, || format!("remove the control group {}", folder.display()));
                    result = result.and(failed);
                }
            }
        }
    }
    result
}

/// Removes a group that has no groups and no processes in it; others stay.
///
/// # Errors
/// No control groups at all on this machine.
pub fn remove_if_empty(path: &str) -> Result<()> {
    for folder in folders(path)? {
        match rustix::fs::rmdir(&folder) {
            Ok(()) | Err(Errno::NOENT | Errno::BUSY | Errno::NOTEMPTY) => {}
            Err(error) => {
                return Err(error).step(STEP, || format!("remove the control group {}", folder.display()));
            }
        }
    }
    Ok(())
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
