//! `bulkhead commit`.

use bulkhead_engine::commands::commit::Options;

use super::{Done, warn};
use crate::Context;

/// Make an image of what a container changed
#[derive(Debug, clap::Args)]
pub struct Commit {
    /// Who makes it, e.g. "Ada Lovelace <ada@example.org>"
    #[arg(short, long, value_name = "TEXT")]
    author: Option<String>,
    /// Change the image's configuration by a Dockerfile's instruction
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// A message for the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Freeze the container meanwhile
    #[arg(
        short,
        long,
        num_args = 0..=1,
        default_value_t = true,
        default_missing_value = "true",
        require_equals = true,
        action = clap::ArgAction::Set
    )]
    pause: bool,
    /// The container, by name or ID
    container: String,
    /// The image's name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

impl Commit {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        let container = engine.container(&self.container)?;
        let options = Options {
            name: self.name,
            author: self.author,
            message: self.message,
            changes: self.change,
            pause: self.pause,
            config: None,
        };
        let (image, warnings) = engine.commit(&container, &options)?;
        warn(&warnings);
        println!("{}", image.id);
        Ok(0)
    }
}
