//! The PID namespace (pid_namespaces(7)).
//!
//! *Isolates* processes: the container's first program is PID 1, and it can see and signal only what is born
//! in the namespace. When PID 1 ends, the kernel ends everything else in it, which is what makes "stopped"
//! mean stopped.
//!
//! *Modes:* its own; the host's (`--pid=host`); another container's (`--pid=container:X`).
//!
//! *Forbids:* reaching a process of the host or of another container by number, /proc or ptrace.
//!
//! *Set up* by CLONE_NEWPID. To join one, the supervisor sets the namespace of its later children
//! (setns(2)): the container's program, and every exec after it, are born there. /proc shows the namespace of
//! whoever mounted it, so the child mounts it, not the supervisor.

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::plan::Handle;

/// CLONE_NEWPID.
pub const FLAG: i32 = 0x2000_0000;

/// Which processes a container sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PidNamespace {
    /// Its own.
    #[default]
    New,
    /// All of the host.
    Host,
    /// Those of the namespace given.
    Join(Handle),
}

impl PidNamespace {
    pub(crate) fn membership(self) -> Membership {
        match self {
            PidNamespace::New => Membership::New,
            PidNamespace::Host => Membership::Host,
            PidNamespace::Join(handle) => Membership::Joined(handle),
        }
    }
}
