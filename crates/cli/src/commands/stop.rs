//! `bulkhead stop`.

use super::{Done, for_each};
use crate::Context;

/// Stop containers
#[derive(Debug, clap::Args)]
pub struct Stop {
    #[command(flatten)]
    how: How,
    /// Containers, by name or ID
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// How containers are stopped.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// The signal that asks for it
    #[arg(short, long)]
    pub(super) signal: Option<String>,
    /// Seconds to wait before the container is killed; -1 waits for ever
    #[arg(
        short = 't',
        long = "timeout",
        alias = "time",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    pub(super) timeout: Option<i64>,
}

impl Stop {
    pub(super) fn run(self, context: &Context) -> Done {
        let engine = context.engine()?;
        for_each(&self.containers, |name| {
            let container = engine.container(name)?;
            Ok(engine.stop(&container, self.how.signal.as_deref(), self.how.timeout)?)
        })
    }
}
