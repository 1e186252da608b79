//! `bulkhead system reset`.

use super::super::Done;
use super::super::container::confirmed;
use crate::Context;
use crate::failure::Failure;

/// Remove everything: containers (those that run are ended), images, volumes, and what the engine made on this machine
#[derive(Debug, clap::Args)]
pub(super) struct Reset {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl Reset {
    pub(super) fn run(self, context: &Context) -> Done {
        let root = context.roots().root.display();
        let question = format!(
            "This will remove:\n  - all containers, running or not\n  - all volumes, with a name or not\n  - all \
             images\n  - the engine's network, and {root}\n"
        );
        if !self.force && !confirmed(&question)? {
            return Err(Failure::new("system reset has been cancelled"));
        }
        for (first, last) in context.engine()?.reset()?.ids {
            println!(
                "The IDs {first}-{last} stay in /etc/subuid and /etc/subgid: files that containers wrote into folders of \
                 the host may have them."
            );
        }
        Ok(0)
    }
}
