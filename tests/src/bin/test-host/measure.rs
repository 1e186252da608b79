//! Measuring on the host itself, so that the way onto the host is not in the figures.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Prints the microseconds from just before the start of `command` to its end: what a shell's user waits for.
pub(crate) fn time(pause: &OsStr, command: &[&OsStr]) -> ExitCode {
    let pause: f64 = pause.to_str().unwrap().parse().unwrap();
    std::thread::sleep(Duration::from_secs_f64(pause));
    let Some((program, args)) = command.split_first() else { panic!("no command was given") };
    let mut child = Command::new(program);
    child.args(args).stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = child.status().unwrap();
    let took = start.elapsed();
    println!("{}", took.as_micros());
    ExitCode::from(u8::from(!status.success()))
}

/// Prints the sum of the proportional set sizes of all processes whose command is one of `names`.
pub(crate) fn pss(names: &[&OsStr]) -> ExitCode {
    let mut sum = 0_u64;
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        // A name in `comm` has 15 bytes at most.
        let Ok(comm) = fs::read_to_string(entry.path().join("comm")) else { continue };
        let ours = names
            .iter()
            .any(|name| name.to_str().unwrap().get(..15).unwrap_or(name.to_str().unwrap()) == comm.trim());
        if !ours {
            continue;
        }
        let Ok(rollup) = fs::read_to_string(entry.path().join("smaps_rollup")) else { continue };
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        sum += line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
    }
    println!("{sum}");
    ExitCode::SUCCESS
}

/// Prints the KiB that a command's processes have at most, its descendants' included, as often as can be looked: pages that
/// two of them share count for both (proc_pid_statm(5), "resident").
pub(crate) fn peak(command: &[&OsStr]) -> ExitCode {
    let Some((program, args)) = command.split_first() else { panic!("no command was given") };
    let mut child = Command::new(program);
    let mut child =
        child.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    let status = loop {
        most = most.max(resident(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
    };
    println!("{}", most * u64::try_from(rustix::param::page_size()).unwrap() / 1024);
    ExitCode::from(u8::from(!status.success()))
}

/// The pages of a process and its descendants. Those that end meanwhile have none.
fn resident(pid: u32) -> u64 {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let own = read("statm").split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    let mut children = String::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        children += &fs::read_to_string(thread.path().join("children")).unwrap_or_default();
    }
    own + children.split_whitespace().filter_map(|pid| pid.parse().ok()).map(resident).sum::<u64>()
}
