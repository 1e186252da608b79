//! How far a pull or push is, as Docker shows it: on a terminal a line for each layer, with a bar while bytes travel;
//! elsewhere a line for each change, without bytes.

use std::collections::HashMap;
use std::io::IsTerminal;

use bulkhead_engine::registry::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::printable;

/// Shows what is told.
pub(crate) struct Transfer {
    quiet: bool,
    bars: Option<MultiProgress>,
    lines: HashMap<String, ProgressBar>,
    /// Whether everything goes to stderr: when something else is what the command prints.
    aside: bool,
}

impl Transfer {
    pub(crate) fn new(quiet: bool, aside: bool) -> Transfer {
        let terminal = if aside { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        let target = match aside {
            true => ProgressDrawTarget::stderr_with_hz(10),
            false => ProgressDrawTarget::stdout_with_hz(10),
        };
        let bars = (terminal && !quiet).then(|| MultiProgress::with_draw_target(target));
        Transfer { quiet, bars, lines: HashMap::new(), aside }
    }

    /// Takes one line.
    pub(crate) fn tell(&mut self, progress: &Progress) {
        let status = printable(&progress.status);
        if self.quiet || status.is_empty() {
            return;
        }
        let Some(bars) = &self.bars else {
            // Bytes would be a line ten times a second.
            if progress.detail.is_none() {
                self.print(&progress.id.as_ref().map_or(status.clone(), |id| format!("{id}: {status}")));
            }
            return;
        };
        let Some(id) = &progress.id else {
            // What is above stays there; what comes now is below it.
            if let Err(error) = bars.println(&status) {
                eprintln!("bulkhead: cannot write to the terminal: {error}");
            }
            return;
        };
        let line = self.lines.entry(id.clone()).or_insert_with(|| bars.add(ProgressBar::new(0)));
        let template = match progress.detail {
            Some(_) => "{prefix}: {msg} [{bar:40}] {bytes}/{total_bytes}",
            None => "{prefix}: {msg}",
        };
        // A template that cannot be read leaves the usual one.
        if let Ok(style) = ProgressStyle::with_template(template) {
            line.set_style(style.progress_chars("=> "));
        }
        line.set_prefix(id.clone());
        if let Some((current, total)) = progress.detail {
            line.set_length(total);
            line.set_position(current);
        }
        line.set_message(status);
    }

    fn print(&self, line: &str) {
        if self.aside { eprintln!("{line}") } else { println!("{line}") }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        for line in self.lines.values() {
            // As it stands: it is what has happened.
            line.abandon();
        }
    }
}
