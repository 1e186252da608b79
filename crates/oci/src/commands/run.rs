//! `run`: makes a container whose program runs at once.

use clap::Args;

use super::Context;
use super::delete::forget;
use crate::error::Result;
use crate::foreground;
use crate::launch::{Beginning, Flags, launch};

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    flags: Flags,
    /// Return when the program runs
    #[arg(short, long)]
    detach: bool,
    /// Keep the container when it has ended
    #[arg(long)]
    keep: bool,
    /// Passed over: the container's orphans are its own, and this process takes no others
    #[arg(long, hide = true)]
    no_subreaper: bool,
}

impl Run {
    pub(super) fn descriptors(&self) -> u32 {
        self.flags.preserve_fds
    }

    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        // With a console socket somebody else has the terminal, and this process may stay or not.
        if self.detach {
            return launch(context, &self.flags, Beginning::Detached).map(|_| 0);
        }
        let inbox = foreground::catch()?;
        let mut launched = launch(context, &self.flags, Beginning::Foreground)?;
        launched.container.unlock();
        if self.flags.console_socket.is_some() {
            launched.first.terminal = None;
        }
        let code = foreground::wait(launched.first, &inbox)?;
        if !self.keep {
            // Somebody else may have deleted it meanwhile.
            match context.store.lock(&self.flags.id) {
                Ok(container) if container.state.first == launched.container.state.first => {
                    forget(context, container)?
                }
                _ => {}
            }
        }
        Ok(code)
    }
}
