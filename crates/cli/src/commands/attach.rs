//! `bulkhead attach`.

use bulkhead_engine::detach_keys::DetachKeys;
use bulkhead_engine::protocol::Attach as Wanted;

use super::Done;
use super::run::{check_terminal, finish};
use crate::Context;
use crate::failure::Failure;
use crate::streams::{Outcome, Resize, Session, Streams, pump};
use crate::terminal::{self, Raw};

/// Attach to a running container's streams
#[derive(Debug, clap::Args)]
pub struct Attach {
    /// Keys that detach from the container
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    detach_keys: String,
    /// Leave standard input alone
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to the container
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", value_name = "BOOL")]
    sig_proxy: bool,
    /// The container, by name or ID
    container: String,
}

impl Attach {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        let container = engine.container(&self.container)?;
        let tty = container.config.tty.unwrap_or(false);
        let stdin = !self.no_stdin && container.config.open_stdin.unwrap_or(false);
        let wanted = Wanted { stdin, stdout: true, stderr: !tty };
        check_terminal(tty, wanted)?;
        let keys = DetachKeys::parse(&self.detach_keys).map_err(Failure::new)?;
        let (ours, theirs) = Streams::pipes(wanted)?;
        let connection = engine.attach(&container, wanted, &theirs)?;
        drop(theirs);
        let raw = if tty && stdin { Raw::make(rustix::stdio::stdin())? } else { None };
        if tty {
            let size = terminal::size();
            if size.rows > 0 {
                engine.resize(&container, size.rows, size.columns)?;
            }
        }
        let session = Session {
            connection: &connection,
            is_exec: false,
            detach_keys: if tty { keys } else { DetachKeys::default() },
            proxy_signals: self.sig_proxy,
            resize: if tty { Resize::Container } else { Resize::No },
        };
        let outcome = pump(ours, &session)?;
        drop(raw);
        if outcome == Outcome::Detached {
            eprintln!("read escape sequence");
        }
        finish(&mut engine, &container, outcome)
    }
}
