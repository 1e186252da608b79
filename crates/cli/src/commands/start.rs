//! `bulkhead start`.

use bulkhead_engine::Error;
use bulkhead_engine::commands::start::Starting;
use bulkhead_engine::detach_keys::DetachKeys;
use bulkhead_engine::protocol::Attach;

use super::run::finish;
use super::{Done, for_each, warn};
use crate::Context;
use crate::failure::Failure;
use crate::streams::{Resize, Session, Streams, pump};
use crate::terminal::{self, Raw};

/// Start containers that do not run
#[derive(Debug, clap::Args)]
pub struct Start {
    /// Attach to its output, and pass signals on
    #[arg(short, long)]
    attach: bool,
    /// Attach to its input
    #[arg(short, long)]
    interactive: bool,
    /// Keys that detach from the container
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    detach_keys: String,
    /// Containers, by name or ID
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Start {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        if !self.attach && !self.interactive {
            return for_each(&self.containers, |name| {
                let container = engine.container(name)?;
                let starting = Starting { trace: context.trace, ..Starting::default() };
                match engine.start(&container, starting) {
                    Ok(started) => {
                        warn(&started.warnings);
                        Ok(())
                    }
                    // As Docker: what runs already is started.
                    Err(Error::Conflict(_)) if engine.still_writes(&container)? => Ok(()),
                    Err(error) => Err(error.into()),
                }
            });
        }
        let [name] = self.containers.as_slice() else {
            return Err(Failure::new("you cannot start and attach multiple containers at once"));
        };
        let container = engine.container(name)?;
        let tty = container.config.tty.unwrap_or(false);
        let wanted = Attach {
            stdin: self.interactive && container.config.open_stdin.unwrap_or(false),
            stdout: true,
            stderr: !tty,
        };
        let keys = DetachKeys::parse(&self.detach_keys).map_err(Failure::new)?;
        let (ours, theirs) = Streams::pipes(wanted)?;
        let starting = Starting {
            attach: wanted,
            streams: theirs,
            stays: true,
            terminal: terminal::size(),
            trace: context.trace,
            ..Starting::default()
        };
        let started = engine.start(&container, starting)?;
        warn(&started.warnings);
        let raw = if tty && wanted.stdin { Raw::make(rustix::stdio::stdin())? } else { None };
        let session = Session {
            connection: &started.connection,
            is_exec: false,
            detach_keys: if tty { keys } else { DetachKeys::default() },
            proxy_signals: true,
            resize: if tty { Resize::Container } else { Resize::No },
        };
        let outcome = pump(ours, &session)?;
        drop(raw);
        finish(&mut engine, &container, outcome)
    }
}
