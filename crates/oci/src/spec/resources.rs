//! `linux.resources` (config-linux.md, "Control groups"), in a configuration and in what `update` is given.

use std::collections::BTreeMap;

use bulkhead_isolation::cgroups::devices::{Access, Kind, Rule, standard};
use bulkhead_isolation::cgroups::resources::{Resources as Limits, Throttle, ThrottleKind, Weight};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The object.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Which devices may be used.
    pub devices: Option<Vec<DeviceRule>>,
    /// Memory.
    pub memory: Option<Memory>,
    /// Processors.
    pub cpu: Option<Cpu>,
    /// Processes.
    pub pids: Option<Pids>,
    /// Disks.
    #[serde(rename = "blockIO")]
    pub block_io: Option<BlockIo>,
    /// Huge pages.
    pub hugepage_limits: Option<Vec<HugePages>>,
    /// Network classes.
    pub network: Option<Network>,
    /// Remote memory.
    pub rdma: Option<serde_json::Map<String, serde_json::Value>>,
    /// Files of version 2, by name.
    pub unified: Option<BTreeMap<String, String>>,
}

/// A rule for devices.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct DeviceRule {
    /// Whether it allows.
    pub allow: bool,
    /// `a`, `c` or `b`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Major number; any if not given or -1.
    pub major: Option<i64>,
    /// Minor number; the same.
    pub minor: Option<i64>,
    /// Letters of `rwm`.
    pub access: Option<String>,
}

/// Limits of memory, in bytes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Memory.
    pub limit: Option<i64>,
    /// What it keeps when memory is short.
    pub reservation: Option<i64>,
    /// Memory and swap.
    pub swap: Option<i64>,
    /// The kernel's for it; kernels no longer limit that, and it is passed over as by runc.
    pub kernel: Option<i64>,
    /// The same.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Option<i64>,
    /// How readily it is swapped out.
    pub swappiness: Option<u64>,
    /// Whether a process waits for memory instead of being ended.
    #[serde(rename = "disableOOMKiller")]
    pub disable_oom_killer: Option<bool>,
    /// Whether an update is refused whose limit is below what is used.
    pub check_before_update: Option<bool>,
}

/// Limits of processor time.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cpu {
    /// Relative share.
    pub shares: Option<u64>,
    /// Microseconds of each period.
    pub quota: Option<i64>,
    /// Microseconds saved up.
    pub burst: Option<u64>,
    /// The period.
    pub period: Option<u64>,
    /// Real-time microseconds of each period.
    pub realtime_runtime: Option<i64>,
    /// That period.
    pub realtime_period: Option<u64>,
    /// Which processors.
    pub cpus: Option<String>,
    /// Which memory nodes.
    pub mems: Option<String>,
    /// Whether it runs only when nobody else wants to.
    pub idle: Option<i64>,
}

/// A limit of processes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Pids {
    /// How many; none or fewer: no limit.
    pub limit: Option<i64>,
}

/// Limits of disks.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockIo {
    /// Relative share.
    pub weight: Option<u16>,
    /// Of the group itself against its own groups.
    pub leaf_weight: Option<u16>,
    /// Shares of single disks.
    pub weight_device: Option<Vec<DiskWeight>>,
    /// Bytes in a second.
    pub throttle_read_bps_device: Option<Vec<DiskRate>>,
    /// The same, written.
    pub throttle_write_bps_device: Option<Vec<DiskRate>>,
    /// Operations in a second.
    #[serde(rename = "throttleReadIOPSDevice")]
    pub throttle_read_iops_device: Option<Vec<DiskRate>>,
    /// The same, written.
    #[serde(rename = "throttleWriteIOPSDevice")]
    pub throttle_write_iops_device: Option<Vec<DiskRate>>,
}

/// A disk's share.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskWeight {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Relative share.
    pub weight: Option<u16>,
    /// As above.
    pub leaf_weight: Option<u16>,
}

/// A disk's limit.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct DiskRate {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// In a second.
    pub rate: u64,
}

/// A limit of huge pages.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HugePages {
    /// `2MB`, as the kernel names it.
    pub page_size: String,
    /// Bytes.
    pub limit: u64,
}

/// Marks of network packets (version 1).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// The class.
    #[serde(rename = "classID")]
    pub class_id: Option<u32>,
    /// Priorities of links.
    pub priorities: Option<Vec<serde_json::Value>>,
}

impl Resources {
    /// The limits as the core has them; `whole`: of a new container, whose devices are always ruled.
    pub(crate) fn plan(self, whole: bool, warnings: &mut Vec<String>) -> Result<Limits> {
        let refuse = |given: bool, name: &str| {
            if given { Err(Error::unsupported(format!("linux.resources.{name}"))) } else { Ok(()) }
        };
        let network = self.network.unwrap_or_default();
        refuse(network.class_id.is_some_and(|id| id != 0), "network.classID")?;
        refuse(network.priorities.is_some_and(|all| !all.is_empty()), "network.priorities")?;
        refuse(self.rdma.is_some_and(|all| !all.is_empty()), "rdma")?;
        let (memory, cpu) = (self.memory.unwrap_or_default(), self.cpu.unwrap_or_default());
        if memory.kernel.or(memory.kernel_tcp).is_some_and(|limit| limit > 0) {
            warnings.push(
                "no kernel limits its own memory for a group any more: memory.kernel is passed over".into(),
            );
        }
        let given = |value: Option<i64>| value.filter(|value| *value != 0);
        let some = |value: Option<u64>| value.filter(|value| *value != 0);
        let text = |value: Option<String>| value.filter(|text| !text.is_empty());
        let mut limits = Limits {
            memory: given(memory.limit),
            memory_reservation: given(memory.reservation),
            memory_swap: given(memory.swap),
            memory_swappiness: memory.swappiness,
            oom_kill_disable: memory.disable_oom_killer.unwrap_or(false),
            cpu_shares: some(cpu.shares),
            cpu_quota: given(cpu.quota),
            cpu_period: some(cpu.period),
            cpu_burst: cpu.burst,
            cpu_idle: cpu.idle,
            cpu_rt_period: some(cpu.realtime_period),
            cpu_rt_runtime: given(cpu.realtime_runtime),
            cpuset_cpus: text(cpu.cpus),
            cpuset_mems: text(cpu.mems),
            pids: self.pids.and_then(|pids| given(pids.limit)).map(|limit| limit.max(-1)),
            huge_pages: Vec::new(),
            unified: self.unified.unwrap_or_default().into_iter().collect(),
            ..Limits::default()
        };
        for pages in self.hugepage_limits.unwrap_or_default() {
            if pages.page_size.contains('/') {
                return Err(Error::invalid(format!(
                    "config.json: linux.resources.hugepageLimits: {:?} is no size",
                    pages.page_size
                )));
            }
            limits.huge_pages.push((pages.page_size, pages.limit));
        }
        self.block_io.unwrap_or_default().plan(&mut limits)?;
        if whole {
            limits.devices.push(Rule::deny_all());
        }
        for (index, rule) in self.devices.unwrap_or_default().iter().enumerate() {
            limits.devices.push(rule.plan(index)?);
        }
        if whole {
            // What every container may use, whatever its rules say, as with runc.
            limits.devices.extend(standard().into_iter().skip(1));
        }
        Ok(limits)
    }
}

impl BlockIo {
    fn plan(self, limits: &mut Limits) -> Result<()> {
        let refuse = |given: bool| {
            if given { Err(Error::unsupported("linux.resources.blockIO.leafWeight")) } else { Ok(()) }
        };
        refuse(self.leaf_weight.is_some_and(|weight| weight != 0))?;
        limits.blkio_weight = self.weight.filter(|weight| *weight != 0);
        for disk in self.weight_device.unwrap_or_default() {
            refuse(disk.leaf_weight.is_some_and(|weight| weight != 0))?;
            if let Some(weight) = disk.weight {
                limits.blkio_weight_device.push(Weight { major: disk.major, minor: disk.minor, weight });
            }
        }
        for (kind, disks) in [
            (ThrottleKind::ReadBytes, self.throttle_read_bps_device),
            (ThrottleKind::WriteBytes, self.throttle_write_bps_device),
            (ThrottleKind::ReadOperations, self.throttle_read_iops_device),
            (ThrottleKind::WriteOperations, self.throttle_write_iops_device),
        ] {
            for DiskRate { major, minor, rate } in disks.unwrap_or_default() {
                limits.throttle.push(Throttle { kind, major, minor, rate });
            }
        }
        Ok(())
    }
}

impl DeviceRule {
    fn plan(&self, index: usize) -> Result<Rule> {
        let refuse =
            |what: String| Error::invalid(format!("config.json: linux.resources.devices[{index}].{what}"));
        let number = |name: &str, number: Option<i64>| match number {
            None | Some(-1) => Ok(None),
            Some(number) => u32::try_from(number)
                .map(Some)
                .map_err(|_| refuse(format!("{name}: {number} is no device number"))),
        };
        let (major, minor) = (number("major", self.major)?, number("minor", self.minor)?);
        let kind = match self.kind.as_deref() {
            None | Some("" | "a") => Kind::All,
            Some("c" | "u") => Kind::Character,
            Some("b") => Kind::Block,
            Some(other) => return Err(refuse(format!("type: {other:?} is none"))),
        };
        let access = match self.access.as_deref() {
            None | Some("") => Access::ALL,
            Some(letters) => Access::parse(letters)
                .ok_or_else(|| refuse(format!("access: {letters:?} is not of the letters rwm")))?,
        };
        if kind == Kind::All && (major.is_some() || minor.is_some() || access != Access::ALL) {
            return Err(refuse("type: a rule for all devices can have no numbers, and every access".into()));
        }
        Ok(Rule { allow: self.allow, kind, major, minor, access })
    }
}

#[cfg(test)]
mod tests {
    use super::{DeviceRule, Resources};

    #[test]
    fn rules_for_devices_are_between_all_denied_and_what_all_may() {
        let rule = DeviceRule {
            allow: true,
            kind: Some("c".into()),
            major: Some(10),
            minor: Some(-1),
            access: Some("rw".into()),
        };
        let resources = Resources { devices: Some(vec![rule]), ..Resources::default() };
        let limits = resources.plan(true, &mut Vec::new()).unwrap();
        assert!(!limits.devices[0].allow);
        assert_eq!((limits.devices[1].major, limits.devices[1].minor), (Some(10), None));
        assert!(limits.devices[2..].iter().all(|rule| rule.allow) && limits.devices.len() > 9);
        for (kind, major, access) in
            [("x", None, "r"), ("c", Some(-2), "r"), ("c", None, "q"), ("a", Some(1), "rwm")]
        {
            let rule = DeviceRule {
                allow: true,
                kind: Some(kind.into()),
                major,
                minor: None,
                access: Some(access.into()),
            };
            let resources = Resources { devices: Some(vec![rule]), ..Resources::default() };
            assert!(
                resources.plan(true, &mut Vec::new()).unwrap_err().to_string().contains("devices[0]"),
                "{kind}"
            );
        }
    }
}
