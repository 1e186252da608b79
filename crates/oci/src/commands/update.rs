//! `update`: other limits for a container that is there.

use std::path::PathBuf;

use bulkhead_isolation::cgroups::resources::Resources as Limits;
use bulkhead_isolation::cgroups::usage;
use clap::Args;

use super::Context;
use crate::error::{Doing, Error, Result};
use crate::groups;
use crate::spec::resources::{BlockIo, Cpu, Memory, Pids, Resources};
use crate::state::Status;

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct Update {
    /// File with limits, in the form of config.json's linux.resources; - is standard input. Flags are then not looked at
    #[arg(short, long, value_name = "FILE")]
    resources: Option<PathBuf>,
    /// Share of disk time (10–1000)
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<u16>,
    /// Processor period in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<u64>,
    /// Processor time in each period
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_quota: Option<i64>,
    /// Processor time saved up
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_burst: Option<u64>,
    /// Share of the processors
    #[arg(long, value_name = "SHARES")]
    cpu_share: Option<u64>,
    /// Real-time period in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_period: Option<u64>,
    /// Real-time in each
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_runtime: Option<i64>,
    /// Processors, e.g. 0-2
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Whether it runs only when nobody else wants to (1 or 0)
    #[arg(long, value_name = "WHETHER")]
    cpu_idle: Option<i64>,
    /// Memory in bytes, k, m or g after the number
    #[arg(long, value_parser = bytes)]
    memory: Option<i64>,
    /// Memory that it keeps
    #[arg(long, value_parser = bytes)]
    memory_reservation: Option<i64>,
    /// Memory and swap
    #[arg(long, value_parser = bytes)]
    memory_swap: Option<i64>,
    /// Processes and threads
    #[arg(long, value_name = "COUNT")]
    pids_limit: Option<i64>,
    /// The container
    id: String,
}

impl Update {
    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        let container = context.store.lock(&self.id)?;
        if !matches!(container.status(), Status::Created | Status::Running | Status::Paused) {
            return Err(Error::NotRunning);
        }
        let mut wanted: Resources = match &self.resources {
            Some(path) if path.as_os_str() == "-" => crate::spec::read(std::io::stdin(), "the resources")?,
            Some(path) => {
                let file = std::fs::File::open(path).doing(|| format!("open {}", path.display()))?;
                crate::spec::read(file, &path.display().to_string())?
            }
            None => self.wanted(),
        };
        // Devices stay as they are, as with runc: a kubelet repeats the rules of the configuration, without those that the
        // container's standard devices need.
        wanted.devices = None;
        let check = wanted.memory.as_ref().and_then(|memory| memory.check_before_update).unwrap_or(false);
        let mut warnings = Vec::new();
        let limits = wanted.plan(false, &mut warnings)?;
        if check {
            refuse_below_usage(&limits, &container.state.cgroup)?;
        }
        warnings.extend(groups::of(&container.state).limit(&limits)?);
        warnings.iter().for_each(|warning| context.log.warn(warning));
        Ok(0)
    }

    fn wanted(&self) -> Resources {
        Resources {
            memory: Some(Memory {
                limit: self.memory,
                reservation: self.memory_reservation,
                swap: self.memory_swap,
                ..Memory::default()
            }),
            cpu: Some(Cpu {
                shares: self.cpu_share,
                quota: self.cpu_quota,
                burst: self.cpu_burst,
                period: self.cpu_period,
                realtime_runtime: self.cpu_rt_runtime,
                realtime_period: self.cpu_rt_period,
                cpus: self.cpuset_cpus.clone(),
                mems: self.cpuset_mems.clone(),
                idle: self.cpu_idle,
            }),
            pids: Some(Pids { limit: self.pids_limit }),
            block_io: Some(BlockIo { weight: self.blkio_weight, ..BlockIo::default() }),
            ..Resources::default()
        }
    }
}

/// `memory.checkBeforeUpdate`: a limit below what is used already would have a process ended (version 2), and is refused.
fn refuse_below_usage(limits: &Limits, group: &str) -> Result<()> {
    let Some(limit) = limits.memory.and_then(|limit| u64::try_from(limit).ok()) else { return Ok(()) };
    let used = usage::of(group)?.memory;
    if limit > used {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the container uses {used} bytes of memory, and memory.checkBeforeUpdate refuses a limit of {limit}: nothing was \
         changed"
    )))
}

/// A number of bytes as runc's flags have it: with k, m, g or t for powers of 1,024.
fn bytes(text: &str) -> std::result::Result<i64, String> {
    let lower = text.to_ascii_lowercase();
    let lower = lower.trim_end_matches('b').trim_end_matches('i');
    let (digits, shift) = match lower.char_indices().last() {
        Some((at, 'k')) => (&lower[..at], 10),
        Some((at, 'm')) => (&lower[..at], 20),
        Some((at, 'g')) => (&lower[..at], 30),
        Some((at, 't')) => (&lower[..at], 40),
        _ => (lower, 0),
    };
    let number: i64 = digits.parse().map_err(|_| format!("invalid size: '{text}'"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("invalid size: '{text}' is too large"))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_units() {
        for (text, value) in [("1", 1), ("-1", -1), ("4k", 4096), ("2MB", 2 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(bytes(text), Ok(value), "{text}");
        }
        for bad in ["", "k", "1x", "ä", "9999999999999t"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
