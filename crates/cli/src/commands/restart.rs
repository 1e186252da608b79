//! `bulkhead restart`.

use bulkhead_engine::commands::start::Starting;

use super::stop::How;
use super::{Done, for_each, warn};
use crate::Context;
use crate::failure::of_start;

/// Stop containers, and start them again
#[derive(Debug, clap::Args)]
pub struct Restart {
    #[command(flatten)]
    how: How,
    /// Containers, by name or ID
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Restart {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        for_each(&self.containers, |name| {
            let container = engine.container(name)?;
            let starting = Starting { trace: context.trace, ..Starting::default() };
            let started = engine
                .restart(&container, self.how.signal.as_deref(), self.how.timeout, starting)
                .map_err(|error| of_start(error).code(1))?;
            warn(&started.warnings);
            Ok(())
        })
    }
}
