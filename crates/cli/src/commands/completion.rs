//! `bulkhead completion`: the shell's half of completion. It asks this executable what could come next (the variable
//! COMPLETE says so, see [`answer`]), so that flags are always those of the executable, and names those that there are.

use std::ffi::OsStr;

use bulkhead_engine::{Engine, Programs, Roots};
use clap::CommandFactory;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{Bash, CompleteEnv, EnvCompleter, Fish, Zsh};

use super::Done;
use crate::Cli;
use crate::Context;

/// The variable by which a shell asks.
const ASKED: &str = "COMPLETE";

/// Print what a shell needs to complete commands, flags and names
#[derive(Debug, clap::Args)]
#[command(
    after_help = "bash: source <(bulkhead completion bash)\nzsh:  source <(bulkhead completion zsh)\nfish: bulkhead completion fish | source"
)]
pub struct Completion {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    Bash,
    Fish,
    Zsh,
}

impl Completion {
    pub(super) fn run(self, _: &Context) -> Done {
        let shell: &dyn EnvCompleter = match self.shell {
            Shell::Bash => &Bash,
            Shell::Fish => &Fish,
            Shell::Zsh => &Zsh,
        };
        shell.write_registration(ASKED, "bulkhead", "bulkhead", "bulkhead", &mut std::io::stdout().lock())?;
        Ok(0)
    }
}

/// Answers a shell that asks; whether one did.
pub(crate) fn answer() -> bool {
    if std::env::var_os(ASKED).is_none() {
        return false;
    }
    let command = || with_names(Cli::command());
    // What cannot be answered leaves the shell to its own means.
    let _ = CompleteEnv::with_factory(command)
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref());
    true
}

/// What is completed for an argument, by its name in the commands.
fn with_names(command: clap::Command) -> clap::Command {
    with_names_below(command, "")
}

fn with_names_below(command: clap::Command, parent: &str) -> clap::Command {
    let group = command.get_name().to_owned();
    let command = command.mut_args(|argument| {
        let completer = match (argument.get_id().as_str(), group.as_str()) {
            ("container" | "containers", _) => ArgValueCompleter::new(containers),
            ("image" | "images" | "source", _) => ArgValueCompleter::new(images),
            ("names", "rmi") => ArgValueCompleter::new(images),
            ("network", _) => ArgValueCompleter::new(networks),
            ("names", "rm" | "inspect") if parent == "network" => ArgValueCompleter::new(networks),
            ("names", "rm" | "inspect") => ArgValueCompleter::new(volumes),
            _ => return argument,
        };
        argument.add(completer)
    });
    command.mut_subcommands(|command| with_names_below(command, &group))
}

/// What begins with what is written so far.
fn beginning(all: impl IntoIterator<Item = String>, current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    all.into_iter().filter(|name| name.starts_with(&*current)).map(CompletionCandidate::new).collect()
}

/// The engine, if it is there and may be asked: completing makes nothing.
fn engine() -> Option<Engine> {
    let path = |name: &str| std::env::var_os(name).map(std::path::PathBuf::from);
    let usual = Roots::system();
    let roots = Roots {
        root: path("BULKHEAD_ROOT").unwrap_or(usual.root),
        state: path("BULKHEAD_STATE").unwrap_or(usual.state),
    };
    if !roots.root.join("bulkhead.db").exists() {
        return None;
    }
    Engine::open(roots, Programs::beside_us().ok()?).ok()
}

fn containers(current: &OsStr) -> Vec<CompletionCandidate> {
    beginning(engine().and_then(|engine| engine.names("container").ok()).unwrap_or_default(), current)
}

fn images(current: &OsStr) -> Vec<CompletionCandidate> {
    beginning(engine().and_then(|engine| engine.names("image").ok()).unwrap_or_default(), current)
}

fn networks(current: &OsStr) -> Vec<CompletionCandidate> {
    beginning(engine().and_then(|engine| engine.names("network").ok()).unwrap_or_default(), current)
}

fn volumes(current: &OsStr) -> Vec<CompletionCandidate> {
    beginning(engine().and_then(|engine| engine.names("volume").ok()).unwrap_or_default(), current)
}
