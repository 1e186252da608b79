//! `create`: makes a container, which waits to be started.

use clap::Args;

use super::Context;
use crate::error::Result;
use crate::launch::{Beginning, Flags, launch};

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    flags: Flags,
}

impl Create {
    pub(super) fn descriptors(&self) -> u32 {
        self.flags.preserve_fds
    }

    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        launch(context, &self.flags, Beginning::Held).map(|_| 0)
    }
}
