//! Where the time of a birth goes: a name and a duration for each step, taken only when asked for.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// One step and how long it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lap {
    /// The step, e.g. `child: mounts`.
    pub step: String,
    /// Microseconds since the step before it.
    pub micros: u64,
}

/// A stopwatch that costs one branch per step when it is off.
#[derive(Debug)]
pub struct Trace {
    last: Option<Instant>,
    laps: Vec<Lap>,
}

impl Trace {
    /// A stopwatch, running if `on`.
    pub fn new(on: bool) -> Trace {
        Trace { last: on.then(Instant::now), laps: Vec::new() }
    }

    /// Whether laps are taken.
    pub fn on(&self) -> bool {
        self.last.is_some()
    }

    /// The step that ends now, which is a fail point too.
    pub fn lap(&mut self, step: &str) {
        bulkhead_sys::fail::point(step);
        if let Some(last) = &mut self.last {
            let now = Instant::now();
            let micros = u64::try_from(now.duration_since(*last).as_micros()).unwrap_or(u64::MAX);
            *last = now;
            self.laps.push(Lap { step: step.into(), micros });
        }
    }

    /// Laps that another process took, marked as its own with `prefix`.
    pub fn adopt(&mut self, prefix: &str, laps: Vec<Lap>) {
        self.laps.extend(laps.into_iter().map(|lap| Lap { step: format!("{prefix}{}", lap.step), ..lap }));
    }

    /// All laps so far.
    pub fn into_laps(self) -> Vec<Lap> {
        self.laps
    }
}
