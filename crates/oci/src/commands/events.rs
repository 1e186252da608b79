//! `events`: what a container uses, once (`--stats`) or again and again, and each time that the kernel ended one of its
//! processes for want of memory; in runc's form.

use std::collections::BTreeMap;
use std::time::Duration;

use bulkhead_isolation::cgroups::Created;
use bulkhead_isolation::cgroups::usage::{self, Io, Usage};
use clap::Args;
use serde_json::{Value, json};

use super::{Context, print};
use crate::error::{Error, Result};
use crate::state::Status;

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Show what is used once, and end
    #[arg(long)]
    stats: bool,
    /// How long to wait between two times, e.g. 5s or 500ms
    #[arg(long, default_value = "5s", value_parser = duration)]
    interval: Duration,
    /// The container
    id: String,
}

impl Events {
    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        let container = context.store.find(&self.id)?;
        if container.status() == Status::Stopped {
            return Err(Error::invalid(format!("container with id {} is not running", self.id)));
        }
        let state = &container.state;
        let show = |kind: &str, data: Option<Value>| {
            let mut event = json!({ "type": kind, "id": state.id });
            if let (Some(fields), Some(data)) = (event.as_object_mut(), data) {
                fields.insert("data".into(), data);
            }
            print(&format!("{event}\n"))
        };
        let used = || Ok::<_, Error>(data(&usage::of(&state.cgroup)?));
        if self.stats {
            return show("stats", Some(used()?));
        }
        let group = Created::open(&state.cgroup)?;
        let mut kills = group.oom_kills();
        loop {
            std::thread::sleep(self.interval);
            let now = group.oom_kills();
            for _ in kills..now {
                show("oom", None)?;
            }
            kills = kills.max(now);
            if container.status() == Status::Stopped {
                return Ok(0);
            }
            show("stats", Some(used()?))?;
        }
    }
}

fn data(usage: &Usage) -> Value {
    let raw: &BTreeMap<String, u64> = &usage.memory_stat;
    let memory = json!({
        "usage": usage.memory,
        "max": usage.memory_peak,
        "limit": usage.memory_limit.unwrap_or(u64::MAX),
        "failcnt": usage.memory_failures,
    });
    let disks = |all: &[Io]| -> Vec<Value> {
        all.iter()
            .map(|io| json!({ "major": io.major, "minor": io.minor, "op": io.operation, "value": io.value }))
            .collect()
    };
    json!({
        "cpu": {
            "usage": {
                "total": usage.cpu,
                "percpu": usage.per_cpu,
                "kernel": usage.cpu_kernel,
                "user": usage.cpu_user,
            },
            "throttling": {
                "periods": usage.periods,
                "throttledPeriods": usage.throttled_periods,
                "throttledTime": usage.throttled_time,
            },
        },
        "memory": {
            "cache": raw.get("cache").or(raw.get("file")).copied().unwrap_or(0),
            "usage": memory,
            "raw": raw,
        },
        "pids": { "current": usage.pids, "limit": usage.pids_limit.unwrap_or(0) },
        "blkio": {
            "ioServiceBytesRecursive": disks(&usage.io_bytes),
            "ioServicedRecursive": disks(&usage.io_operations),
        },
        "hugetlb": {},
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

/// A time as Go writes it, of one unit.
fn duration(text: &str) -> std::result::Result<Duration, String> {
    let bad = || format!("invalid duration {text:?}: write a number with ms, s, m or h");
    let at = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(bad)?;
    let (digits, unit) = text.split_at(at);
    let number: u64 = digits.parse().map_err(|_| bad())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(bad()),
    };
    let whole = number.checked_mul(milliseconds).filter(|whole| *whole > 0).ok_or_else(bad)?;
    Ok(Duration::from_millis(whole))
}
