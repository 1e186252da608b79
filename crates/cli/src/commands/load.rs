//! `bulkhead load`.

use std::fs::File;
use std::io::Read;

use super::Done;
use crate::Context;
use crate::failure::Failure;

/// Take in images from an archive
#[derive(Debug, clap::Args)]
pub struct Load {
    /// The archive; standard input without it
    #[arg(short, long, value_name = "FILE")]
    input: Option<String>,
    /// Say nothing but what was loaded (there is nothing else to say yet)
    #[arg(short, long)]
    quiet: bool,
}

impl Load {
    pub(super) fn run(self, context: &Context) -> Done {
        let archive: Box<dyn Read + Send> = match &self.input {
            Some(path) => {
                Box::new(File::open(path).map_err(|error| Failure::new(format!("open {path}: {error}")))?)
            }
            None if rustix::termios::isatty(rustix::stdio::stdin()) => {
                return Err(Failure::new("requested load from stdin, but stdin is empty"));
            }
            None => Box::new(std::io::stdin()),
        };
        let mut engine = context.engine()?;
        for image in engine.load(archive, &mut |_| {})? {
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
