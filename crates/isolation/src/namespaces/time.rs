//! The time namespace (time_namespaces(7)).
//!
//! *Isolates* the offsets of CLOCK_MONOTONIC and CLOCK_BOOTTIME, and so uptime. The wall clock is one for the
//! whole machine: nothing can isolate it, so setting it is forbidden by capability.
//!
//! *Modes:* the host's (the default, as there is nothing to hide in it); its own, with offsets
//! (`--time-offset monotonic=SECONDS,boottime=SECONDS`).
//!
//! *Set up* by the supervisor for its children: offsets can be written only while nobody lives in the
//! namespace, and a process moves into it by being born.

use std::io::Write;

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::error::{Result, Step};
use crate::plan::Handle;

/// CLONE_NEWTIME.
pub const FLAG: i32 = 0x80;

/// Whose clocks a container has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeNamespace {
    /// The host's.
    #[default]
    Host,
    /// Its own, shifted by these numbers of seconds.
    New {
        /// Offset of CLOCK_MONOTONIC.
        monotonic: i64,
        /// Offset of CLOCK_BOOTTIME.
        boottime: i64,
    },
    /// Those of the namespace given.
    Join(Handle),
}

impl TimeNamespace {
    pub(crate) fn membership(self) -> Membership {
        match self {
            // A new one is made by [`prepare`].
            TimeNamespace::Host | TimeNamespace::New { .. } => Membership::Host,
            TimeNamespace::Join(handle) => Membership::Joined(handle),
        }
    }
}

/// In the supervisor: makes the namespace that its next children are born in.
pub(crate) fn prepare(time: TimeNamespace) -> Result<()> {
    let TimeNamespace::New { monotonic, boottime } = time else { return Ok(()) };
    bulkhead_sys::namespaces::unshare(FLAG).step("time namespace", || "make a time namespace")?;
    let offsets = format!("monotonic {monotonic} 0\nboottime {boottime} 0\n");
    std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/self/timens_offsets")
        .and_then(|mut file| file.write_all(offsets.as_bytes()))
        .step("time namespace", || format!("shift the clocks by {monotonic} s and {boottime} s"))
}
