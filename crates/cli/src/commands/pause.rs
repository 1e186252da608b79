//! `bulkhead pause` and `bulkhead unpause`.

use super::{Done, for_each};
use crate::Context;

/// Freeze containers
#[derive(Debug, clap::Args)]
pub struct Pause {
    /// Containers, by name or ID
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Let frozen containers go on
#[derive(Debug, clap::Args)]
pub struct Unpause {
    /// Containers, by name or ID
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Pause {
    pub(super) fn run(self, context: &Context) -> Done {
        freeze(context, &self.containers, true)
    }
}

impl Unpause {
    pub(super) fn run(self, context: &Context) -> Done {
        freeze(context, &self.containers, false)
    }
}

fn freeze(context: &Context, names: &[String], frozen: bool) -> Done {
    let engine = context.engine()?;
    for_each(names, |name| {
        let container = engine.container(name)?;
        Ok(engine.freeze(&container, frozen)?)
    })
}
