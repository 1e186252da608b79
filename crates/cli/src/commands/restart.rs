//! `bulkhead restart`.

use bulkhead_engine::Error;
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
            if container.auto_remove {
                let why = "it was made with --rm, and is removed when it stops";
                return Err(Error::Conflict(format!("cannot restart container {name}: {why}")).into());
            }
            engine.stop(&container, self.how.signal.as_deref(), self.how.timeout)?;
            let starting = Starting { trace: context.trace, ..Starting::default() };
            let started = engine.start(&container, starting).map_err(|error| of_start(error).code(1))?;
            warn(&started.warnings);
            Ok(())
        })
    }
}
