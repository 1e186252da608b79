//! Docker's flags before the command. They say which of several engines is meant, and how the client behaves; here the
//! client is the engine, and the machine's own. What says that is taken, what says something else is refused: a command
//! that was meant for another machine must not be carried out on this one.

use crate::failure::Failure;

/// The flags.
#[derive(Debug, clap::Args)]
pub(crate) struct Globals {
    /// Folder of the client's settings (bulkhead has none).
    #[arg(long, value_name = "DIR", hide = true)]
    config: Option<String>,
    /// Which engine: default
    #[arg(short, long, value_name = "NAME", hide = true)]
    context: Option<String>,
    /// Say more (there is no more to be said).
    #[arg(short = 'D', long, hide = true)]
    debug: bool,
    /// Address of the engine: unix:///var/run/docker.sock, for the machine's own.
    #[arg(short = 'H', long, value_name = "ADDRESS", hide = true)]
    host: Vec<String>,
    /// How much to say: debug, info, warn, error or fatal.
    #[arg(short, long, value_name = "LEVEL", hide = true)]
    log_level: Option<String>,
}

/// Addresses of the machine's own engine, as Docker's clients have them.
const OWN: [&str; 4] = ["", "unix://", "unix:///var/run/docker.sock", "unix:///run/docker.sock"];
const LEVELS: [&str; 6] = ["debug", "info", "warn", "error", "fatal", "panic"];

impl Globals {
    /// Refuses what would mean another engine than the machine's own, and what means nothing.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let refuse = |message: String| Err(Failure::new(message).code(125));
        if let Some(host) = self.host.iter().find(|host| !OWN.contains(&host.as_str())) {
            return refuse(format!(
                "--host={host}: bulkhead is the engine of this machine, and reaches no other"
            ));
        }
        if let Some(name) = self.context.as_deref().filter(|name| !matches!(*name, "" | "default")) {
            return refuse(format!(
                "context \"{name}\": context not found: bulkhead is the engine of this machine, and has \"default\" alone"
            ));
        }
        if let Some(level) = self.log_level.as_deref().filter(|level| !LEVELS.contains(level)) {
            return refuse(format!("unable to parse logging level: {level}"));
        }
        Ok(())
    }
}
