//! `bulkhead system`: the engine as a whole, and what it does for itself.

mod df;
mod prune;
mod recover;
mod reset;

use bulkhead_engine::Engine;

use super::{Done, boot, events, info};
use crate::Context;

/// Look after the engine as a whole
#[derive(Debug, clap::Args)]
pub struct System {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Start what ran when the machine went down
    Boot,
    /// Move the database's log into the database
    #[command(hide = true)]
    Checkpoint,
    /// Show what happens to containers, images and volumes
    Events(events::Events),
    /// Show what images, containers and volumes take on disk
    Df(df::Df),
    /// Show what this engine and this machine are
    Info(info::Info),
    /// Remove what is not used
    Prune(prune::Prune),
    /// Save what can be read of a damaged database
    Recover,
    /// Put right what a killed process has left
    #[command(hide = true)]
    Repair,
    /// Remove everything
    Reset(reset::Reset),
    /// End all containers before the machine goes down
    Shutdown,
    /// Start a container again, as its restart policy asks for
    #[command(hide = true)]
    StartAgain {
        /// The container's ID
        id: String,
    },
}

impl System {
    pub(super) fn run(self, context: &Context) -> Done {
        match self.command {
            Subcommand::Boot => boot::boot(context),
            Subcommand::Checkpoint => {
                context.engine()?.checkpoint()?;
                Ok(0)
            }
            Subcommand::Df(command) => command.run(context),
            Subcommand::Events(command) => command.run(context),
            Subcommand::Info(command) => command.run(context),
            Subcommand::Prune(command) => command.run(context),
            Subcommand::Reset(command) => command.run(context),
            Subcommand::Recover => recover::run(context),
            Subcommand::Repair => {
                context.engine()?.repair()?;
                Ok(0)
            }
            Subcommand::Shutdown => boot::shutdown(context),
            Subcommand::StartAgain { id } => boot::start_again(context, &id),
        }
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
