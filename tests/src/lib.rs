//! The harness of the end-to-end tests: each test makes a [`Host`] of its own, uses `bulkhead` on it as a person
//! does, and has it looked over for leftovers at the end.
//!
//! A host is a set of namespaces (mount, network, PID, UTS, IPC, cgroup) with its own `/run`, `/tmp`,
//! `/var/lib/bulkhead` and `/dev`, its own copy of `/etc`, and a cgroup subtree that it sees as the root. The rest of
//! the machine is visible and read-only, so a test cannot change it, and neither can an engine that writes where it
//! should not. Hosts take milliseconds, share nothing, and so run in parallel.
//!
//! ```no_run
//! use bulkhead_tests::Host;
//! let host = Host::new("hello").with_busybox();
//! host.bulkhead(["run", "--rm", "busybox", "echo", "hello"]).prints("hello");
//! host.finish();
//! ```
//!
//! `BULKHEAD_BIN` names the executable under test; without it, it is the one of this checkout's release build.
//! `BULKHEAD_TEST_KEEP=1` keeps each host until the test process is interrupted, and prints how to enter it.

// A test says what went wrong by panicking: that is what `unwrap` is for here.
#![allow(clippy::unwrap_used, clippy::panic)]

pub mod archive;
pub mod cgroups;
pub mod command;
pub mod engines;
pub mod host;
pub mod images;
pub mod leftovers;
pub mod measure;
pub mod pty;
pub mod registry;
pub mod served;
pub mod skip;
pub mod vm;
pub mod wait;

pub use command::{Cmd, Output};
pub use host::Host;
pub use pty::Pty;
pub use served::Served;
