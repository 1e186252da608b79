//! `bulkhead rename`.

use super::Done;
use crate::Context;

/// Give a container another name
#[derive(Debug, clap::Args)]
pub struct Rename {
    /// The container, by name or ID
    container: String,
    /// Its new name
    new_name: String,
}

impl Rename {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        let container = engine.container(&self.container)?;
        engine.rename(&container, &self.new_name)?;
        Ok(0)
    }
}
