//! `state`: what a container is and how.

use clap::Args;

use super::{Context, print_json};
use crate::error::Result;

#[derive(Debug, Args)]
pub(super) struct StateCommand {
    /// The container
    id: String,
}

impl StateCommand {
    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        let container = context.store.find(&self.id)?;
        print_json(&container.state.shown(container.status(), String::new()))
    }
}
