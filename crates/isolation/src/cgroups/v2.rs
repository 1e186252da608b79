//! Version 2: one folder (the kernel's Documentation/admin-guide/cgroup-v2.rst).

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use super::resources::{Resources, ThrottleKind};
use super::{Cgroup, STEP, below, devices};
use crate::error::{Result, Step};

/// The controllers that are passed down to containers, as far as the kernel has them.
const CONTROLLERS: [&str; 6] = ["cpu", "cpuset", "io", "memory", "pids", "hugetlb"];

/// The container's folder.
#[derive(Debug)]
pub(super) struct Group {
    /// Its folder, for clone3. On a mount of its own without a parent: a descriptor that led to the host's root would
    /// be inherited by children that a container can look at.
    pub(super) folder: OwnedFd,
    /// The same by path, for everything else.
    pub(super) path: PathBuf,
}

impl Group {
    fn write(&self, file: &str, value: &str) -> rustix::io::Result<()> {
        let fd = openat(&self.folder, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&fd, value.as_bytes()).map(drop)
    }
}

pub(super) fn create(mount: &Path, cgroup: &Cgroup) -> Result<(Group, Vec<String>)> {
    let group = open(make(mount, &cgroup.path)?)?;
    let warnings = limit(&group, &cgroup.resources)?;
    Ok((group, warnings))
}

/// One that exists.
pub(super) fn open(path: PathBuf) -> Result<Group> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(super::clone(&path)?, ".", flags, Mode::empty())
        .step(STEP, || format!("open the control group {}", path.display()))?;
    Ok(Group { folder, path })
}

/// Makes the group, which may exist, and those above it.
pub(super) fn make(mount: &Path, group: &str) -> Result<PathBuf> {
    let path = below(mount, group);
    if !passes_all_down(path.parent().unwrap_or(mount)) {
        make_parents(mount, group)?;
    }
    match mkdirat(CWD, &path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(path),
        Err(error) => Err(error).step(STEP, || format!("make the control group {}", path.display())),
    }
}

/// Lets a container's root manage groups below its own (cgroup-v2.rst, Delegation): it gets the folder, and the files that
/// this kernel names for that.
pub(super) fn delegate(group: &Group, owner: (u32, u32)) -> Result<()> {
    let named = std::fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap_or_default();
    for file in std::iter::once("").chain(delegated(&named)) {
        super::own(&group.path.join(file), owner)?;
    }
    Ok(())
}

/// The files of that list. A kernel without one has three.
fn delegated(named: &str) -> Vec<&str> {
    const WITHOUT_LIST: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads";
    let named = if named.trim().is_empty() { WITHOUT_LIST } else { named };
    named.lines().filter(|file| !file.is_empty() && !file.contains('/') && !file.starts_with('.')).collect()
}

/// Whether a group exists and passes down what it has: somebody else may have made it, or be about to finish it.
fn passes_all_down(folder: &Path) -> bool {
    let read = |file: &str| std::fs::read_to_string(folder.join(file));
    let (Ok(available), Ok(passed)) = (read("cgroup.controllers"), read("cgroup.subtree_control")) else {
        return false;
    };
    wanted(&available).iter().all(|controller| passed.split_whitespace().any(|word| word == *controller))
}

fn wanted(available: &str) -> Vec<&str> {
    available.split_whitespace().filter(|controller| CONTROLLERS.contains(controller)).collect()
}

/// Makes the groups above and passes the controllers down to what is made in them.
fn make_parents(mount: &Path, path: &str) -> Result<()> {
    let mut current = mount.to_owned();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    for part in parts.iter().take(parts.len().saturating_sub(1)) {
        pass_down(&current)?;
        current.push(part);
        match mkdirat(CWD, &current, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => {
                return Err(error).step(STEP, || format!("make the control group {}", current.display()));
            }
        }
    }
    pass_down(&current)
}

fn pass_down(folder: &Path) -> Result<()> {
    let available = std::fs::read_to_string(folder.join("cgroup.controllers"))
        .step(STEP, || format!("read {}/cgroup.controllers", folder.display()))?;
    let wanted: Vec<String> = wanted(&available).iter().map(|controller| format!("+{controller}")).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    std::fs::write(folder.join("cgroup.subtree_control"), wanted.join(" ")).step(STEP, || {
        format!(
            "pass controllers down from {} (version 2 allows that only where no process is in the group itself)",
            folder.display()
        )
    })
}

pub(super) fn freeze(group: &Group, frozen: bool) -> Result<()> {
    group.write("cgroup.freeze", if frozen { "1" } else { "0" }).step(STEP, || "write cgroup.freeze")
}

pub(super) fn oom_kills(group: &Group) -> u64 {
    let read = || -> rustix::io::Result<String> {
        let fd = openat(&group.folder, "memory.events", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = vec![0u8; 1024];
        let length = rustix::io::read(&fd, &mut text)?;
        text.truncate(length);
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    let count = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
    read().ok().and_then(|text| text.lines().find_map(count)).unwrap_or(0)
}

pub(super) fn limit(group: &Group, limits: &Resources) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let number = |value: i64| if value < 0 { "max".to_owned() } else { value.to_string() };
    let set = |file: &str, value: &str| -> Result<()> {
        group.write(file, value).step(STEP, || {
            format!(
                "set {file} to {value} (a missing file is a controller that this machine does not pass down)"
            )
        })
    };
    if let Some(bytes) = limits.memory {
        set("memory.max", &number(bytes))?;
    }
    if let Some(swap) = limits.swap_alone() {
        match group.write("memory.swap.max", &number(swap)) {
            Err(Errno::NOENT) => {
                warnings.push("this kernel does not count swap: memory is limited without it".into())
            }
            other => other.step(STEP, || format!("set memory.swap.max to {}", number(swap)))?,
        }
    }
    if let Some(bytes) = limits.memory_reservation {
        set("memory.low", &bytes.max(0).to_string())?;
    }
    if limits.memory_swappiness.is_some() {
        warnings
            .push("cgroup version 2 has no swappiness of a group: memory-swappiness has no effect".into());
    }
    if limits.oom_kill_disable {
        warnings.push(
            "cgroup version 2 cannot turn off the out-of-memory killer: oom-kill-disable has no effect"
                .into(),
        );
    }
    if let Some(weight) = limits.cpu_weight() {
        set("cpu.weight", &weight.to_string())?;
    }
    if limits.cpu_quota.is_some() || limits.cpu_period.is_some() {
        let quota =
            limits.cpu_quota.filter(|quota| *quota > 0).map_or("max".into(), |quota| quota.to_string());
        set("cpu.max", &format!("{quota} {}", limits.cpu_period.unwrap_or(100_000)))?;
    }
    if let Some(burst) = limits.cpu_burst {
        set("cpu.max.burst", &burst.to_string())?;
    }
    if let Some(idle) = limits.cpu_idle {
        set("cpu.idle", &idle.to_string())?;
    }
    for (size, bytes) in &limits.huge_pages {
        set(&format!("hugetlb.{size}.max"), &bytes.to_string())?;
        // What is reserved is limited too, where the kernel can: a process is refused then, and not killed later.
        match group.write(&format!("hugetlb.{size}.rsvd.max"), &bytes.to_string()) {
            Err(Errno::NOENT) => {}
            other => other.step(STEP, || format!("set hugetlb.{size}.rsvd.max to {bytes}"))?,
        }
    }
    if limits.cpu_rt_period.is_some() || limits.cpu_rt_runtime.is_some() {
        return Err(crate::Error::new(
            STEP,
            "cgroup version 2 has no real-time scheduling of groups (cpu-rt-period, cpu-rt-runtime)",
        ));
    }
    if let Some(cpus) = &limits.cpuset_cpus {
        set("cpuset.cpus", cpus)?;
    }
    if let Some(mems) = &limits.cpuset_mems {
        set("cpuset.mems", mems)?;
    }
    if let Some(count) = limits.pids {
        set("pids.max", &number(count))?;
    }
    if let Some(weight) = limits.blkio_weight {
        let written = group
            .write("io.bfq.weight", &weight.to_string())
            .or_else(|_| group.write("io.weight", &format!("default {weight}")));
        match written {
            Err(Errno::NOENT) => {
                warnings.push(
                    "no disk scheduler of this kernel weighs groups: blkio-weight has no effect".into(),
                );
            }
            other => other.step(STEP, || format!("set io.weight to {weight}"))?,
        }
    }
    for device in &limits.blkio_weight_device {
        let line = format!("{}:{} {}", device.major, device.minor, device.weight);
        match group.write("io.bfq.weight", &line).or_else(|_| group.write("io.weight", &line)) {
            Err(Errno::NOENT) => warnings.push(
                "no disk scheduler of this kernel weighs groups: blkio-weight-device has no effect".into(),
            ),
            other => other.step(STEP, || format!("set io.weight to {line}"))?,
        }
    }
    for throttle in &limits.throttle {
        let key = match throttle.kind {
            ThrottleKind::ReadBytes => "rbps",
            ThrottleKind::WriteBytes => "wbps",
            ThrottleKind::ReadOperations => "riops",
            ThrottleKind::WriteOperations => "wiops",
        };
        set("io.max", &format!("{}:{} {key}={}", throttle.major, throttle.minor, throttle.rate))?;
    }
    // In a container, its own rules hold for what is below.
    if !limits.devices.is_empty() && !bulkhead_sys::namespaces::nested() {
        let program = bulkhead_sys::bpf::load_device_program(&devices::program(&limits.devices))
            .step(STEP, || "load the program that decides about devices")?;
        bulkhead_sys::bpf::attach_device_program(group.folder.as_fd(), program.as_fd())
            .step(STEP, || "attach the program that decides about devices")?;
    }
    for (file, value) in &limits.unified {
        if file.contains('/') || file.starts_with('.') {
            return Err(crate::Error::new(STEP, format!("{file} is not the name of a control group file")));
        }
        set(file, value)?;
    }
    Ok(warnings)
}

/// Version 1's shares (2–262144, usually 1024) as version 2's weight (1–10000, usually 100), by the straight
/// line that the OCI specification's runtimes use.
pub(super) fn weight_of_shares(shares: u64) -> u64 {
    let shares = shares.clamp(2, 262_144);
    1 + (shares - 2) * 9_999 / 262_142
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_delegated_is_what_the_kernel_says() {
        assert_eq!(super::delegated(""), ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]);
        assert_eq!(super::delegated("cgroup.procs\nmemory.reclaim\n"), ["cgroup.procs", "memory.reclaim"]);
    }

    #[test]
    fn shares_become_weights_in_order() {
        assert_eq!(super::weight_of_shares(2), 1);
        assert_eq!(super::weight_of_shares(1024), 39);
        assert_eq!(super::weight_of_shares(262_144), 10_000);
        assert_eq!(super::weight_of_shares(0), 1);
    }
}
