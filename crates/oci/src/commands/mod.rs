//! The commands, a file each, and the flags before them.

mod checkpoint;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod ps;
mod run;
mod spec;
mod start;
mod state;
mod update;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::caller;
use crate::error::{Error, Result};
use crate::log::Log;
use crate::store::Store;

/// An OCI runtime with runc's command line
#[derive(Debug, Parser)]
#[command(name = "bulkhead-runtime", version, disable_help_subcommand = true, max_term_width = 110)]
#[command(args_override_self = true)]
struct Cli {
    /// Folder for the state of containers; it should die with a boot
    #[arg(long, default_value = "/run/bulkhead-runtime", value_name = "DIR")]
    root: PathBuf,
    /// File that failures are written to, beside stderr
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How they are written: text or json
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    log_format: String,
    /// Write more into the log
    #[arg(long)]
    debug: bool,
    /// Have systemd make the control groups of new containers
    #[arg(long)]
    systemd_cgroup: bool,
    /// true, false or auto; whatever it is, limits that cannot be had are an error
    #[arg(long, default_value = "auto", value_name = "WHETHER")]
    rootless: String,
    /// Passed over: only checkpoint and restore would use it
    #[arg(long, hide = true)]
    criu: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Refused: containers cannot be checkpointed
    Checkpoint(checkpoint::Checkpoint),
    /// Make a container, which waits to be started
    Create(create::Create),
    /// Remove a container that has ended
    Delete(delete::Delete),
    /// Show what a container uses, and when it is out of memory
    Events(events::Events),
    /// Run another program in a container
    Exec(Box<exec::Exec>),
    /// Print what this runtime can do
    Features(features::Features),
    /// Send a signal to a container
    Kill(kill::Kill),
    /// List containers
    List(list::List),
    /// Freeze a container
    Pause(pause::Pause),
    /// Show a container's processes
    Ps(ps::Ps),
    /// Refused: containers cannot be restored
    Restore(checkpoint::Restore),
    /// Let a frozen container go on
    Resume(pause::Resume),
    /// Make and start a container
    Run(run::Run),
    /// Write a config.json to begin with
    Spec(spec::SpecCommand),
    /// Start a container that was made
    Start(start::Start),
    /// Print the state of a container
    State(state::StateCommand),
    /// Change a container's limits
    Update(Box<update::Update>),
}

/// What every command gets.
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) log: Log,
    pub(crate) systemd_cgroup: bool,
}

/// What Go's reader of truths takes, and `auto`.
const ROOTLESS: [&str; 14] =
    ["auto", "", "true", "false", "1", "0", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False"];

/// A failed command's code.
const FAILED: u8 = 1;
/// That of a failed `exec`, as runc has it, so that it is none of a program's usual ones.
const EXEC_FAILED: u8 = 255;

/// Runs a command line; gives the exit code.
pub(crate) fn run(args: &[OsString]) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { FAILED } else { 0 };
        }
    };
    // Before anything of ours is opened, which would be in the place of what is not there.
    let descriptors = caller::check_descriptors(cli.command.descriptors());
    let mut log = match Log::open(cli.log.as_deref(), &cli.log_format, cli.debug) {
        Ok(log) => log,
        Err(error) => {
            Log::usual().error(&format!("cannot open the log: {error}"));
            return FAILED;
        }
    };
    if !ROOTLESS.contains(&cli.rootless.as_str()) {
        log.error(&format!("invalid --rootless {:?}: it is true, false or auto", cli.rootless));
        return FAILED;
    }
    let root = std::path::absolute(&cli.root).unwrap_or(cli.root);
    log.debug(&format!("state is in {}", root.display()));
    let mut context = Context { store: Store::new(root), log, systemd_cgroup: cli.systemd_cgroup };
    let failed = if matches!(cli.command, Command::Exec(_)) { EXEC_FAILED } else { FAILED };
    match descriptors.and_then(|()| cli.command.run(&mut context)) {
        Ok(code) => code,
        Err(error) => {
            context.log.error(&error.to_string());
            failed
        }
    }
}

impl Command {
    /// How many descriptors of the caller's a program gets.
    fn descriptors(&self) -> Option<u32> {
        match self {
            Command::Create(command) => Some(command.descriptors()),
            Command::Run(command) => Some(command.descriptors()),
            Command::Exec(command) => Some(command.descriptors()),
            _ => None,
        }
    }

    fn run(&self, context: &mut Context) -> Result<u8> {
        match self {
            Command::Checkpoint(_) => Err(Error::unsupported("checkpoint")),
            Command::Create(command) => command.run(context),
            Command::Delete(command) => command.run(context),
            Command::Events(command) => command.run(context),
            Command::Exec(command) => command.run(context),
            Command::Features(command) => command.run(context),
            Command::Kill(command) => command.run(context),
            Command::List(command) => command.run(context),
            Command::Pause(command) => command.run(context),
            Command::Ps(command) => command.run(context),
            Command::Restore(_) => Err(Error::unsupported("restore")),
            Command::Resume(command) => command.run(context),
            Command::Run(command) => command.run(context),
            Command::Spec(command) => command.run(context),
            Command::Start(command) => command.run(context),
            Command::State(command) => command.run(context),
            Command::Update(command) => command.run(context),
        }
    }
}

/// Prints a value as JSON, indented.
fn print_json(value: &impl serde::Serialize) -> Result<u8> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::invalid(error.to_string()))?;
    print(&format!("{text}\n"))
}

/// Prints; a reader that has gone is no failure of ours.
fn print(text: &str) -> Result<u8> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::Io { what: "write to standard output".into(), cause: error })
        }
        _ => Ok(0),
    }
}
