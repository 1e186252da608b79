//! `bulkhead tag`.

use super::Done;
use crate::Context;

/// Give an image another name
#[derive(Debug, clap::Args)]
pub struct Tag {
    /// The image, by name or ID
    image: String,
    /// Its other name
    name: String,
}

impl Tag {
    pub(super) fn run(self, context: &Context) -> Done {
        context.engine()?.tag(&self.image, &self.name)?;
        Ok(0)
    }
}
