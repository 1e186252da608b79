//! What is made from the definitions of flags and commands, so that it is never out of date: docs/docker.md, and the man
//! pages.

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

/// The text of docs/docker.md.
pub fn docker() -> String {
    let defined = flags_of_run();
    let note = |name: &str| NOTES.iter().find(|(noted, _)| *noted == name).map(|(_, says)| *says);
    let refused = |says: Option<Says>| matches!(says, Some(Says::Refused(_)));
    let differs = |says: Option<Says>| matches!(says, Some(Says::Differs(_)));
    let count = |is: &dyn Fn(Option<Says>) -> bool| DOCKERS.iter().filter(|name| is(note(name))).count();
    let mut text = format!(
        "# What of Docker works here\n\n\
         Made from the definitions in `crates/api/src/routes/table.rs` and `crates/cli/src/options/` by\n\
         `cargo run -p bulkhead-cli --example docker-reference`; a test fails when it is out of date. What a server's clients\n\
         should know beside it is in [api.md](api.md).\n\n\
         ## The routes of its API\n\n{}\n\
         ## The flags of `docker run`\n\n\
         `create` takes the same but `--detach`, `--detach-keys` and `--sig-proxy`. Docker's own command gives them to a server\n\
         of ours, and there they mean the same.\n\n\
         Of Docker's {} flags {} work as Docker's, {} differ, {} are refused.\n\n\
         | flag | | |\n|---|---|---|\n",
        bulkhead_api::reference(),
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
    fn the_tables_are_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/docker.md");
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            there == super::docker(),
            "docs/docker.md is out of date: cargo run -p bulkhead-cli --example docker-reference"
        );
    }
}
