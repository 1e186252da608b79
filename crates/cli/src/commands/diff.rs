//! `bulkhead diff`.

use std::io::Write;

use super::Done;
use crate::Context;
use crate::failure::printable;

/// Show what a container changed in its files: A (added), C (changed), D (deleted)
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// The container, by name or ID
    container: String,
}

impl Diff {
    pub(super) fn run(self, context: &Context) -> Done {
        let mut engine = context.engine()?;
        let container = engine.container(&self.container)?;
        let terminal = rustix::termios::isatty(rustix::stdio::stdout());
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for difference in engine.diff(&container)? {
            write!(out, "{} ", difference.kind)?;
            if terminal {
                // What the container calls its files must not drive it.
                out.write_all(printable(&String::from_utf8_lossy(&difference.path)).as_bytes())?;
            } else {
                out.write_all(&difference.path)?;
            }
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(0)
    }
}
