//! An OCI runtime with runc's command line, over the isolation core: what Docker, containerd, Podman and so Kubernetes
//! call to have a container made, when they are told to call `bulkhead-runtime`.
//!
//! It follows the OCI runtime specification (runtime.md, config.md, config-linux.md), and runc where the specification
//! leaves to runtimes what callers have come to rely on: flags, state fields, exit codes, words of errors.
//!
//! **From config.json to a plan.** [`spec`] has the types of config.json, a file per subject, and in the same file what
//! becomes of them in a [`Plan`](bulkhead_isolation::Plan). Properties that nobody knows are passed over, as the specification
//! asks; a value of the wrong type is refused with its JSON path; what is known and cannot be done is refused by name, never
//! dropped. The types are our own: the crate that has them all (oci-spec) fails on any word that it does not know, where
//! the specification wants a warning, and links a regular expression engine into an executable whose start is counted in
//! microseconds; the system call filter's types are the isolation core's already.
//!
//! **State.** [`state`], [`store`]: a folder per container under `--root` with `state.json` (runc's field names), `lock`, and, while a
//! container waits to be started, the socket `start`. A process is named by number, start time and boot. The file is
//! written before there is anything to lose: a `create` that is killed leaves a record whose lock is free and whose
//! process is none, which counts as no container, and which the next command that meets it removes with its group.
//!
//! **Life.**
//!
//! | command | what happens |
//! |---|---|
//! | `create` | [`launch`]: the plan is carried out up to the program's last steps; the child waits at the socket `start`, which it has as a descriptor, and the creator ends ([`hold`](bulkhead_isolation::hold)) |
//! | `start` | connects to that socket; the child runs its hooks and becomes the program, or says why it cannot |
//! | `run` | both in one: the child does not wait. Without `--detach` this process stays, and ends with the program's code |
//! | `state`, `list` | the record, and what the process and its group say now |
//! | `kill`, `pause`, `resume`, `update`, `events` | the process by a pidfd that is checked against the record; the group |
//! | `exec` | [`enter`](bulkhead_isolation::enter) |
//! | `delete` | the process must have ended (`--force` ends it); group, hooks, folder |
//!
//! Nobody stays beside a container: no shim, no supervisor. Who wants its exit code is its parent, as with runc.
//!
//! **Control groups** are made by this runtime or, with `--systemd-cgroup`, by systemd: [`groups`].
//!
//! **Hooks** run where the specification says: `prestart` and `createRuntime` here, when the container's mounts are attached
//! and its root is not yet changed; `createContainer` then in the child, which still has the host's tree around it;
//! `startContainer` in the child, right before its program; `poststart` and `poststop` here.
#![forbid(unsafe_code)]

mod attendant;
mod caller;
mod commands;
mod console;
mod error;
mod foreground;
pub mod groups;
mod launch;
mod listener;
mod log;
mod loopback;
mod process;
mod relay;
pub mod spec;
pub mod state;
pub mod store;

use std::ffi::OsString;
use std::process::ExitCode;

pub use error::{Error, Result};

/// The name by which the executable is this runtime, without a further word.
pub const NAME: &str = "bulkhead-runtime";

/// Runs a command line, the program's name first; gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    ExitCode::from(commands::run(&args))
}
