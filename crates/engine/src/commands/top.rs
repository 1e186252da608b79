//! `top`: the processes of a container, as the host's ps(1) shows them: its own IDs and numbers are the host's, which is
//! what one needs to do something about them.

use std::process::Command;

use bulkhead_isolation::cgroups;

use crate::Engine;
use crate::error::{Doing, Error, Result};
use crate::store::containers::Container;

/// A table of processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// The columns' names.
    pub titles: Vec<String>,
    /// A row for each process.
    pub processes: Vec<Vec<String>>,
}

impl Engine {
    /// What ps says of the container's processes; `options` are its own (`-ef` if there are none).
    ///
    /// # Errors
    /// The container does not run, or ps cannot be executed, refuses its options, or shows no PIDs.
    pub fn top(&self, container: &Container, options: &[String]) -> Result<Top> {
        if self.condition(container)?.running().is_none() {
            return Err(Error::Conflict(format!("container {} is not running", container.id)));
        }
        let usual = ["-ef".to_owned()];
        let options = if options.is_empty() { &usual[..] } else { options };
        let pids = cgroups::processes(&self.cgroup_of(container))?;
        let list: Vec<String> = pids.iter().map(i32::to_string).collect();
        let ps = |more: &[String]| {
            let output = Command::new("ps").args(options).args(more).output();
            output.doing(|| "run ps, which shows processes (procps of the distribution)")
        };
        // Not all options go together with a list of processes; then all are shown, and selected here.
        let mut output = ps(&["-q".to_owned(), list.join(",")])?;
        let all = !output.status.success();
        if all {
            if let Some(named) = options.iter().find(|word| word.contains('=')) {
                let why = "a column that is given a name goes with options that choose no processes only";
                return Err(Error::Invalid(format!("ps: {named:?}: {why}")));
            }
            output = ps(&[])?;
        }
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::Invalid(format!("ps: {}", said.lines().next().unwrap_or("it failed"))));
        }
        select(&String::from_utf8_lossy(&output.stdout), &pids, all)
    }
}

/// Columns that never have a space in them.
const ONE_WORD: [&str; 27] = [
    "UID", "USER", "RUSER", "EUID", "RUID", "GID", "GROUP", "PID", "PPID", "TGID", "LWP", "SPID", "NLWP",
    "PGID", "PGRP", "SID", "SESS", "S", "STAT", "F", "C", "%CPU", "%MEM", "NI", "PRI", "TTY", "TT",
];

/// The lines of ps's output that are about these processes. If it shows `all` that there are, the column PID must be found
/// in each line for certain: what stands before it has no spaces.
fn select(text: &str, pids: &[i32], all: bool) -> Result<Top> {
    let mut lines = text.lines();
    let titles: Vec<String> = lines.next().unwrap_or("").split_whitespace().map(str::to_owned).collect();
    let at = titles.iter().position(|title| title == "PID").ok_or_else(|| {
        Error::Invalid("Couldn't find PID field in ps output: ask for it (-o pid,…)".into())
    })?;
    if all && !titles.iter().take(at).all(|title| ONE_WORD.contains(&title.as_str())) {
        return Err(Error::Invalid("ps: with these options, PID must be the first column (-o pid,…)".into()));
    }
    let processes = lines
        .map(|line| columns(line, titles.len()))
        .filter(|row| row.get(at).and_then(|pid| pid.parse().ok()).is_some_and(|pid| pids.contains(&pid)))
        .collect();
    Ok(Top { titles, processes })
}

/// A line's columns, of which the last has all that is left.
fn columns(line: &str, count: usize) -> Vec<String> {
    let mut rest = line.trim();
    let mut row = Vec::with_capacity(count);
    while row.len() + 1 < count {
        let Some((column, after)) = rest.split_once(char::is_whitespace) else { break };
        row.push(column.to_owned());
        rest = after.trim_start();
    }
    row.push(rest.to_owned());
    row
}

#[cfg(test)]
mod tests {
    use super::{Top, select};

    #[test]
    fn only_the_container_s_lines_are_shown_and_commands_stay_whole() {
        let text = "UID          PID CMD\nroot           1 /sbin/init\n604569600     42 sh -c sleep  5\n";
        let row = ["604569600", "42", "sh -c sleep  5"].map(str::to_owned).to_vec();
        let titles = ["UID", "PID", "CMD"].map(str::to_owned).to_vec();
        assert_eq!(select(text, &[42, 99], true).unwrap(), Top { titles, processes: vec![row] });
        assert!(select("CMD\nsh\n", &[1], false).is_err());
    }

    #[test]
    fn nobody_elses_line_passes_for_one_of_the_container() {
        // A program of the host whose second word is a number that is a process here.
        let text = "COMMAND PID\nsleep 42 1\n";
        assert!(select(text, &[42], true).is_err());
        assert!(select("PID COMMAND\n1 sleep 42\n", &[42], true).unwrap().processes.is_empty());
    }
}
