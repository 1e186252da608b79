//! The cgroup namespace (cgroup_namespaces(7)).
//!
//! *Isolates* the view of the control group tree: the container's own group is its `/`, in /proc/PID/cgroup
//! and in a mounted cgroup file system.
//!
//! *Modes:* its own (`--cgroupns=private`, the default); the host's (`--cgroupns=host`); another's, by descriptor.
//!
//! *Forbids:* learning the host's groups, and mounting a group above one's own.
//!
//! *Set up* by unshare(2) in the child when it is in its group: the namespace's root is the group that its
//! maker is in at that moment.

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::error::{Result, Step};
use crate::plan::Handle;

/// CLONE_NEWCGROUP.
pub const FLAG: i32 = 0x0200_0000;

/// Whose view of the control groups a container has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupNamespace {
    /// Its own.
    #[default]
    New,
    /// The host's.
    Host,
    /// That of the namespace given.
    Join(Handle),
}

impl CgroupNamespace {
    pub(crate) fn membership(self) -> Membership {
        match self {
            // A new one the child makes by itself.
            CgroupNamespace::New | CgroupNamespace::Host => Membership::Host,
            CgroupNamespace::Join(handle) => Membership::Joined(handle),
        }
    }

    /// In the child, once it is in its group.
    pub(crate) fn make(self) -> Result<()> {
        match self {
            CgroupNamespace::Host | CgroupNamespace::Join(_) => Ok(()),
            CgroupNamespace::New => {
                bulkhead_sys::namespaces::unshare(FLAG).step("cgroup namespace", || "make a cgroup namespace")
            }
        }
    }
}
