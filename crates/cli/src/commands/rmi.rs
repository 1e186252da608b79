//! `bulkhead rmi`.

use bulkhead_engine::commands::images::Removed;

use super::Done;
use crate::Context;
use crate::failure::{Failure, complain};

/// Remove images
#[derive(Debug, clap::Args)]
pub struct Rmi {
    /// Remove an image that has several names
    #[arg(short, long)]
    force: bool,
    /// Images, by name or ID
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl Rmi {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        let mut code = 0;
        for name in &self.images {
            match engine.remove_image(name, self.force) {
                Ok(done) => {
                    for one in done {
                        match one {
                            Removed::Untagged(name) => println!("Untagged: {name}"),
                            Removed::Deleted(digest) => println!("Deleted: {digest}"),
                        }
                    }
                }
                Err(error) => {
                    complain(&Failure::from(error).message);
                    code = 1;
                }
            }
        }
        Ok(code)
    }
}
