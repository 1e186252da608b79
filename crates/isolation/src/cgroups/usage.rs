//! What a control group has used so far (cpuacct, memory, pids and blkio of version 1; cpu.stat, memory.*, pids.* and
//! io.stat of version 2).
//!
//! Everything is read by path and nothing is kept: the group may go at any moment. A file that is not there is a
//! controller, or an option, that this kernel does not have, and counts nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::below;
use super::layout::Layout;
use crate::error::Result;

/// Its use of everything that is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in nanoseconds.
    pub cpu: u64,
    /// Of that, what its programs themselves used.
    pub cpu_user: u64,
    /// Of that, what the kernel used for it.
    pub cpu_kernel: u64,
    /// Processor time of each processor in nanoseconds (version 1).
    pub per_cpu: Vec<u64>,
    /// Periods of a processor limit.
    pub periods: u64,
    /// Of those, in how many it was held back.
    pub throttled_periods: u64,
    /// For how long altogether, in nanoseconds.
    pub throttled_time: u64,
    /// Memory in bytes, caches included.
    pub memory: u64,
    /// The most that it ever had.
    pub memory_peak: u64,
    /// Its limit in bytes, if there is one.
    pub memory_limit: Option<u64>,
    /// How often the limit was met.
    pub memory_failures: u64,
    /// memory.stat as it is.
    pub memory_stat: BTreeMap<String, u64>,
    /// How many processes and threads are in it.
    pub pids: u64,
    /// How many there may be, if that is limited.
    pub pids_limit: Option<u64>,
    /// Bytes read and written, for each disk.
    pub io_bytes: Vec<Io>,
    /// Operations, for each disk.
    pub io_operations: Vec<Io>,
}

/// A figure of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Io {
    /// Its major number.
    pub major: u64,
    /// Its minor number.
    pub minor: u64,
    /// `read`, `write`, …
    pub operation: String,
    /// How much or how many.
    pub value: u64,
}

/// Looks at the group.
///
/// # Errors
/// No control groups at all on this machine.
pub fn of(path: &str) -> Result<Usage> {
    Ok(match Layout::detect()? {
        Layout::V2(mount) => v2(&below(&mount, path)),
        Layout::V1(hierarchies) => v1(&|controller| {
            let found = hierarchies.iter().find(|h| h.controllers.iter().any(|known| known == controller));
            found.map(|hierarchy| below(&hierarchy.mount, path)).unwrap_or_default()
        }),
    })
}

fn text(path: PathBuf) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn number(path: PathBuf) -> Option<u64> {
    text(path).trim().parse().ok()
}

/// Lines of a name and a number.
fn pairs(text: &str) -> BTreeMap<String, u64> {
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// What version 1 shows where nothing is limited: the largest number of pages.
const NO_LIMIT: u64 = 1 << 62;

fn v1(folder: &dyn Fn(&str) -> PathBuf) -> Usage {
    let (cpu, accounts, memory, pids, disks) =
        (folder("cpu"), folder("cpuacct"), folder("memory"), folder("pids"), folder("blkio"));
    let times = pairs(&text(accounts.join("cpuacct.stat")));
    // Of hundredths of a second: USER_HZ is 100 on every architecture.
    let ticks = |name: &str| times.get(name).copied().unwrap_or(0).saturating_mul(10_000_000);
    let throttled = pairs(&text(cpu.join("cpu.stat")));
    let of = |name: &str| throttled.get(name).copied().unwrap_or(0);
    // Schedulers that weigh groups count by themselves, and only what goes through them.
    let disk = |what: &str| {
        ["bfq.", "throttle."]
            .iter()
            .map(|kind| format!("blkio.{kind}{what}_recursive"))
            .map(|file| io_v1(&text(disks.join(file))))
            .find(|entries| !entries.is_empty())
            .unwrap_or_default()
    };
    Usage {
        cpu: number(accounts.join("cpuacct.usage")).unwrap_or(0),
        cpu_user: ticks("user"),
        cpu_kernel: ticks("system"),
        per_cpu: text(accounts.join("cpuacct.usage_percpu"))
            .split_whitespace()
            .filter_map(|time| time.parse().ok())
            .collect(),
        periods: of("nr_periods"),
        throttled_periods: of("nr_throttled"),
        throttled_time: of("throttled_time"),
        memory: number(memory.join("memory.usage_in_bytes")).unwrap_or(0),
        memory_peak: number(memory.join("memory.max_usage_in_bytes")).unwrap_or(0),
        memory_limit: number(memory.join("memory.limit_in_bytes")).filter(|limit| *limit < NO_LIMIT),
        memory_failures: number(memory.join("memory.failcnt")).unwrap_or(0),
        memory_stat: pairs(&text(memory.join("memory.stat"))),
        pids: number(pids.join("pids.current")).unwrap_or(0),
        pids_limit: number(pids.join("pids.max")),
        io_bytes: disk("io_service_bytes"),
        io_operations: disk("io_serviced"),
    }
}

/// Lines such as `8:0 Read 4096`; the last is a total.
fn io_v1(text: &str) -> Vec<Io> {
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        Some(Io {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            operation: words.next()?.to_lowercase(),
            value: words.next()?.parse().ok()?,
        })
    };
    text.lines().filter_map(entry).collect()
}

fn v2(folder: &Path) -> Usage {
    let times = pairs(&text(folder.join("cpu.stat")));
    let of = |name: &str| times.get(name).copied().unwrap_or(0);
    let micros = |name: &str| of(name).saturating_mul(1000);
    let io = text(folder.join("io.stat"));
    let events = pairs(&text(folder.join("memory.events")));
    Usage {
        cpu: micros("usage_usec"),
        cpu_user: micros("user_usec"),
        cpu_kernel: micros("system_usec"),
        per_cpu: Vec::new(),
        periods: of("nr_periods"),
        throttled_periods: of("nr_throttled"),
        throttled_time: micros("throttled_usec"),
        memory: number(folder.join("memory.current")).unwrap_or(0),
        memory_peak: number(folder.join("memory.peak")).unwrap_or(0),
        memory_limit: number(folder.join("memory.max")),
        memory_failures: events.get("max").copied().unwrap_or(0),
        memory_stat: pairs(&text(folder.join("memory.stat"))),
        pids: number(folder.join("pids.current")).unwrap_or(0),
        pids_limit: number(folder.join("pids.max")),
        io_bytes: io_v2(&io, &[("rbytes", "read"), ("wbytes", "write")]),
        io_operations: io_v2(&io, &[("rios", "read"), ("wios", "write")]),
    }
}

/// Lines such as `8:0 rbytes=4096 wbytes=0 rios=1 …`.
fn io_v2(text: &str, wanted: &[(&str, &str)]) -> Vec<Io> {
    let mut all = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let numbers = words.next().and_then(|disk| disk.split_once(':'));
        let numbers = numbers.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let Some((major, minor)) = numbers else { continue };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let known = wanted.iter().find(|(name, _)| *name == key);
            if let (Some((_, operation)), Ok(value)) = (known, value.parse()) {
                all.push(Io { major, minor, operation: (*operation).to_owned(), value });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Io, io_v1, io_v2, v1, v2};

    fn io(operation: &str, value: u64) -> Io {
        Io { major: 8, minor: 0, operation: operation.into(), value }
    }

    #[test]
    fn both_versions_tell_the_same_of_a_disk() {
        let old = io_v1("8:0 Read 4096\n8:0 Write 512\nTotal 4608\n");
        let new = io_v2(
            "8:0 rbytes=4096 wbytes=512 rios=1 wios=2 dbytes=0 dios=0\n8:16\n",
            &[("rbytes", "read"), ("wbytes", "write")],
        );
        assert_eq!(old, [io("read", 4096), io("write", 512)]);
        assert_eq!(old, new);
        assert_eq!(io_v2("nonsense\n8: rbytes=1\n8:0 rbytes=x\n", &[("rbytes", "read")]), []);
    }

    #[test]
    fn the_files_of_both_versions_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("cpuacct.usage", "5000000000\n");
        write("cpuacct.stat", "user 300\nsystem 200\n");
        write("memory.usage_in_bytes", "1048576\n");
        write("memory.limit_in_bytes", "9223372036854771712\n");
        write("pids.current", "3\n");
        write("pids.max", "max\n");
        let old = v1(&|_| folder.path().to_owned());
        assert_eq!((old.cpu, old.cpu_user, old.cpu_kernel), (5_000_000_000, 3_000_000_000, 2_000_000_000));
        assert_eq!((old.memory, old.memory_limit, old.pids, old.pids_limit), (1 << 20, None, 3, None));
        write("cpu.stat", "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\n");
        write("memory.current", "1048576\n");
        write("memory.max", "2097152\n");
        let new = v2(folder.path());
        assert_eq!((new.cpu, new.cpu_user, new.cpu_kernel), (old.cpu, old.cpu_user, old.cpu_kernel));
        assert_eq!((new.memory, new.memory_limit), (1 << 20, Some(2 << 20)));
    }
}
