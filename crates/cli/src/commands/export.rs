//! `bulkhead export`.

use super::{Done, warn};
use crate::{Context, archive_file};

/// Write a container's root file system to a tar
#[derive(Debug, clap::Args)]
pub struct Export {
    /// Write to a file, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// The container, by name or ID
    container: String,
}

impl Export {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        let container = engine.container(&self.container)?;
        let warnings = archive_file::write(self.output.as_deref(), "failed to export container", |out| {
            Ok(engine.export(&container, out)?)
        })?;
        warn(&warnings);
        Ok(0)
    }
}
