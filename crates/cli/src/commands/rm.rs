//! `bulkhead rm`.

use super::{Done, for_each};
use crate::Context;

/// Remove containers
#[derive(Debug, clap::Args)]
pub struct Rm {
    /// End those that run, and take it as done that others are not there
    #[arg(short, long)]
    force: bool,
    /// Remove their anonymous volumes, too
    #[arg(short, long)]
    volumes: bool,
    /// Containers, by name or ID
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Rm {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        let done = for_each(&self.containers, |name| match engine.container(name) {
            Err(bulkhead_engine::Error::NotFound { .. }) if self.force => Ok(()),
            Err(error) => Err(error.into()),
            Ok(container) => Ok(engine.remove(&container, self.force, self.volumes)?),
        });
        super::system::checkpoint_aside(context, &engine);
        done
    }
}
