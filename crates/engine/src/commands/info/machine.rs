//! What the kernel can limit, and what is missing, in Docker's words.

use std::path::{Path, PathBuf};

use bulkhead_isolation::capabilities::{Set, bounding_set};
use bulkhead_isolation::cgroups::layout::Layout;

/// What can be limited here.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) memory: bool,
    pub(super) swap: bool,
    pub(super) oom_kill_disable: bool,
    pub(super) cpu_period: bool,
    pub(super) cpu_quota: bool,
    pub(super) cpu_shares: bool,
    pub(super) cpuset: bool,
    pub(super) pids: bool,
    /// Weights of disks, of all and of each.
    disk_weight: [bool; 2],
    /// Rates of disks: bytes read and written, operations read and written.
    disk_rates: [bool; 4],
    second: bool,
}

/// What disks' rates are called by version 1, by Docker; and by version 2's file io.max.
const RATES: [(&str, &str); 4] = [
    ("blkio.throttle.read_bps_device", "rbps"),
    ("blkio.throttle.write_bps_device", "wbps"),
    ("blkio.throttle.read_iops_device", "riops"),
    ("blkio.throttle.write_iops_device", "wiops"),
];

impl Limits {
    pub(super) fn of(layout: &Layout) -> Limits {
        match layout {
            Layout::V1(_) => Limits::of_v1(layout),
            Layout::V2(mount) => Limits::of_v2(mount),
        }
    }

    fn of_v1(layout: &Layout) -> Limits {
        let has = |controller: &str, file: &str| layout.has(controller, file);
        // By the scheduler bfq, or by cfq before it.
        let weight = |of: &str| {
            has("blkio", &format!("blkio.bfq.weight{of}")) || has("blkio", &format!("blkio.weight{of}"))
        };
        Limits {
            memory: has("memory", "memory.limit_in_bytes"),
            swap: has("memory", "memory.memsw.limit_in_bytes"),
            oom_kill_disable: has("memory", "memory.oom_control"),
            cpu_period: has("cpu", "cpu.cfs_period_us"),
            cpu_quota: has("cpu", "cpu.cfs_quota_us"),
            cpu_shares: has("cpu", "cpu.shares"),
            cpuset: has("cpuset", "cpuset.cpus"),
            pids: has("pids", "cgroup.procs"),
            disk_weight: [weight(""), weight("_device")],
            disk_rates: RATES.map(|(file, _)| has("blkio", file)),
            second: false,
        }
    }

    fn of_v2(mount: &Path) -> Limits {
        let there = std::fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
        let has = |controller: &str| there.split_whitespace().any(|one| one == controller);
        // The root has no limits of its own: a group in it shows which there are. Without any that has the controller,
        // nothing speaks against it.
        let groups: Vec<PathBuf> =
            std::fs::read_dir(mount).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        let any = |file: &str| groups.iter().any(|group| group.join(file).exists());
        let shown = |always: &str, file: &str| any(file) || !any(always);
        Limits {
            memory: has("memory"),
            swap: has("memory") && shown("memory.max", "memory.swap.max"),
            oom_kill_disable: false,
            cpu_period: has("cpu"),
            cpu_quota: has("cpu"),
            cpu_shares: has("cpu"),
            cpuset: has("cpuset"),
            pids: has("pids"),
            disk_weight: [has("io") && (shown("io.stat", "io.weight") || any("io.bfq.weight")); 2],
            disk_rates: [has("io") && shown("io.stat", "io.max"); 4],
            second: true,
        }
    }

    /// What is missing, a sentence each.
    fn missing(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut need = |there: bool, what: String| {
            if !there {
                all.push(format!("WARNING: No {what}"));
            }
        };
        need(self.memory, "memory limit support".into());
        need(self.swap, "swap limit support".into());
        need(self.oom_kill_disable || self.second, "oom kill disable support".into());
        need(self.cpu_quota, "cpu cfs quota support".into());
        need(self.cpu_period, "cpu cfs period support".into());
        need(self.cpu_shares, "cpu shares support".into());
        need(self.cpuset, "cpuset support".into());
        let of_v1 = ["blkio weight", "blkio weight_device"];
        let of_v2 = ["io.weight", "io.weight (per device)"];
        for (there, name) in self.disk_weight.iter().zip(if self.second { of_v2 } else { of_v1 }) {
            need(*there, format!("{name} support"));
        }
        for (there, (old, new)) in self.disk_rates.iter().zip(RATES) {
            let name = if self.second { format!("io.max ({new})") } else { old.to_owned() };
            need(*there, format!("{name} support"));
        }
        all
    }
}

/// Whether the machine passes on packets that are not its own.
pub(super) fn forwards_ipv4() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|text| text.trim() == "1")
}

/// What this machine cannot do, a sentence each.
pub(super) fn warnings(limits: &Limits, no_mapped_layers: Option<&str>) -> Vec<String> {
    let mut all = limits.missing();
    if let Some(why) = no_mapped_layers {
        all.push(format!(
            "WARNING: No ID-mapped mounts of layers ({why}): each is copied once per ID range, which takes time and space"
        ));
    }
    if !Set::named("SYS_RESOURCE").is_some_and(|one| bounding_set().has(one)) {
        all.push(
            "WARNING: This engine lacks CAP_SYS_RESOURCE: it cannot raise resource limits above its own"
                .into(),
        );
    }
    all
}

/// The value of a key of os-release(5).
pub(super) fn os_release(key: &str) -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn what_version_2_has_is_read_from_a_group() {
        let mount = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(mount.path().join(name), text).unwrap();
        write("cgroup.controllers", "cpu io memory pids\n");
        let limits = Limits::of_v2(mount.path());
        assert!(limits.memory && limits.cpu_quota && limits.pids && !limits.cpuset);
        // Nobody has a group that could tell.
        assert_eq!(limits.missing(), ["WARNING: No cpuset support"]);
        std::fs::create_dir(mount.path().join("one")).unwrap();
        write("one/memory.max", "");
        write("one/io.stat", "");
        let missing = Limits::of_v2(mount.path()).missing();
        for what in ["swap limit", "cpuset", "io.weight", "io.max (wiops)"] {
            assert!(missing.contains(&format!("WARNING: No {what} support")), "{what}: {missing:?}");
        }
        assert!(!missing.iter().any(|warning| warning.contains("oom kill")));
        for file in ["memory.swap.max", "io.max", "io.weight"] {
            write(&format!("one/{file}"), "");
        }
        assert_eq!(Limits::of_v2(mount.path()).missing(), ["WARNING: No cpuset support"]);
    }
}
