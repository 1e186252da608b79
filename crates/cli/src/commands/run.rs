//! `bulkhead run`.

use bulkhead_engine::commands::create::Purpose;
use bulkhead_engine::commands::start::Starting;
use bulkhead_engine::detach_keys::DetachKeys;
use bulkhead_engine::protocol::Attach;
use bulkhead_engine::{Container, Engine};

use super::create::create;
use super::{Done, warn};
use crate::Context;
use crate::failure::{Failure, of_start};
use crate::options::CreateFlags;
use crate::streams::{Outcome, Resize, Session, Streams, pump};
use crate::terminal::{self, Raw};

/// Make and start a container
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Run {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Let it run in the background, and print its ID
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL")]
    detach: bool,
    /// Keys that detach from the container
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    detach_keys: String,
    /// Pass signals on to the container
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", value_name = "BOOL")]
    sig_proxy: bool,
    #[command(flatten)]
    flags: CreateFlags,
}

impl Run {
    pub(super) fn run(self, context: &Context) -> Done {
        let wanted = self.flags.attached(self.detach)?;
        check_terminal(self.flags.tty, wanted)?;
        let detach_keys =
            DetachKeys::parse(&self.detach_keys).map_err(|text| Failure::new(text).code(125))?;
        let mut engine = context.engine().map_err(|failure| failure.code(125))?;
        engine.spawn_supervisor_early().map_err(of_start)?;
        context.lap("engine opened", context.started.elapsed().as_micros());
        let created = create(&mut engine, &self.flags, self.detach, Purpose::StartNow)?;
        warn(&created.warnings);
        let container = created.container;
        context.lap("container recorded", context.started.elapsed().as_micros());

        let (ours, theirs) = Streams::pipes(wanted)?;
        let starting = Starting {
            attach: wanted,
            streams: theirs,
            stays: !self.detach,
            terminal: terminal::size(),
            trace: context.trace,
            ..Starting::default()
        };
        let started = match engine.start(&container, starting) {
            Ok(started) => started,
            Err(error) => {
                // What never ran leaves nothing behind.
                engine.remove(&container, true, true)?;
                if let Some(file) = &self.flags.cidfile {
                    let _ = std::fs::remove_file(file);
                }
                return Err(of_start(error));
            }
        };
        warn(
            started
                .warnings
                .iter()
                .filter(|w| !created.warnings.contains(w))
                .cloned()
                .collect::<Vec<_>>()
                .as_slice(),
        );
        for lap in &started.laps {
            context.lap(&format!("  {}", lap.step), lap.micros.into());
        }
        context.lap("started", context.started.elapsed().as_micros());
        if self.detach {
            println!("{}", container.id);
            super::system::checkpoint_aside(context, &engine);
            return Ok(0);
        }
        let raw = if self.flags.tty && wanted.stdin { Raw::make(rustix::stdio::stdin())? } else { None };
        let session = Session {
            connection: &started.connection,
            is_exec: false,
            detach_keys: if self.flags.tty { detach_keys } else { DetachKeys::default() },
            proxy_signals: self.sig_proxy,
            resize: if self.flags.tty { Resize::Container } else { Resize::No },
        };
        let outcome = pump(ours, &session)
            .map_err(|error| Failure::new(format!("cannot write standard output: {error}")))?;
        drop(raw);
        context.lap("ended", context.started.elapsed().as_micros());
        let code = finish(&mut engine, &container, outcome)?;
        context.lap("removed", context.started.elapsed().as_micros());
        super::system::checkpoint_aside(context, &engine);
        Ok(code)
    }
}

/// Docker refuses a terminal for input that is none.
pub(super) fn check_terminal(tty: bool, wanted: Attach) -> Result<(), Failure> {
    if tty && wanted.stdin && !rustix::termios::isatty(rustix::stdio::stdin()) {
        return Err(Failure::new("the input device is not a TTY"));
    }
    Ok(())
}

/// The container's exit code; one that removes itself is gone afterwards.
pub(super) fn finish(engine: &mut Engine, container: &Container, outcome: Outcome) -> Done {
    let code = match outcome {
        Outcome::Detached => return Ok(0),
        // As Docker: the container goes on; its output is in its log.
        Outcome::Unread => return Ok(141),
        Outcome::Ended(code) => code,
        // The supervisor was killed: the container's state, looked at now, says the rest.
        Outcome::Lost => engine.wait(container)?,
    };
    if container.auto_remove {
        engine.remove(container, true, true)?;
    }
    Ok(u8::try_from(code).unwrap_or(255))
}
