//! Command lines that cannot be read, explained in Docker's words, with Docker's exit codes.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use crate::Cli;
use crate::failure::printable;

/// Says what is wrong, or shows the help that was asked for; gives the exit code.
pub(crate) fn explain(error: &clap::Error) -> ExitCode {
    let value = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let command = command_of_line();
    let name =
        command.as_ref().map_or("bulkhead".into(), |command| format!("bulkhead {}", command.get_name()));
    let (message, code) = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print!("{error}");
            return ExitCode::SUCCESS;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            print!("{error}");
            return ExitCode::SUCCESS;
        }
        ErrorKind::UnknownArgument => {
            let flag = value(ContextKind::InvalidArg);
            let hint = match value(ContextKind::SuggestedArg) {
                similar if similar.is_empty() => String::new(),
                similar => format!(": did you mean {similar}?"),
            };
            match flag.starts_with("--") || !flag.starts_with('-') {
                true if !flag.starts_with('-') => (format!("{name} does not take {flag:?}"), 1),
                true => (format!("unknown flag: {flag}{hint}"), 125),
                false => (
                    format!("unknown shorthand flag: '{}' in {flag}{hint}", flag.trim_start_matches('-')),
                    125,
                ),
            }
        }
        ErrorKind::MissingRequiredArgument => {
            let needed = command.as_ref().map_or(1, |command| {
                command.get_positionals().filter(|argument| argument.is_required_set()).count()
            });
            let plural = if needed == 1 { "" } else { "s" };
            (format!("'{name}' requires at least {needed} argument{plural}"), 1)
        }
        ErrorKind::InvalidSubcommand => {
            let similar = value(ContextKind::SuggestedSubcommand);
            let hint =
                if similar.is_empty() { String::new() } else { format!("\n\nDid you mean {similar}?") };
            (format!("unknown command: bulkhead {}{hint}", value(ContextKind::InvalidSubcommand)), 1)
        }
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or("").trim_start_matches("error: ").to_owned();
            (line, 125)
        }
    };
    eprintln!("bulkhead: {}\n\nRun '{name} --help' for more information", printable(&message));
    ExitCode::from(code)
}

/// The command that the line names.
fn command_of_line() -> Option<Command> {
    let all = Cli::command();
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    words.iter().find_map(|word| all.find_subcommand(word).cloned())
}
