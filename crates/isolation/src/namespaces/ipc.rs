//! The IPC namespace (ipc_namespaces(7)).
//!
//! *Isolates* System V shared memory, semaphores and message queues, and POSIX message queues. (POSIX shared
//! memory and semaphores are files in /dev/shm: the engine gives each IPC namespace one of its own.)
//!
//! *Modes:* its own; the host's (`--ipc=host`); another container's (`--ipc=container:X`), with its /dev/shm.
//!
//! *Forbids:* attaching to, reading or removing another's segments, semaphores and queues.
//!
//! *Set up* by CLONE_NEWIPC; a mounted mqueue file system shows the namespace of whoever mounted it, so the
//! child mounts it.

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::plan::Handle;

/// CLONE_NEWIPC.
pub const FLAG: i32 = 0x0800_0000;

/// Whose IPC objects a container sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IpcNamespace {
    /// Its own.
    #[default]
    New,
    /// The host's.
    Host,
    /// Those of the namespace given.
    Join(Handle),
}

impl IpcNamespace {
    pub(crate) fn membership(self) -> Membership {
        match self {
            IpcNamespace::New => Membership::New,
            IpcNamespace::Host => Membership::Host,
            IpcNamespace::Join(handle) => Membership::Joined(handle),
        }
    }
}
