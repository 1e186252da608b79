//! `bulkhead push`.

use bulkhead_engine::Reference;
use bulkhead_engine::commands::push::PushRequest;

use super::Done;
use super::pull::{credentials, trust};
use crate::Context;
use crate::failure::Failure;
use crate::output::transfer::Transfer;

/// Send an image to a registry
#[derive(Debug, clap::Args)]
pub struct Push {
    /// Send all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Whether images are left unsigned: true
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", hide_default_value = true, value_name = "BOOL")]
    disable_content_trust: bool,
    /// Print the image's name alone
    #[arg(short, long)]
    quiet: bool,
    /// The image: NAME[:TAG]; the name says which registry
    image: String,
}

impl Push {
    pub(super) fn run(self, context: &Context) -> Done {
        trust(self.disable_content_trust)?;
        let exact = Reference::parse_exact(&self.image).map_err(|error| Failure::new(error.to_string()))?;
        if !self.all_tags && !self.quiet && exact.tag().is_none() {
            println!("Using default tag: latest");
        }
        let credentials = credentials(&exact)?;
        let request = PushRequest { reference: self.image.clone(), all_tags: self.all_tags };
        let mut engine = context.engine()?;
        let mut shown = Transfer::new(self.quiet, false);
        let pushed = engine.push(&request, &credentials, &mut |line| shown.tell(&line));
        drop(shown);
        pushed?;
        if self.quiet {
            match self.all_tags {
                true => println!("{}", exact.name()),
                false => {
                    println!("{}", Reference::parse(&self.image).map_err(|e| Failure::new(e.to_string()))?)
                }
            }
        }
        Ok(0)
    }
}
