//! `bulkhead stats`.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use bulkhead_engine::models::ContainerStatsResponse as Sample;
use bulkhead_engine::{Container, Engine, Error};
use serde_json::json;

use super::{Done, shown};
use crate::Context;
use crate::failure::Failure;
use crate::output::format::{Row, Table, render_rows};
use crate::output::units::{bytes_size, human_size_with};

/// Show what running containers use, again and again
#[derive(Debug, clap::Args)]
pub struct Stats {
    /// Show those that do not run, too
    #[arg(short, long)]
    all: bool,
    /// A Go template, "table TEMPLATE" or "json"
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show it once
    #[arg(long)]
    no_stream: bool,
    /// Show whole IDs
    #[arg(long)]
    no_trunc: bool,
    /// Containers, by name or ID; all that run without
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

const TABLE: Table<'static> = Table {
    format: "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
    quiet: "{{.ID}}",
    raw: None,
    headers: &[
        ("Container", "CONTAINER"),
        ("ID", "CONTAINER ID"),
        ("Name", "NAME"),
        ("CPUPerc", "CPU %"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("MemPerc", "MEM %"),
        ("NetIO", "NET I/O"),
        ("BlockIO", "BLOCK I/O"),
        ("PIDs", "PIDS"),
    ],
    shapes: &[],
    type_name: "*formatter.statsContext",
};

/// Between the first two looks: a rate needs two.
const FIRST: Duration = Duration::from_millis(500);
/// Between all others.
const USUAL: Duration = Duration::from_secs(1);

/// Processor time of a container, and of the whole machine, in nanoseconds.
type Times = (u64, u64);

impl Stats {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        // A name that means nothing is an error at first; later on, it is a container that has gone.
        for name in &self.containers {
            engine.container(name)?;
        }
        let mut before: HashMap<String, Times> = HashMap::new();
        self.look(&mut engine, &mut before)?;
        let mut out = std::io::stdout();
        let live = !self.no_stream && out.is_terminal();
        let mut pause = FIRST;
        loop {
            std::thread::sleep(pause);
            pause = USUAL;
            let rows = self.look(&mut engine, &mut before)?;
            let text = render_rows(self.format.as_deref(), &TABLE, false, &rows);
            let text = text.map_err(|error| Failure::new(error.to_string()))?;
            shown(match live {
                // From the top, each line to its end, and nothing below.
                true => write!(out, "\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")),
                false => out.write_all(text.as_bytes()),
            })?;
            shown(out.flush())?;
            if self.no_stream || (rows.is_empty() && !self.containers.is_empty()) {
                return Ok(0);
            }
        }
    }

    /// A row for each container, of what it has used since the look before.
    fn look(&self, engine: &mut Engine, before: &mut HashMap<String, Times>) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        let mut now = HashMap::new();
        for (asked, container) in self.wanted(engine)? {
            let sample = engine.stats(&container)?;
            let times = times(&sample);
            rows.push(row(&asked, &sample, before.get(&container.id).copied(), self.no_trunc));
            now.insert(container.id, times);
        }
        *before = now;
        Ok(rows)
    }

    /// The containers, each with what it is asked for by.
    fn wanted(&self, engine: &mut Engine) -> Result<Vec<(String, Container)>, Failure> {
        let names: Vec<String> = if self.containers.is_empty() {
            engine.list(self.all)?.into_iter().filter_map(|summary| summary.id).collect()
        } else {
            self.containers.clone()
        };
        let mut found = Vec::new();
        for name in names {
            match engine.container(&name) {
                Ok(container) => found.push((name, container)),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }
}

fn times(sample: &Sample) -> Times {
    let cpu = sample.cpu_stats.as_ref();
    let used = cpu.and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage).unwrap_or(0);
    (used, cpu.and_then(|cpu| cpu.system_cpu_usage).unwrap_or(0))
}

/// Hundredths of one processor's time.
fn cpu_percent(sample: &Sample, before: Option<Times>) -> f64 {
    let (used, machine) = times(sample);
    let Some((used_before, machine_before)) = before else { return 0.0 };
    let (used, machine) = (used.saturating_sub(used_before), machine.saturating_sub(machine_before));
    let processors = sample.cpu_stats.as_ref().and_then(|cpu| cpu.online_cpus).unwrap_or(1);
    if machine == 0 { 0.0 } else { used as f64 / machine as f64 * f64::from(processors) * 100.0 }
}

/// Memory without what is only kept because nobody else needs the room, as Docker counts it; and its limit.
fn memory(sample: &Sample) -> (u64, u64) {
    let Some(memory) = &sample.memory_stats else { return (0, 0) };
    let usage = memory.usage.unwrap_or(0);
    let stat = |name: &str| memory.stats.as_ref().and_then(|stats| stats.get(name).copied());
    let cache = stat("total_inactive_file").or_else(|| stat("inactive_file")).unwrap_or(0);
    (if cache < usage { usage - cache } else { usage }, memory.limit.unwrap_or(0))
}

fn row(asked: &str, sample: &Sample, before: Option<Times>, whole: bool) -> Row {
    let (used, limit) = memory(sample);
    let percent = if limit == 0 { 0.0 } else { used as f64 / limit as f64 * 100.0 };
    let (mut received, mut sent) = (0u64, 0u64);
    for link in sample.networks.iter().flat_map(HashMap::values) {
        received = received.saturating_add(link.rx_bytes.unwrap_or(0));
        sent = sent.saturating_add(link.tx_bytes.unwrap_or(0));
    }
    let disk = |operation: &str| -> u64 {
        let entries = sample.blkio_stats.as_ref().and_then(|stats| stats.io_service_bytes_recursive.as_ref());
        let of = entries.into_iter().flatten().filter(|entry| entry.op.as_deref() == Some(operation));
        of.filter_map(|entry| entry.value).sum()
    };
    let both =
        |first: u64, second: u64| format!("{} / {}", human_size_with(first, 3), human_size_with(second, 3));
    let id = sample.id.clone().unwrap_or_default();
    let short = id.get(..12).unwrap_or(&id).to_owned();
    Row::from(json!({
        "Container": asked,
        "ID": if whole { id } else { short },
        "Name": sample.name.as_deref().unwrap_or("").trim_start_matches('/'),
        "CPUPerc": format!("{:.2}%", cpu_percent(sample, before)),
        "MemUsage": format!("{} / {}", bytes_size(used), bytes_size(limit)),
        "MemPerc": format!("{percent:.2}%"),
        "NetIO": both(received, sent),
        "BlockIO": both(disk("read"), disk("write")),
        "PIDs": sample.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or(0).to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::{Sample, cpu_percent, memory};
    use bulkhead_engine::models::{ContainerCpuStats, ContainerCpuUsage, ContainerMemoryStats};

    #[test]
    fn processors_are_counted_whole() {
        let used = ContainerCpuUsage { total_usage: Some(3_000), ..ContainerCpuUsage::default() };
        let cpu_stats = ContainerCpuStats {
            cpu_usage: Some(used),
            system_cpu_usage: Some(10_000),
            online_cpus: Some(2),
            throttling_data: None,
        };
        let sample = Sample { cpu_stats: Some(cpu_stats), ..Sample::default() };
        // One of two processors, all the time.
        assert!((cpu_percent(&sample, Some((2_000, 8_000))) - 100.0).abs() < 1e-9);
        assert!(cpu_percent(&sample, None).abs() < 1e-9);
        // It was started anew in between.
        assert!(cpu_percent(&sample, Some((9_000, 8_000))).abs() < 1e-9);
    }

    #[test]
    fn what_is_only_cached_does_not_count() {
        let of = |name: &str, value| {
            let stats = Some([(name.to_owned(), value)].into());
            let stats =
                ContainerMemoryStats { usage: Some(100), limit: Some(1000), stats, ..Default::default() };
            memory(&Sample { memory_stats: Some(stats), ..Sample::default() })
        };
        assert_eq!(of("total_inactive_file", 30), (70, 1000));
        assert_eq!(of("inactive_file", 30), (70, 1000));
        assert_eq!(of("inactive_file", 300), (100, 1000));
    }
}
