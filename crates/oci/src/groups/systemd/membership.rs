//! Who is in a unit's group. On version 1 a process enters the groups of all hierarchies by itself, one after the other, and
//! whoever makes the container does other things meanwhile. The steward must not leave before: for systemd a scope that is
//! empty for a moment is over, and with it what it shows, limits and stops.

use std::time::{Duration, Instant};

use bulkhead_isolation::{Error, Result, Step};

use super::STEP;

/// How long the container's process may take.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_micros(500);

/// The hierarchies in which a process is in this group, a line of /proc/PID/cgroup each.
pub(super) fn of(pid: i32, path: &str) -> Result<Vec<String>> {
    let file = format!("/proc/{pid}/cgroup");
    let groups = std::fs::read_to_string(&file).step(STEP, || format!("read {file}"))?;
    let here = |line: &&str| line.splitn(3, ':').nth(2) == Some(path);
    Ok(groups.lines().filter(here).map(str::to_owned).collect())
}

/// Waits until `pid` is in this group wherever the process `other` is.
///
/// # Errors
/// It has ended, or does not come.
pub(super) fn await_beside(pid: i32, other: i32, path: &str) -> Result<()> {
    let wanted = of(other, path)?;
    let begun = Instant::now();
    loop {
        let found = of(pid, path)?;
        if wanted.iter().all(|line| found.contains(line)) {
            return Ok(());
        }
        if has_ended(pid) || begun.elapsed() > PATIENCE {
            return Err(Error::new(
                STEP,
                format!("the container's process has not entered the control group {path}"),
            ));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether a process is no more, waited for or not (proc(5), /proc/PID/stat).
fn has_ended(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_none_or(|state| "ZX".contains(state))
}

#[cfg(test)]
mod tests {
    use super::{await_beside, has_ended, of};

    #[test]
    fn this_process_is_beside_itself_and_in_no_other_group() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(of(own, "/no/such/group").unwrap().is_empty());
        assert!(await_beside(own, own, "/no/such/group").is_ok());
        assert!(!has_ended(own) && has_ended(i32::MAX));
    }
}
