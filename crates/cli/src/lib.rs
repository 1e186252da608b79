//! The `bulkhead` command: Docker's commands, flags, words and exit codes, over the engine.
//!
//! | where | what |
//! |---|---|
//! | [`commands`] | a file per command: its flags (whose comments are the help text) and what it does |
//! | `options` | the flags that make a container, shared by `run` and `create` |
//! | `globals` | Docker's flags before the command |
//! | [`reference`] | what is made from the definitions: docs/docker.md, man pages |
//! | `streams`, `terminal` | the user's terminal and pipes, and a container's |
//! | `template`, `output` | `--format`, tables, sizes, `--filter` |
#![forbid(unsafe_code)]

mod archive_file;
pub mod commands;
mod failure;
mod globals;
mod options;
pub mod output;
pub mod reference;
mod similar;
mod streams;
pub mod template;
mod terminal;
mod usage;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use bulkhead_engine::{Engine, Programs, Roots};
use clap::Parser;

use commands::Command;
use failure::Failure;

/// A compartment of its own for every program.
#[derive(Debug, Parser)]
#[command(
    name = "bulkhead",
    version,
    disable_version_flag = true,
    disable_help_subcommand = true,
    max_term_width = 110,
    args_override_self = true
)]
pub struct Cli {
    /// Folder for what lasts: images, containers, volumes.
    #[arg(long, env = "BULKHEAD_ROOT", value_name = "DIR", hide_env_values = true)]
    root: Option<PathBuf>,
    /// Folder for what dies with a boot.
    #[arg(long, env = "BULKHEAD_STATE", value_name = "DIR", hide_env_values = true)]
    state: Option<PathBuf>,
    /// Print where the time goes, a line per step in microseconds, on stderr.
    #[arg(long)]
    trace_timing: bool,
    /// Print the version.
    #[arg(short, long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(flatten)]
    globals: Option<globals::Globals>,
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// Reads a command line. For the commands that people and scripts call most, only their own flags are looked at:
    /// describing all flags of all commands takes longer than reading them.
    fn read(args: impl Iterator<Item = OsString>) -> Result<Cli, clap::Error> {
        let all: Vec<OsString> = args.collect();
        let is = |index: usize, word: &str| all.get(index).is_some_and(|given| given == word);
        let trace_timing = is(1, "--trace-timing");
        let at = 1 + usize::from(trace_timing);
        let rest = || all.iter().skip(at);
        let command = match all.get(at).and_then(|word| word.to_str()) {
            Some("create") => Command::Create(Box::new(alone("create", rest())?)),
            Some("exec") => Command::Exec(alone("exec", rest())?),
            Some("inspect") => Command::Inspect(alone("inspect", rest())?),
            Some("logs") => Command::Logs(alone("logs", rest())?),
            Some("ps") => Command::Ps(alone("ps", rest())?),
            Some("rm") => Command::Rm(alone("rm", rest())?),
            Some("run") => Command::Run(Box::new(alone("run", rest())?)),
            Some("start") => Command::Start(alone("start", rest())?),
            Some("stop") => Command::Stop(alone("stop", rest())?),
            _ => return Cli::try_parse_from(all),
        };
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        Ok(Cli {
            root: path("BULKHEAD_ROOT"),
            state: path("BULKHEAD_STATE"),
            trace_timing,
            version: None,
            globals: None,
            command,
        })
    }
}

/// Reads the flags of one command; `args` begins with its name.
fn alone<'a, C: clap::Args>(
    name: &'static str,
    args: impl Iterator<Item = &'a OsString>,
) -> Result<C, clap::Error> {
    let described = C::augment_args(clap::Command::new(name).bin_name(format!("bulkhead {name}")));
    // As Docker: of a flag that is given twice the last counts.
    let described = described.max_term_width(110).args_override_self(true);
    C::from_arg_matches(&described.try_get_matches_from(args)?)
}

/// What every command gets.
pub(crate) struct Context {
    roots: Roots,
    pub(crate) trace: bool,
    pub(crate) started: std::time::Instant,
}

impl Context {
    pub(crate) fn roots(&self) -> &Roots {
        &self.roots
    }

    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        Ok(Engine::open(self.roots.clone(), Programs::beside_us()?)?)
    }

    /// One line of `--trace-timing`.
    pub(crate) fn lap(&self, step: &str, micros: u128) {
        if self.trace {
            eprintln!("{micros:>8} µs  {step}");
        }
    }
}

/// Runs the command line; gives the exit code.
pub fn run() -> ExitCode {
    let started = std::time::Instant::now();
    if let Some(args) = commands::oci::asked_for(std::env::args_os()) {
        return bulkhead_oci::run(args);
    }
    if commands::completion::answer() {
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return usage::explain(&error),
    };
    if let Some(Err(failure)) = cli.globals.as_ref().map(globals::Globals::check) {
        failure::complain(&failure.message);
        return ExitCode::from(failure.code);
    }
    let usual = Roots::system();
    let roots = Roots { root: cli.root.unwrap_or(usual.root), state: cli.state.unwrap_or(usual.state) };
    if !roots.root.is_absolute() || !roots.state.is_absolute() {
        eprintln!("bulkhead: --root and --state must be absolute paths");
        return ExitCode::from(125);
    }
    similar::look_in(&roots);
    let context = Context { roots, trace: cli.trace_timing, started };
    context.lap("command line read", started.elapsed().as_micros());
    match cli.command.run(&context) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if !failure.message.is_empty() {
                failure::complain(&failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}
