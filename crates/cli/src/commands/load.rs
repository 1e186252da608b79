//! `bulkhead load`.

use std::fs::File;
use std::io::Read;

use super::Done;
use crate::Context;
use crate::failure::Failure;
use crate::output::progress;

/// Take in images from an archive
#[derive(Debug, clap::Args)]
pub struct Load {
    /// The archive; standard input without it
    #[arg(short, long, value_name = "FILE")]
    input: Option<String>,
    /// Say nothing but what was loaded
    #[arg(short, long)]
    quiet: bool,
}

impl Load {
    pub(super) fn run(self, context: &Context) -> Done {
        let (archive, length): (Box<dyn Read + Send>, _) = match &self.input {
            Some(path) => {
                let file = File::open(path).map_err(|error| Failure::new(format!("open {path}: {error}")))?;
                let length = file.metadata().ok().map(|metadata| metadata.len());
                (Box::new(file), length)
            }
            None if rustix::termios::isatty(rustix::stdio::stdin()) => {
                return Err(Failure::new("requested load from stdin, but stdin is empty"));
            }
            None => (Box::new(std::io::stdin()), None),
        };
        let (archive, bar) = progress::of_reading("Loading", length, archive, self.quiet);
        let mut engine = context.engine()?;
        let loaded = engine.load(archive, &mut |_| {});
        drop(bar);
        for image in loaded? {
            for name in &image.references {
                println!("Loaded image: {}", name.familiar());
            }
            if image.references.is_empty() {
                println!("Loaded image ID: {}", image.id);
            }
        }
        Ok(0)
    }
}
