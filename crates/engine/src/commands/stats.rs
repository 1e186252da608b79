//! `stats`: what a running container uses, in Docker's form. Each look is one sample; who wants a rate takes two, and puts
//! the earlier one's processor time into the later one (`precpu_stats`), as Docker does.

use std::collections::HashMap;

use bollard_stubs::models::{
    ContainerBlkioStatEntry, ContainerBlkioStats, ContainerCpuStats, ContainerCpuUsage, ContainerMemoryStats,
    ContainerNetworkStats, ContainerPidsStats, ContainerStatsResponse, ContainerStorageStats,
    ContainerThrottlingData,
};
use bulkhead_isolation::cgroups::usage::{self, Io, Usage};
use bulkhead_supervisor::status::Status;
use time::OffsetDateTime;

use crate::Engine;
use crate::error::{Doing, Result};
use crate::spec::namespaces::{Mode, Modes};
use crate::store::containers::Container;

/// Go's moment that has not come, the first of the year 1, in seconds since 1970.
const NEVER: i64 = -62_135_596_800;

impl Engine {
    /// One sample. Of a container that does not run there is nothing but its name and zeros.
    ///
    /// # Errors
    /// The machine's own figures cannot be read.
    pub fn stats(&self, container: &Container) -> Result<ContainerStatsResponse> {
        let mut sample = nothing(container);
        let condition = self.condition(container)?;
        let Some(status) = condition.running() else { return Ok(sample) };
        let usage = usage::of(&self.cgroup_of(container))?;
        let (system, processors) = machine()?;
        sample.read = Some(OffsetDateTime::now_utc());
        sample.cpu_stats = Some(ContainerCpuStats {
            cpu_usage: Some(ContainerCpuUsage {
                total_usage: Some(usage.cpu),
                percpu_usage: Some(usage.per_cpu.clone()).filter(|all| !all.is_empty()),
                usage_in_kernelmode: Some(usage.cpu_kernel),
                usage_in_usermode: Some(usage.cpu_user),
            }),
            system_cpu_usage: Some(system),
            online_cpus: Some(processors),
            throttling_data: Some(ContainerThrottlingData {
                periods: Some(usage.periods),
                throttled_periods: Some(usage.throttled_periods),
                throttled_time: Some(usage.throttled_time),
            }),
        });
        sample.memory_stats = Some(memory(&usage));
        sample.pids_stats = Some(ContainerPidsStats {
            current: Some(usage.pids),
            limit: Some(usage.pids_limit.unwrap_or(u64::MAX)),
        });
        sample.blkio_stats = Some(ContainerBlkioStats {
            io_service_bytes_recursive: Some(entries(&usage.io_bytes)),
            io_serviced_recursive: Some(entries(&usage.io_operations)),
            ..ContainerBlkioStats::default()
        });
        sample.networks = self.networks_of(container, status)?;
        Ok(sample)
    }

    /// What went through the links of its network namespace. The host's own is nobody's to be counted.
    fn networks_of(
        &self,
        container: &Container,
        status: &Status,
    ) -> Result<Option<HashMap<String, ContainerNetworkStats>>> {
        let host = container.config.host_config.clone().unwrap_or_default();
        let Some(first) =
            status.first.as_ref().filter(|_| Modes::of(&host).is_ok_and(|modes| modes.net != Mode::Host))
        else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(format!("/proc/{}/net/dev", first.pid)).unwrap_or_default();
        // The number may have come to mean another process before it was read.
        Ok(first.lives().then(|| links(&text)))
    }
}

/// What is told of one that does not run: programs look into each part.
fn nothing(container: &Container) -> ContainerStatsResponse {
    let never = OffsetDateTime::from_unix_timestamp(NEVER).ok();
    ContainerStatsResponse {
        id: Some(container.id.clone()),
        name: Some(format!("/{}", container.name)),
        os_type: Some("linux".into()),
        read: never,
        preread: never,
        num_procs: Some(0),
        cpu_stats: Some(no_cpu()),
        precpu_stats: Some(no_cpu()),
        memory_stats: Some(ContainerMemoryStats::default()),
        pids_stats: Some(ContainerPidsStats::default()),
        blkio_stats: Some(ContainerBlkioStats::default()),
        storage_stats: Some(ContainerStorageStats::default()),
        ..ContainerStatsResponse::default()
    }
}

fn no_cpu() -> ContainerCpuStats {
    ContainerCpuStats {
        cpu_usage: Some(ContainerCpuUsage {
            total_usage: Some(0),
            usage_in_kernelmode: Some(0),
            usage_in_usermode: Some(0),
            percpu_usage: None,
        }),
        throttling_data: Some(ContainerThrottlingData {
            periods: Some(0),
            throttled_periods: Some(0),
            throttled_time: Some(0),
        }),
        ..ContainerCpuStats::default()
    }
}

/// The later sample, from which with the earlier one a rate can be told.
pub fn after(earlier: &ContainerStatsResponse, later: ContainerStatsResponse) -> ContainerStatsResponse {
    ContainerStatsResponse { precpu_stats: earlier.cpu_stats.clone(), preread: earlier.read, ..later }
}

fn memory(usage: &Usage) -> ContainerMemoryStats {
    let info = rustix::system::sysinfo();
    let total = info.totalram.saturating_mul(u64::from(info.mem_unit));
    ContainerMemoryStats {
        usage: Some(usage.memory),
        max_usage: Some(usage.memory_peak).filter(|peak| *peak > 0),
        stats: Some(usage.memory_stat.clone().into_iter().collect()),
        failcnt: Some(usage.memory_failures),
        // What the machine has not, it cannot use.
        limit: Some(usage.memory_limit.unwrap_or(total).min(total)),
        ..ContainerMemoryStats::default()
    }
}

fn entries(all: &[Io]) -> Vec<ContainerBlkioStatEntry> {
    let entry = |io: &Io| ContainerBlkioStatEntry {
        major: Some(io.major),
        minor: Some(io.minor),
        op: Some(io.operation.clone()),
        value: Some(io.value),
    };
    all.iter().map(entry).collect()
}

/// The processor time of the whole machine in nanoseconds, idle or not, and how many processors it has (proc_stat(5)).
fn machine() -> Result<(u64, u32)> {
    let text = std::fs::read_to_string("/proc/stat").doing(|| "read /proc/stat")?;
    let ticks = |line: &str| -> u64 {
        // user, nice, system, idle, iowait, irq, softirq: what follows is in those, or the host's.
        line.split_whitespace().skip(1).take(7).filter_map(|word| word.parse::<u64>().ok()).sum()
    };
    let all = text.lines().find(|line| line.starts_with("cpu ")).map_or(0, ticks);
    let processors = text
        .lines()
        .filter(|line| line.starts_with("cpu") && line.as_bytes().get(3).is_some_and(u8::is_ascii_digit))
        .count();
    Ok((all.saturating_mul(10_000_000), u32::try_from(processors).unwrap_or(1).max(1)))
}

/// The links of /proc/PID/net/dev, but for the loopback one (proc_pid_net(5)).
fn links(text: &str) -> HashMap<String, ContainerNetworkStats> {
    let link = |line: &str| {
        let (name, counters) = line.split_once(':')?;
        let all: Vec<u64> = counters.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let at = |index: usize| all.get(index).copied();
        let counted = ContainerNetworkStats {
            rx_bytes: at(0),
            rx_packets: at(1),
            rx_errors: at(2),
            rx_dropped: at(3),
            tx_bytes: at(8),
            tx_packets: at(9),
            tx_errors: at(10),
            tx_dropped: at(11),
            ..ContainerNetworkStats::default()
        };
        let name = name.trim();
        (name != "lo" && !all.is_empty()).then(|| (name.to_owned(), counted))
    };
    text.lines().filter_map(link).collect()
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn links_are_counted_but_for_loopback() {
        let text = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0: 1500 10 1 2 0 0 0 0 700 5 3 4 0 0 0 0\n";
        let all = links(text);
        assert_eq!(all.len(), 1);
        let eth0 = &all["eth0"];
        assert_eq!(
            (eth0.rx_bytes, eth0.rx_packets, eth0.rx_errors, eth0.rx_dropped),
            (Some(1500), Some(10), Some(1), Some(2))
        );
        assert_eq!(
            (eth0.tx_bytes, eth0.tx_packets, eth0.tx_errors, eth0.tx_dropped),
            (Some(700), Some(5), Some(3), Some(4))
        );
    }
}
