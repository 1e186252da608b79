//! Waiting for something to become true, with an end: no test hangs, and none sleeps longer than it must.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Generous: it is reached only by what never happens.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `attempt` until it gives a value; after `patience` gives its last refusal as the error.
///
/// # Errors
/// What `attempt` answered last.
pub fn poll<T, E>(patience: Duration, mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let end = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(refusal) if Instant::now() >= end => return Err(refusal),
            Err(_) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
        }
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not within [`PATIENCE`]; `what` says what was awaited.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    if poll(PATIENCE, || if condition() { Ok(()) } else { Err(()) }).is_err() {
        panic!("waited {PATIENCE:?} in vain until {what}");
    }
}
