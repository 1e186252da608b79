//! `bulkhead kill`.

use super::{Done, for_each};
use crate::Context;
use crate::failure::Failure;

/// Send a signal to containers
#[derive(Debug, clap::Args)]
pub struct Kill {
    /// The signal, by name or number
    #[arg(short, long, default_value = "KILL")]
    signal: String,
    /// Containers, by name or ID
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Kill {
    pub(super) fn run(self, context: &Context) -> Done {
        let signal = bulkhead_sys::signals::parse(&self.signal)
            .ok_or_else(|| Failure::new(format!("invalid signal: {}", self.signal)))?;
        let engine = context.engine()?;
        for_each(&self.containers, |name| {
            let container = engine.container(name)?;
            engine.kill(&container, signal)?;
            // Docker answers a KILL when it has done its work.
            if signal == 9 {
                match engine.wait(&container) {
                    // It has ended, and removed itself.
                    Ok(_) | Err(bulkhead_engine::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        })
    }
}
