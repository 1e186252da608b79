//! `bulkhead exec`.

use std::os::fd::{AsFd, OwnedFd};

use bulkhead_engine::commands::exec::{ExecRequest, Executing, exec_by_name};
use bulkhead_engine::detach_keys::DetachKeys;
use bulkhead_engine::protocol::Attach;

use super::Done;
use super::run::check_terminal;
use crate::Context;
use crate::failure::{Failure, of_start};
use crate::options::variables;
use crate::streams::{Outcome, Resize, Session, Streams, pump};
use crate::terminal::{self, Raw};

/// Run another program in a running container
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools)]
pub struct Exec {
    /// Let it run in the background
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL")]
    detach: bool,
    /// Keys that detach from it
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    detach_keys: String,
    /// Connect standard input
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL")]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL")]
    tty: bool,
    /// Set a variable; a bare name takes the value that it has here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<String>,
    /// User, by name or number: USER[:GROUP]
    #[arg(short, long)]
    user: Option<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Give it all capabilities
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL")]
    privileged: bool,
    /// The container, by name or ID
    container: String,
    /// Command and arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Exec {
    pub(super) fn run(self, context: &Context) -> Done {
        let wanted = Attach { stdin: self.interactive && !self.detach, stdout: true, stderr: true };
        check_terminal(self.tty, wanted)?;
        let keys = DetachKeys::parse(&self.detach_keys).map_err(Failure::new)?;
        let request = ExecRequest {
            command: self.command,
            env: variables(&self.env, &self.env_file)?,
            working_dir: self.workdir,
            user: self.user,
            terminal: self.tty.then(terminal::size),
            privileged: self.privileged,
            detached: self.detach,
            trace: context.trace,
        };
        if self.detach {
            begin(context, &self.container, &request, &[])?;
            return Ok(0);
        }
        let (pipes, mut theirs) = if self.tty { Default::default() } else { Streams::pipes(wanted)? };
        if !self.tty && !wanted.stdin {
            theirs.insert(0, std::fs::File::open("/dev/null")?.into());
        }
        context.lap("streams ready", context.started.elapsed().as_micros());
        let executing = begin(context, &self.container, &request, &theirs)?;
        drop(theirs);
        for lap in &executing.laps {
            context.lap(&format!("  {}", lap.step), lap.micros.into());
        }
        context.lap("program runs", context.started.elapsed().as_micros());
        let own = executing.terminal.as_ref().map(|own| own.try_clone()).transpose()?;
        let streams = match executing.terminal {
            Some(terminal) => Streams::terminal(terminal, self.interactive)?,
            None => pipes,
        };
        let raw = if self.tty && self.interactive { Raw::make(rustix::stdio::stdin())? } else { None };
        let session = Session {
            connection: &executing.connection,
            is_exec: true,
            detach_keys: if self.tty { keys } else { DetachKeys::default() },
            // Signals are for the container's first program; an exec is ended by its own terminal or client.
            proxy_signals: false,
            resize: own.as_ref().map_or(Resize::No, |own| Resize::Own(own.as_fd())),
        };
        let outcome = pump(streams, &session)
            .map_err(|error| Failure::new(format!("cannot write standard output: {error}")))?;
        drop(raw);
        context.lap("ended", context.started.elapsed().as_micros());
        match outcome {
            Outcome::Ended(code) => Ok(u8::try_from(code).unwrap_or(255)),
            Outcome::Detached => {
                eprintln!("read escape sequence");
                Ok(0)
            }
            Outcome::Unread => Ok(141),
            Outcome::Lost => {
                let what = format!("container {} has ended, and the program with it", executing.container);
                Err(Failure::new(what).code(137))
            }
        }
    }
}

/// Starts it: without the engine's database if the container is found so.
fn begin(
    context: &Context,
    container: &str,
    request: &ExecRequest,
    streams: &[OwnedFd],
) -> Result<Executing, Failure> {
    if let Some(executing) = exec_by_name(context.roots(), container, request, streams).map_err(of_exec)? {
        return Ok(executing);
    }
    let engine = context.engine()?;
    let found = engine.container(container)?;
    context.lap("container found", context.started.elapsed().as_micros());
    engine.exec(&found, request, streams).map_err(of_exec)
}

/// Docker: 126 and 127 for the program, 1 for everything else.
fn of_exec(error: bulkhead_engine::Error) -> Failure {
    let failure = of_start(error);
    if failure.code == 125 { failure.code(1) } else { failure }
}
