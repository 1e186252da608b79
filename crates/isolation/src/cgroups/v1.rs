//! Version 1: a folder for the container in each hierarchy (the kernel's Documentation/admin-guide/cgroup-v1).

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, open, symlinkat};
use rustix::io::Errno;

use super::layout::Hierarchy;
use super::resources::{Resources, ThrottleKind};
use super::{Below, Cgroup, STEP, below};
use crate::error::{Error, Result, Step};

/// The container's folder in one hierarchy.
#[derive(Debug)]
pub(super) struct Group {
    /// Its name below /sys/fs/cgroup, e.g. `cpu,cpuacct`.
    pub(super) name: String,
    controllers: Vec<String>,
    /// Its folder. By path, not opened: a descriptor of a folder of the host's, inherited by a child that a
    /// container can look at, would lead to the host's root.
    pub(super) folder: PathBuf,
    /// The file through which a single-threaded process enters cheaply.
    tasks: OwnedFd,
}

impl Group {
    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }

    fn write(&self, file: &str, value: &str) -> rustix::io::Result<()> {
        let fd = open(self.folder.join(file), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&fd, value.as_bytes()).map(drop)
    }

    fn read(&self, file: &str) -> rustix::io::Result<String> {
        let fd = open(self.folder.join(file), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = vec![0u8; 4096];
        let length = rustix::io::read(&fd, &mut text)?;
        text.truncate(length);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

pub(super) fn create(hierarchies: &[Hierarchy], cgroup: &Cgroup) -> Result<(Vec<Group>, Vec<String>)> {
    let mut groups = Vec::with_capacity(hierarchies.len());
    for hierarchy in hierarchies {
        groups.push(make(hierarchy, &cgroup.path)?);
    }
    let warnings = limit(&groups, &cgroup.resources)?;
    Ok((groups, warnings))
}

/// Makes the group in one hierarchy, which may exist, ready to take processes.
pub(super) fn make_folder(hierarchy: &Hierarchy, path: &str) -> Result<PathBuf> {
    let folder_path = below(&hierarchy.mount, path);
    let mode = Mode::from_raw_mode(0o755);
    match mkdirat(CWD, &folder_path, mode) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(Errno::NOENT) => {
            make_parents(hierarchy, path)?;
            match mkdirat(CWD, &folder_path, mode) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => {
                    return Err(error)
                        .step(STEP, || format!("make the control group {}", folder_path.display()));
                }
            }
        }
        Err(error) => {
            return Err(error).step(STEP, || format!("make the control group {}", folder_path.display()));
        }
    }
    // Whoever made the groups above may not have finished them: a group without processors takes no process.
    if hierarchy.controllers.iter().any(|controller| controller == "cpuset") {
        let cpus = std::fs::read_to_string(folder_path.join("cpuset.cpus"));
        if cpus.step(STEP, || format!("read {}/cpuset.cpus", folder_path.display()))?.trim().is_empty() {
            make_parents(hierarchy, path)?;
            inherit_cpusets(&folder_path)?;
        }
    }
    Ok(folder_path)
}

fn make(hierarchy: &Hierarchy, path: &str) -> Result<Group> {
    make_folder(hierarchy, path)?;
    open_group(hierarchy, path)
}

fn open_group(hierarchy: &Hierarchy, path: &str) -> Result<Group> {
    let folder_path = below(&hierarchy.mount, path);
    let tasks = open(folder_path.join("tasks"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .step(STEP, || format!("open {}/tasks", folder_path.display()))?;
    let name = hierarchy.controllers.join(",");
    Ok(Group { name, controllers: hierarchy.controllers.clone(), folder: folder_path, tasks })
}

/// Groups that exist, of which some are below `path`.
pub(super) fn open_below(hierarchies: &[Hierarchy], path: &str, below: &[Below]) -> Result<Vec<Group>> {
    let meant = |hierarchy: &Hierarchy| {
        let names = |below: &&Below| {
            below.controllers.is_empty()
                || below.controllers.iter().any(|one| hierarchy.controllers.contains(one))
        };
        below.iter().find(names).map(|below| below.group.trim_matches('/')).unwrap_or_default()
    };
    for controller in below.iter().flat_map(|below| &below.controllers) {
        if !hierarchies.iter().any(|hierarchy| hierarchy.controllers.contains(controller)) {
            return Err(Error::new(
                STEP,
                format!("there are no control groups of a controller {controller:?} here"),
            ));
        }
    }
    hierarchies
        .iter()
        .map(|hierarchy| open_group(hierarchy, &format!("{path}/{}", meant(hierarchy))))
        .collect()
}

/// Makes the groups above. One that has cpusets begins empty: it gets its parent's processors, and passes them on to
/// what is made in it.
fn make_parents(hierarchy: &Hierarchy, path: &str) -> Result<()> {
    let has_cpusets = hierarchy.controllers.iter().any(|c| c == "cpuset");
    let mut current = hierarchy.mount.clone();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    for part in parts.iter().take(parts.len().saturating_sub(1)) {
        current.push(part);
        match mkdirat(CWD, &current, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => {
                return Err(error).step(STEP, || format!("make the control group {}", current.display()));
            }
        }
        if has_cpusets {
            inherit_cpusets(&current)?;
            let pass_on = current.join("cgroup.clone_children");
            std::fs::write(&pass_on, "1").step(STEP, || format!("write {}", pass_on.display()))?;
        }
    }
    Ok(())
}

/// Gives a group that has none the processors and memory nodes of the group above.
fn inherit_cpusets(folder: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let read = |folder: &Path| {
            let path = folder.join(file);
            std::fs::read_to_string(&path).step(STEP, || format!("read {}", path.display()))
        };
        if read(folder)?.trim().is_empty() {
            let inherited = read(folder.parent().unwrap_or(folder))?;
            std::fs::write(folder.join(file), inherited.trim())
                .step(STEP, || format!("write {file} of {}", folder.display()))?;
        }
    }
    Ok(())
}

/// Lets a container's root manage groups below its own: the folders, and the files that processes are moved by.
pub(super) fn delegate(groups: &[Group], owner: (u32, u32)) -> Result<()> {
    for group in groups {
        for file in ["", "tasks", "cgroup.procs"] {
            super::own(&group.folder.join(file), owner)?;
        }
    }
    Ok(())
}

/// The files by which a process enters `path` where systemd counts processes, in those of `mounts` that have it.
pub(super) fn open_counted(mounts: &[PathBuf], path: &str) -> Result<Vec<OwnedFd>> {
    let mut opened = Vec::new();
    for mount in mounts {
        // The latter is all that version 2 has, which stands beside version 1 for this alone.
        let folder = below(mount, path);
        let files = ["tasks", "cgroup.procs"].map(|file| folder.join(file));
        let Some(file) = files.iter().find(|file| file.exists()) else { continue };
        let file = open(file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .step(STEP, || format!("open {}", file.display()))?;
        opened.push(file);
    }
    if opened.is_empty() {
        return Err(Error::new(STEP, format!("systemd has no control group {path}: its unit has ended")));
    }
    Ok(opened)
}

pub(super) fn enter(groups: &[Group], counted: &[OwnedFd]) -> Result<()> {
    for group in groups {
        rustix::io::write(&group.tasks, b"0")
            .step(STEP, || format!("enter the control group ({})", group.name))?;
    }
    for tasks in counted {
        rustix::io::write(tasks, b"0").step(STEP, || "enter the control group (systemd's)")?;
    }
    Ok(())
}

/// In the child: the folders for the hierarchies, and links for controllers that share one. A container has no group in
/// systemd's own hierarchy, but its place is there: Podman binds the host's to it.
pub(super) fn make_names(base: &OwnedFd, groups: &[Group]) -> Result<()> {
    mkdirat(base, "systemd", Mode::from_raw_mode(0o755)).step(STEP, || "make /sys/fs/cgroup/systemd")?;
    for group in groups {
        mkdirat(base, group.name.as_str(), Mode::from_raw_mode(0o755))
            .step(STEP, || format!("make /sys/fs/cgroup/{}", group.name))?;
        if group.controllers.len() > 1 {
            for controller in &group.controllers {
                symlinkat(group.name.as_str(), base.as_fd(), controller.as_str())
                    .step(STEP, || format!("make /sys/fs/cgroup/{controller}"))?;
            }
        }
    }
    Ok(())
}

pub(super) fn freeze(groups: &[Group], frozen: bool) -> Result<()> {
    let state = if frozen { "FROZEN" } else { "THAWED" };
    let group = find(groups, "freezer")?;
    group.write("freezer.state", state).step(STEP, || format!("write {state} to freezer.state"))
}

pub(super) fn oom_kills(groups: &[Group]) -> u64 {
    let text = find(groups, "memory").ok().and_then(|group| group.read("memory.oom_control").ok());
    let count = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
    text.as_deref().and_then(|text| text.lines().find_map(count)).unwrap_or(0)
}

fn find<'groups>(groups: &'groups [Group], controller: &str) -> Result<&'groups Group> {
    groups.iter().find(|group| group.has(controller)).ok_or_else(|| {
        Error::new(
            STEP,
            format!("this machine has no {controller} control groups mounted: the limit cannot be held"),
        )
    })
}

/// Memory, and memory with swap, of which the first must never be more than the second: which one goes first depends on
/// what they were.
fn limit_memory(groups: &[Group], limits: &Resources, warnings: &mut Vec<String>) -> Result<()> {
    const MEMORY: &str = "memory.limit_in_bytes";
    const WITH_SWAP: &str = "memory.memsw.limit_in_bytes";
    if limits.memory.is_none() && limits.memory_swap.is_none() {
        return Ok(());
    }
    let group = find(groups, "memory")?;
    let mut with_swap =
        || match limits.memory_swap.map(|bytes| (bytes, group.write(WITH_SWAP, &bytes.to_string()))) {
            None | Some((_, Ok(()))) => Ok(()),
            Some((_, Err(Errno::NOENT))) => {
                warnings.push(
                "this kernel does not count swap (boot it with swapaccount=1): memory is limited without swap"
                    .into(),
            );
                Ok(())
            }
            Some((bytes, Err(error))) => Err(error).step(STEP, || format!("set {WITH_SWAP} to {bytes}")),
        };
    let Some(bytes) = limits.memory else { return with_swap() };
    let write = || group.write(MEMORY, &bytes.to_string());
    match write() {
        Ok(()) => with_swap(),
        Err(Errno::INVAL) if limits.memory_swap.is_some() => {
            with_swap()?;
            write().step(STEP, || format!("set {MEMORY} to {bytes}"))
        }
        Err(error) => Err(error).step(STEP, || format!("set {MEMORY} to {bytes}")),
    }
}

/// Time for processes with a real-time schedule: a group can have no more than the one above has to give, and that has
/// nothing unless somebody gave it some.
fn limit_real_time(groups: &[Group], limits: &Resources) -> Result<()> {
    let set = |file: &str, value: String| {
        let group = find(groups, "cpu")?;
        match group.write(file, &value) {
            Err(Errno::NOENT) => Err(Error::new(
                STEP,
                "this kernel has no real-time scheduling of groups (CONFIG_RT_GROUP_SCHED)".to_owned(),
            )),
            Err(Errno::INVAL) => Err(Error::new(
                STEP,
                format!(
                    "cannot set {file} to {value}: the control groups above have less real-time to give (write \
                     cpu.rt_runtime_us there first)"
                ),
            )),
            other => other.step(STEP, || format!("set {file} to {value}")),
        }
    };
    if let Some(period) = limits.cpu_rt_period {
        set("cpu.rt_period_us", period.to_string())?;
    }
    if let Some(runtime) = limits.cpu_rt_runtime {
        set("cpu.rt_runtime_us", runtime.to_string())?;
    }
    Ok(())
}

pub(super) fn limit(groups: &[Group], limits: &Resources) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let set = |controller: &str, file: &str, value: String| -> Result<()> {
        find(groups, controller)?.write(file, &value).step(STEP, || format!("set {file} to {value}"))
    };
    limit_memory(groups, limits, &mut warnings)?;
    if let Some(bytes) = limits.memory_reservation {
        set("memory", "memory.soft_limit_in_bytes", bytes.to_string())?;
    }
    if let Some(value) = limits.memory_swappiness {
        set("memory", "memory.swappiness", value.to_string())?;
    }
    if limits.oom_kill_disable {
        set("memory", "memory.oom_control", "1".into())?;
    }
    if let Some(shares) = limits.cpu_shares {
        set("cpu", "cpu.shares", shares.to_string())?;
    }
    if let Some(period) = limits.cpu_period {
        set("cpu", "cpu.cfs_period_us", period.to_string())?;
    }
    if let Some(quota) = limits.cpu_quota {
        set("cpu", "cpu.cfs_quota_us", quota.to_string())?;
    }
    if let Some(burst) = limits.cpu_burst {
        set("cpu", "cpu.cfs_burst_us", burst.to_string())?;
    }
    if let Some(idle) = limits.cpu_idle {
        set("cpu", "cpu.idle", idle.to_string())?;
    }
    for (size, bytes) in &limits.huge_pages {
        set("hugetlb", &format!("hugetlb.{size}.limit_in_bytes"), bytes.to_string())?;
        // What is reserved is limited too, where the kernel can: a process is refused then, and not killed later.
        let reserved = format!("hugetlb.{size}.rsvd.limit_in_bytes");
        match find(groups, "hugetlb")?.write(&reserved, &bytes.to_string()) {
            Err(Errno::NOENT) => {}
            other => other.step(STEP, || format!("set {reserved} to {bytes}"))?,
        }
    }
    limit_real_time(groups, limits)?;
    if let Some(cpus) = &limits.cpuset_cpus {
        set("cpuset", "cpuset.cpus", cpus.clone())?;
    }
    if let Some(mems) = &limits.cpuset_mems {
        set("cpuset", "cpuset.mems", mems.clone())?;
    }
    if let Some(count) = limits.pids {
        set("pids", "pids.max", if count < 0 { "max".into() } else { count.to_string() })?;
    }
    if let Some(weight) = limits.blkio_weight {
        let group = find(groups, "blkio")?;
        let written = group
            .write("blkio.bfq.weight", &weight.to_string())
            .or_else(|_| group.write("blkio.weight", &weight.to_string()));
        match written {
            Err(Errno::NOENT) => warnings
                .push("no disk scheduler of this kernel weighs groups: blkio-weight has no effect".into()),
            other => other.step(STEP, || format!("set blkio.weight to {weight}"))?,
        }
    }
    for device in &limits.blkio_weight_device {
        let group = find(groups, "blkio")?;
        let line = format!("{}:{} {}", device.major, device.minor, device.weight);
        let written = group
            .write("blkio.bfq.weight_device", &line)
            .or_else(|_| group.write("blkio.weight_device", &line));
        match written {
            Err(Errno::NOENT) => warnings.push(
                "no disk scheduler of this kernel weighs groups: blkio-weight-device has no effect".into(),
            ),
            other => other.step(STEP, || format!("set blkio.weight_device to {line}"))?,
        }
    }
    for throttle in &limits.throttle {
        let file = match throttle.kind {
            ThrottleKind::ReadBytes => "blkio.throttle.read_bps_device",
            ThrottleKind::WriteBytes => "blkio.throttle.write_bps_device",
            ThrottleKind::ReadOperations => "blkio.throttle.read_iops_device",
            ThrottleKind::WriteOperations => "blkio.throttle.write_iops_device",
        };
        set("blkio", file, format!("{}:{} {}", throttle.major, throttle.minor, throttle.rate))?;
    }
    // In a container, its own rules hold for what is below, and only the machine's root could add to them.
    for rule in limits.devices.iter().filter(|_| !bulkhead_sys::namespaces::nested()) {
        set("devices", if rule.allow { "devices.allow" } else { "devices.deny" }, rule.line())?;
    }
    if let Some((file, _)) = limits.unified.first() {
        return Err(Error::new(
            STEP,
            format!("{file} is a setting of cgroup version 2, and this machine has version 1"),
        ));
    }
    Ok(warnings)
}
