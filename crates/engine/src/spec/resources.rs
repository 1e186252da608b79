//! `--memory`, `--cpus`, `--pids-limit` and their like, by Docker's rules.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use bollard_stubs::models::{HostConfig, ResourcesBlkioWeightDevice, ThrottleDevice};
use bulkhead_isolation::cgroups::layout::Layout;
use bulkhead_isolation::cgroups::resources::{Resources, Throttle, ThrottleKind, Weight};

use super::security::Security;
use crate::error::{Doing, Error, Result};

/// The least memory that a container is given: with less, not even its first program starts.
const LEAST_MEMORY: i64 = 6 * 1024 * 1024;

pub(crate) fn plan(host: &HostConfig, security: &Security, warnings: &mut Vec<String>) -> Result<Resources> {
    Ok(Resources { devices: security.device_rules.clone(), ..limits(host, warnings)? })
}

/// Of the limits `after`, those that are not as `before`; all of those that must be set together.
pub(crate) fn changed(before: &Resources, mut after: Resources) -> Resources {
    if (after.memory, after.memory_swap) == (before.memory, before.memory_swap) {
        (after.memory, after.memory_swap) = (None, None);
    }
    if (after.cpu_quota, after.cpu_period) == (before.cpu_quota, before.cpu_period) {
        (after.cpu_quota, after.cpu_period) = (None, None);
    }
    fn keep<T: PartialEq>(before: &Option<T>, after: &mut Option<T>) {
        if before == after {
            *after = None;
        }
    }
    keep(&before.memory_reservation, &mut after.memory_reservation);
    keep(&before.memory_swappiness, &mut after.memory_swappiness);
    keep(&before.cpu_shares, &mut after.cpu_shares);
    keep(&before.cpu_rt_period, &mut after.cpu_rt_period);
    keep(&before.cpu_rt_runtime, &mut after.cpu_rt_runtime);
    keep(&before.cpuset_cpus, &mut after.cpuset_cpus);
    keep(&before.cpuset_mems, &mut after.cpuset_mems);
    keep(&before.pids, &mut after.pids);
    keep(&before.blkio_weight, &mut after.blkio_weight);
    after.oom_kill_disable &= !before.oom_kill_disable;
    if before.blkio_weight_device == after.blkio_weight_device {
        after.blkio_weight_device.clear();
    }
    if before.throttle == after.throttle {
        after.throttle.clear();
    }
    after
}

/// What undoes `wanted`: what held before, or no limit.
pub(crate) fn undone(before: &Resources, wanted: &Resources) -> Resources {
    fn back<T: Clone>(before: &Option<T>, wanted: &Option<T>, none: Option<T>) -> Option<T> {
        wanted.as_ref().and_then(|_| before.clone().or(none))
    }
    Resources {
        memory: back(&before.memory, &wanted.memory, Some(-1)),
        memory_swap: back(&before.memory_swap, &wanted.memory_swap, Some(-1)),
        memory_reservation: back(&before.memory_reservation, &wanted.memory_reservation, Some(-1)),
        cpu_shares: back(&before.cpu_shares, &wanted.cpu_shares, Some(1024)),
        cpu_quota: back(&before.cpu_quota, &wanted.cpu_quota, Some(-1)),
        cpu_period: back(&before.cpu_period, &wanted.cpu_period, Some(100_000)),
        cpu_rt_period: back(&before.cpu_rt_period, &wanted.cpu_rt_period, None),
        cpu_rt_runtime: back(&before.cpu_rt_runtime, &wanted.cpu_rt_runtime, Some(0)),
        // Of those, the group's beginning is not known.
        cpuset_cpus: back(&before.cpuset_cpus, &wanted.cpuset_cpus, None),
        cpuset_mems: back(&before.cpuset_mems, &wanted.cpuset_mems, None),
        pids: back(&before.pids, &wanted.pids, Some(-1)),
        blkio_weight: back(&before.blkio_weight, &wanted.blkio_weight, Some(100)),
        ..Resources::default()
    }
}

/// All but the devices.
pub(crate) fn limits(host: &HostConfig, warnings: &mut Vec<String>) -> Result<Resources> {
    let given = |value: Option<i64>| value.filter(|value| *value != 0);
    let mut limits = Resources {
        memory: given(host.memory),
        memory_reservation: given(host.memory_reservation),
        memory_swap: given(host.memory_swap),
        oom_kill_disable: host.oom_kill_disable.unwrap_or(false),
        cpu_shares: positive(host.cpu_shares, "cpu-shares")?,
        cpu_quota: given(host.cpu_quota),
        cpu_period: positive(host.cpu_period, "cpu-period")?,
        cpuset_cpus: host.cpuset_cpus.clone().filter(|text| !text.is_empty()),
        cpuset_mems: host.cpuset_mems.clone().filter(|text| !text.is_empty()),
        pids: given(host.pids_limit),
        blkio_weight: host.blkio_weight.filter(|weight| *weight != 0),
        ..Resources::default()
    };
    memory(host, &mut limits, warnings)?;
    processors(host, &mut limits)?;
    real_time(host, &mut limits)?;
    if limits.blkio_weight.is_some_and(|weight| !(10..=1000).contains(&weight)) {
        return Err(Error::Invalid("Range of blkio weight is from 10 to 1000".into()));
    }
    for device in host.blkio_weight_device.iter().flatten() {
        limits.blkio_weight_device.push(weight(device)?);
    }
    for (kind, devices) in [
        (ThrottleKind::ReadBytes, &host.blkio_device_read_bps),
        (ThrottleKind::WriteBytes, &host.blkio_device_write_bps),
        (ThrottleKind::ReadOperations, &host.blkio_device_read_iops),
        (ThrottleKind::WriteOperations, &host.blkio_device_write_iops),
    ] {
        for device in devices.iter().flatten() {
            limits.throttle.push(throttle(kind, device)?);
        }
    }
    Ok(limits)
}

fn positive(value: Option<i64>, name: &str) -> Result<Option<u64>> {
    match value {
        None | Some(0) => Ok(None),
        Some(value) => u64::try_from(value)
            .map(Some)
            .map_err(|_| Error::Invalid(format!("invalid {name} {value}: it cannot be negative"))),
    }
}

fn memory(host: &HostConfig, limits: &mut Resources, warnings: &mut Vec<String>) -> Result<()> {
    if limits.memory.is_some_and(|bytes| bytes < LEAST_MEMORY) {
        return Err(Error::Invalid("Minimum memory limit allowed is 6MB".into()));
    }
    match (limits.memory, limits.memory_swap) {
        (Some(memory), Some(total)) if total > 0 && total < memory => {
            return Err(Error::Invalid(
                "Minimum memoryswap limit should be larger than memory limit, see usage".into(),
            ));
        }
        (None, Some(total)) if total > 0 => {
            return Err(Error::Invalid(
                "You should always set the Memory limit when using Memoryswap limit, see usage".into(),
            ));
        }
        // Docker: as much swap again as memory, where the kernel counts it.
        (Some(memory), None) if counts_swap() => limits.memory_swap = Some(memory.saturating_mul(2)),
        _ => {}
    }
    if let (Some(memory), Some(reservation)) = (limits.memory, limits.memory_reservation)
        && memory < reservation
    {
        return Err(Error::Invalid(
            "Minimum memory limit can not be less than memory reservation limit, see usage".into(),
        ));
    }
    if let Some(value) = host.memory_swappiness.filter(|value| *value != -1) {
        let value = u64::try_from(value).ok().filter(|value| *value <= 100).ok_or_else(|| {
            Error::Invalid(format!("Invalid value: {value}, valid memory swappiness range is 0-100"))
        })?;
        limits.memory_swappiness = Some(value);
    }
    if limits.oom_kill_disable && limits.memory.is_none() {
        warnings.push("OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.".into());
    }
    Ok(())
}

fn counts_swap() -> bool {
    Layout::detect().is_ok_and(|layout| layout.has("memory", "memory.memsw.limit_in_bytes"))
}

fn processors(host: &HostConfig, limits: &mut Resources) -> Result<()> {
    if let Some(nano) = host.nano_cpus.filter(|nano| *nano != 0) {
        if limits.cpu_quota.is_some() || limits.cpu_period.is_some() {
            return Err(Error::Invalid(
                "Conflicting options: Nano CPUs and CPU Period or Quota cannot both be set".into(),
            ));
        }
        let available = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let most = i64::try_from(available).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        if nano < 10_000_000 || nano > most {
            return Err(Error::Invalid(format!(
                "range of CPUs is from 0.01 to {available}.00, as there are only {available} CPUs available"
            )));
        }
        limits.cpu_period = Some(100_000);
        limits.cpu_quota = Some(nano / 10_000);
    }
    if limits.cpu_period.is_some_and(|period| !(1_000..=1_000_000).contains(&period)) {
        return Err(Error::Invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)".into(),
        ));
    }
    if limits.cpu_quota.is_some_and(|quota| quota > 0 && quota < 1_000) {
        return Err(Error::Invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)".into()));
    }
    for (name, list) in [("cpuset-cpus", &limits.cpuset_cpus), ("cpuset-mems", &limits.cpuset_mems)] {
        if let Some(list) = list
            && !list.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'-'))
        {
            return Err(Error::Invalid(format!("Invalid value {list} for {name}")));
        }
    }
    Ok(())
}

/// The numbers of a disk.
fn disk(path: &str) -> Result<(u32, u32)> {
    let metadata = std::fs::metadata(path).doing(|| format!("look at the device {path}"))?;
    if !metadata.file_type().is_block_device() {
        return Err(Error::Invalid(format!("{path} is not a block device")));
    }
    Ok((rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev())))
}

fn throttle(kind: ThrottleKind, device: &ThrottleDevice) -> Result<Throttle> {
    let path = device.path.as_deref().unwrap_or("");
    let (major, minor) = disk(path)?;
    let rate = u64::try_from(device.rate.unwrap_or(0))
        .map_err(|_| Error::Invalid(format!("invalid rate for {path}")))?;
    Ok(Throttle { kind, major, minor, rate })
}

fn weight(device: &ResourcesBlkioWeightDevice) -> Result<Weight> {
    let path = device.path.as_deref().unwrap_or("");
    let (major, minor) = disk(path)?;
    let weight = device.weight.and_then(|weight| u16::try_from(weight).ok());
    let weight = weight.filter(|weight| (10..=1000).contains(weight));
    let weight = weight.ok_or_else(|| {
        Error::Invalid(format!("invalid weight for {path}: the range of blkio weight is from 10 to 1000"))
    })?;
    Ok(Weight { major, minor, weight })
}

/// `--cpu-rt-period` and `--cpu-rt-runtime`: of these the kernel checks the rest, with what the groups above have.
fn real_time(host: &HostConfig, limits: &mut Resources) -> Result<()> {
    limits.cpu_rt_period = positive(host.cpu_realtime_period, "cpu-rt-period")?;
    limits.cpu_rt_runtime = host.cpu_realtime_runtime.filter(|runtime| *runtime != 0);
    if limits.cpu_rt_period.is_none() && limits.cpu_rt_runtime.is_none() {
        return Ok(());
    }
    let layout = Layout::detect()?;
    if layout.version() == "2" || !layout.has("cpu", "cpu.rt_runtime_us") {
        return Err(Error::Invalid(
            "Your kernel does not support CPU real-time scheduler: it schedules no groups so \
             (CONFIG_RT_GROUP_SCHED, with cgroup version 1)"
                .into(),
        ));
    }
    if let (Some(period), Some(runtime)) = (limits.cpu_rt_period, limits.cpu_rt_runtime)
        && u64::try_from(runtime).is_ok_and(|runtime| runtime > period)
    {
        return Err(Error::Invalid(
            "cpu real-time runtime cannot be higher than cpu real-time period".into(),
        ));
    }
    Ok(())
}
