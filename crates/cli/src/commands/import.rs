//! `bulkhead import`.

use std::fs::File;
use std::io::Read;

use bulkhead_engine::ImportOptions;

use super::Done;
use crate::Context;
use crate::failure::Failure;
use crate::output::progress;

/// Make an image from the tar of a root file system
#[derive(Debug, clap::Args)]
pub struct Import {
    /// Change the image's configuration by a Dockerfile's instruction
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// A message for the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// The tar file, or - for standard input
    file: String,
    /// The image's name
    name: Option<String>,
}

impl Import {
    pub(super) fn run(self, context: &Context) -> Done {
        let (tar, length): (Box<dyn Read + Send>, _) = match self.file.as_str() {
            "-" => (Box::new(std::io::stdin()), None),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                return Err(Failure::new(
                    "this version of bulkhead does not import from addresses: download the file first",
                ));
            }
            path => {
                let file = File::open(path).map_err(|error| Failure::new(format!("open {path}: {error}")))?;
                let length = file.metadata().ok().map(|metadata| metadata.len());
                (Box::new(file), length)
            }
        };
        let options = ImportOptions {
            message: self.message.unwrap_or_else(|| format!("Imported from {}", self.file)),
            changes: self.change,
            ..ImportOptions::default()
        };
        let (tar, bar) = progress::of_reading("Importing", length, tar, false);
        let image = context.engine()?.import(tar, self.name.as_deref(), &options);
        drop(bar);
        println!("{}", image?.id);
        Ok(0)
    }
}
