//! Command lines that cannot be read, explained in Docker's words, with Docker's exit codes.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use crate::Cli;
use crate::failure::printable;
use crate::options::docker;

/// Says what is wrong, or shows the help that was asked for; gives the exit code.
pub(crate) fn explain(error: &clap::Error) -> ExitCode {
    let value = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let (name, command) = command_of_line();
    let of_run = command.as_ref().is_some_and(|command| matches!(command.get_name(), "run" | "create"));
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
            if let Some(why) = docker::refusal(&flag, of_run) {
                return complain(&format!("{flag} is refused: {why}"), &name, 125);
            }
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
            (format!("unknown command: {name} {}{hint}", value(ContextKind::InvalidSubcommand)), 1)
        }
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or("").trim_start_matches("error: ").to_owned();
            (line, 125)
        }
    };
    complain(&message, &name, code)
}

fn complain(message: &str, name: &str, code: u8) -> ExitCode {
    eprintln!("bulkhead: {}\n\nRun '{name} --help' for more information", printable(message));
    ExitCode::from(code)
}

/// The command that the line names, and how: `bulkhead container run`. Of a group, it is the command in it.
fn command_of_line() -> (String, Option<Command>) {
    let (mut name, mut command) = ("bulkhead".to_owned(), None::<Command>);
    let mut all = Cli::command();
    for word in std::env::args_os().skip(1) {
        if let Some(found) = all.find_subcommand(&word).cloned() {
            name = format!("{name} {}", found.get_name());
            all = found.clone();
            command = Some(found);
        }
        if !all.has_subcommands() {
            break;
        }
    }
    (name, command)
}
