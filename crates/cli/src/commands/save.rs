//! `bulkhead save`.

use super::Done;
use crate::{Context, archive_file};

/// Write images to an archive
#[derive(Debug, clap::Args)]
pub struct Save {
    /// Write to a file, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// Images, by name or ID
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl Save {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        archive_file::write(self.output.as_deref(), "failed to save image", |out| {
            Ok(engine.save(&self.images, out)?)
        })?;
        Ok(0)
    }
}
