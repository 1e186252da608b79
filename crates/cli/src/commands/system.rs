//! `bulkhead system`: what the engine does for itself.

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
