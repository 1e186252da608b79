//! `bulkhead search`: refused. The protocol of registries has no search; what Docker asks is Docker Hub's own web site.

use super::Done;
use crate::Context;
use crate::failure::Failure;

/// Search Docker Hub (not supported)
#[derive(Debug, clap::Args)]
pub struct Search {
    /// Docker's flags and words
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<String>,
}

impl Search {
    pub(super) fn run(self, _: &Context) -> Done {
        let words = self.words.join(" ");
        Err(Failure::new(format!(
            "search is not supported without a hub: registries have no search of their own; look for {words:?} on the registry's web site, and `bulkhead pull` it by its name"
        )))
    }
}
