//! What is made from the definitions of flags and commands, so that it is never out of date: docs/docker-run.md, and the
//! man pages.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::CommandFactory;

use crate::Cli;
use crate::options::docker::{DOCKERS, NOTES, Says};

/// All commands, for the man pages.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The flags of `run`: name, and help.
pub(crate) fn flags_of_run() -> BTreeMap<String, String> {
    let cli = Cli::command();
    let run = cli.find_subcommand("run");
    let flags = run.into_iter().flat_map(clap::Command::get_arguments);
    flags
        .filter_map(|flag| Some((flag.get_long()?.to_owned(), flag.get_help().map(ToString::to_string))))
        .map(|(name, help)| (name, help.unwrap_or_default()))
        .collect()
}

/// The text of docs/docker-run.md.
pub fn docker_run() -> String {
    let defined = flags_of_run();
    let note = |name: &str| NOTES.iter().find(|(noted, _)| *noted == name).map(|(_, says)| *says);
    let refused = |says: Option<Says>| matches!(says, Some(Says::Refused(_)));
    let differs = |says: Option<Says>| matches!(says, Some(Says::Differs(_)));
    let count = |is: &dyn Fn(Option<Says>) -> bool| DOCKERS.iter().filter(|name| is(note(name))).count();
    let mut text = format!(
        "# The flags of `docker run`\n\n\
         Made from the definitions in `crates/cli/src/options/` by `cargo run -p bulkhead-cli --example docker-run-table`; a\n\
         test fails when it is out of date. `create` takes the same flags but `--detach`, `--detach-keys` and `--sig-proxy`.\n\n\
         Of Docker's {} flags {} work as Docker's, {} differ, {} are refused.\n\n\
         | flag | | |\n|---|---|---|\n",
        DOCKERS.len(),
        count(&|says| says.is_none()),
        count(&differs),
        count(&refused),
    );
    for name in DOCKERS {
        let (how, what) = match note(name) {
            None => ("works", cell(defined.get(name).map_or("", String::as_str))),
            Some(Says::Differs(how)) => ("differs", cell(how)),
            Some(Says::Refused(why)) => ("refused", cell(why)),
        };
        // A String takes any text.
        let _ = writeln!(text, "| `--{name}` | {how} | {what} |");
    }
    text.push_str("\n## Flags that Docker does not have\n\n| flag | |\n|---|---|\n");
    for (name, help) in defined.iter().filter(|(name, _)| !DOCKERS.contains(&name.as_str())) {
        let _ = writeln!(text, "| `--{name}` | {} |", cell(help));
    }
    text
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_of_flags_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/docker-run.md");
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            there == super::docker_run(),
            "docs/docker-run.md is out of date: cargo run -p bulkhead-cli --example docker-run-table"
        );
    }
}
