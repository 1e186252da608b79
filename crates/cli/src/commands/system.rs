//! `bulkhead system`: what the engine does for itself.

use bulkhead_engine::Engine;

use super::Done;
use crate::Context;

/// Look after the engine itself
#[derive(Debug, clap::Args)]
pub struct System {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Move the database's log into the database
    Checkpoint,
    /// Put right what a killed process has left
    Repair,
}

impl System {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        match self.command {
            Subcommand::Checkpoint => engine.checkpoint()?,
            Subcommand::Repair => engine.repair()?,
        }
        Ok(0)
    }
}

/// Moves the database's log into the database in a process that nobody waits for.
pub(super) fn checkpoint_aside(context: &Context, engine: &Engine) {
    if engine.wants_checkpoint()
        && let Ok(program) = std::env::current_exe()
    {
        // If it cannot be started now, the next command tries again.
        let _ = std::process::Command::new(program)
            .arg("--root")
            .arg(&context.roots.root)
            .arg("--state")
            .arg(&context.roots.state)
            .args(["system", "checkpoint"])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
    }
}
