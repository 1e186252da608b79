//! Leaving a test out, loudly: a machine that lacks something must not make a test look passed without a word.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Prints the line `SKIPPED: test: reason`, past the test runner's capture. Use it through [`skip!`](crate::skip!).
pub fn announce(reason: &str) {
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not `eprintln!`: the runner captures that, and shows it only when the test fails.
    let line = format!("SKIPPED: {test}: {reason} ({count} skipped in this file so far)\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Ends the test here as left out, saying why. For what this machine cannot do, never for what the engine cannot.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::skip::announce(&format!($($reason)*));
        return;
    }};
}
