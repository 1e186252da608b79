//! A bar on long work: how much of an archive was read. Only on a terminal, and only on stderr, where nobody reads it who
//! reads what a command prints; without colours.

use std::io::{IsTerminal, Read};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Wraps what is read, so that reading it moves a bar. `total` is its length, if that is known.
pub(crate) fn of_reading(
    what: &'static str,
    total: Option<u64>,
    reader: Box<dyn Read + Send>,
    quiet: bool,
) -> (Box<dyn Read + Send>, Bar) {
    if quiet || !std::io::stderr().is_terminal() {
        return (reader, Bar(None));
    }
    // Drawn ten times a second: short work ends before the first time.
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10)).with_message(what);
    let template = match total {
        Some(_) => "{msg} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec}",
        None => "{msg} {spinner} {bytes} {bytes_per_sec}",
    };
    // A template that cannot be read leaves the usual one.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    (Box::new(bar.wrap_read(reader)), Bar(Some(bar)))
}

/// A bar, which is wiped away when this goes, however the work ended.
pub(crate) struct Bar(Option<ProgressBar>);

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
