//! Limits of a control group, in the words of the OCI runtime specification (config-linux.md, "Control groups").

use serde::{Deserialize, Serialize};

use super::devices::Rule;

/// What a container may use. What is `None` is not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Memory in bytes; -1 lifts a limit.
    pub memory: Option<i64>,
    /// Memory that it keeps when memory is short, in bytes.
    pub memory_reservation: Option<i64>,
    /// Memory and swap together, in bytes; -1 is unlimited swap.
    pub memory_swap: Option<i64>,
    /// How readily its memory is swapped out (0–100; version 1 only).
    pub memory_swappiness: Option<u64>,
    /// Whether a process that finds no memory waits instead of being ended (version 1 only).
    pub oom_kill_disable: bool,
    /// Share of the processors relative to other groups (2–262144; 1024 is usual).
    pub cpu_shares: Option<u64>,
    /// Microseconds of processor time in each period; -1 is unlimited.
    pub cpu_quota: Option<i64>,
    /// The period in microseconds.
    pub cpu_period: Option<u64>,
    /// Microseconds in which processes with a real-time schedule may run for `cpu_rt_runtime` (version 1 only).
    pub cpu_rt_period: Option<u64>,
    /// Microseconds of each such period (version 1 only).
    pub cpu_rt_runtime: Option<i64>,
    /// Processors it may run on, e.g. `0-2,5`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes it may use.
    pub cpuset_mems: Option<String>,
    /// How many processes and threads; -1 is unlimited.
    pub pids: Option<i64>,
    /// Share of disk time relative to other groups (10–1000).
    pub blkio_weight: Option<u16>,
    /// The same for single disks.
    pub blkio_weight_device: Vec<Weight>,
    /// Limits for single disks.
    pub throttle: Vec<Throttle>,
    /// Which devices may be opened: of several rules that apply the last decides. Empty: no control.
    pub devices: Vec<Rule>,
    /// Huge pages: a size as the kernel names it (`2MB`), and how many bytes of them.
    #[serde(default)]
    pub huge_pages: Vec<(String, u64)>,
    /// Microseconds of processor time that may be saved up from periods before.
    #[serde(default)]
    pub cpu_burst: Option<u64>,
    /// Whether it gets the processor only where nobody else wants it (1), or not (0).
    #[serde(default)]
    pub cpu_idle: Option<i64>,
    /// Version 2 files and their contents, written last.
    pub unified: Vec<(String, String)>,
}

impl Resources {
    /// `cpu_shares` as version 2 has it.
    pub fn cpu_weight(&self) -> Option<u64> {
        self.cpu_shares.filter(|shares| *shares > 0).map(super::v2::weight_of_shares)
    }

    /// `memory_swap` as version 2 has it, which counts swap alone.
    pub fn swap_alone(&self) -> Option<i64> {
        let alone = |total: i64| total.saturating_sub(self.memory.unwrap_or(0)).max(0);
        self.memory_swap.map(|total| if total < 0 { total } else { alone(total) })
    }
}

/// A share of one disk's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// The disk's major number.
    pub major: u32,
    /// The disk's minor number.
    pub minor: u32,
    /// The share relative to other groups (10–1000).
    pub weight: u16,
}

/// A limit for one disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// What is limited.
    pub kind: ThrottleKind,
    /// The disk's major number.
    pub major: u32,
    /// The disk's minor number.
    pub minor: u32,
    /// Bytes or operations in a second.
    pub rate: u64,
}

/// What a [`Throttle`] limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ThrottleKind {
    /// Bytes read.
    ReadBytes,
    /// Bytes written.
    WriteBytes,
    /// Read operations.
    ReadOperations,
    /// Write operations.
    WriteOperations,
}
