//! Which control group hierarchies this machine has: read from /proc/self/mountinfo (proc_pid_mountinfo(5)),
//! since distributions mount them where they like.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::STEP;
use crate::error::{Error, Result, Step};

/// The hierarchies in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One tree with all controllers.
    V2(PathBuf),
    /// A tree for each controller or pair of them. (A version 2 tree without controllers may stand beside.)
    V1(Vec<Hierarchy>),
}

/// A version 1 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its controllers, e.g. `["cpu", "cpuacct"]`.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount: PathBuf,
}

/// The controllers that a container is put under, where they are mounted.
const CONTROLLERS: [&str; 9] =
    ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb"];

impl Layout {
    /// What this machine has. It is read once in a process: nearly every step asks, the kernel writes the list of mounts anew
    /// for each reader, and nobody mounts hierarchies elsewhere while containers live in them.
    ///
    /// # Errors
    /// No control groups mounted at all.
    pub fn detect() -> Result<Layout> {
        static KNOWN: OnceLock<Layout> = OnceLock::new();
        if let Some(known) = KNOWN.get() {
            return Ok(known.clone());
        }
        let text =
            std::fs::read_to_string("/proc/self/mountinfo").step(STEP, || "read /proc/self/mountinfo")?;
        let layout = Layout::parse(&text).ok_or_else(|| {
            Error::new(STEP, "no control groups are mounted: mount cgroup2 on /sys/fs/cgroup, or the version 1 controllers")
        })?;
        Ok(KNOWN.get_or_init(|| layout).clone())
    }

    fn parse(mountinfo: &str) -> Option<Layout> {
        let mut unified = None;
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        for line in mountinfo.lines() {
            let Some((mount, source)) = line.split_once(" - ") else { continue };
            let mut source = source.split(' ');
            let kind = source.next();
            let path = mount.split(' ').nth(4).map(PathBuf::from);
            match (kind, path) {
                (Some("cgroup2"), Some(path)) => unified = unified.or(Some(path)),
                (Some("cgroup"), Some(path)) => {
                    let options = source.nth(1).unwrap_or("");
                    let controllers: Vec<String> =
                        options.split(',').filter(|o| CONTROLLERS.contains(o)).map(str::to_owned).collect();
                    let known = |h: &Hierarchy| h.controllers == controllers;
                    if !controllers.is_empty() && !hierarchies.iter().any(known) {
                        hierarchies.push(Hierarchy { controllers, mount: path });
                    }
                }
                _ => {}
            }
        }
        match unified {
            _ if !hierarchies.is_empty() => Some(Layout::V1(hierarchies)),
            Some(mount) => Some(Layout::V2(mount)),
            None => None,
        }
    }

    /// Docker's number for it: "1" or "2".
    pub fn version(&self) -> &'static str {
        match self {
            Layout::V2(_) => "2",
            Layout::V1(_) => "1",
        }
    }

    /// Whether the hierarchy of `controller` has a file of this name at its root (v1), which tells of an
    /// optional feature of the kernel.
    pub fn has(&self, controller: &str, file: &str) -> bool {
        match self {
            Layout::V2(_) => true,
            Layout::V1(hierarchies) => hierarchies
                .iter()
                .any(|h| h.controllers.iter().any(|c| c == controller) && h.mount.join(file).exists()),
        }
    }
}

/// Where systemd's own hierarchy of version 1 is mounted, which has no controllers.
pub(super) fn named_systemd() -> Result<Option<PathBuf>> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").step(STEP, || "read /proc/self/mountinfo")?;
    Ok(parse_systemd(&text))
}

/// Where systemd counts the processes of a unit, on version 1: in its own hierarchy, and in one of version 2 beside.
pub(super) fn counted_by_systemd() -> Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").step(STEP, || "read /proc/self/mountinfo")?;
    Ok(parse_systemd(&text).into_iter().chain(parse_version_2(&text)).collect())
}

fn parse_version_2(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        source.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

fn parse_systemd(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let mut source = source.split(' ');
        let is_v1 = source.next() == Some("cgroup");
        let options = source.nth(1).unwrap_or("");
        let is_named = options.split(',').any(|option| option == "name=systemd");
        if is_v1 && is_named { mount.split(' ').nth(4).map(PathBuf::from) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::{Layout, parse_systemd, parse_version_2};

    #[test]
    fn pure_version_2_version_1_and_hybrid_are_told_apart() {
        let v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        assert_eq!(Layout::parse(v2), Some(Layout::V2("/sys/fs/cgroup".into())));
        let hybrid = "30 23 0:26 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw\n\
                      31 23 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      32 23 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
        let Some(Layout::V1(hierarchies)) = Layout::parse(hybrid) else { panic!("not version 1") };
        assert_eq!(hierarchies.len(), 1);
        assert_eq!(hierarchies[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(parse_systemd(hybrid), Some("/sys/fs/cgroup/systemd".into()));
        assert_eq!(parse_systemd(v2), None);
        assert_eq!(parse_version_2(hybrid), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(Layout::parse("1 0 0:1 / / rw - ext4 /dev/sda rw\n"), None);
    }
}
