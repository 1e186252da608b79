//! `ps`: a container's processes, by the host's ps(1).

use std::process::Command;

use bulkhead_isolation::cgroups;
use clap::Args;

use super::list::Format;
use super::{Context, print, print_json};
use crate::error::{Doing, Error, Result};

#[derive(Debug, Args)]
pub(super) struct Ps {
    /// table or json
    #[arg(short, long, default_value = "table")]
    format: Format,
    /// The container
    id: String,
    /// What ps(1) is given, -ef if nothing
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Ps {
    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        let container = context.store.find(&self.id)?;
        let pids = cgroups::processes(&container.state.cgroup)?;
        if self.format == Format::Json {
            return print_json(&pids);
        }
        let usual = ["-ef".to_owned()];
        let options = if self.options.is_empty() { &usual[..] } else { &self.options };
        let output = Command::new("ps").args(options).output().doing(|| "run ps".into())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::invalid(format!("ps: {}", said.trim())));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines();
        let head = lines.next().unwrap_or_default();
        let column = head.split_whitespace().position(|word| word == "PID");
        let column = column.ok_or_else(|| Error::invalid("couldn't find PID field in ps output"))?;
        let is_of_container = |line: &&str| {
            let pid = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
            pid.is_some_and(|pid: i32| pids.contains(&pid))
        };
        let mut shown = format!("{head}\n");
        for line in lines.filter(is_of_container) {
            shown.push_str(line);
            shown.push('\n');
        }
        print(&shown)
    }
}
