//! The mount namespace (mount_namespaces(7)).
//!
//! *Isolates* the tree of mounts. Every container has its own; there is no mode that shares one, since its
//! root is its image.
//!
//! *Forbids:* mounts made inside from being seen outside, and (unless `rslave` or `rshared` is asked for) the
//! other way round.
//!
//! *Set up* by CLONE_NEWNS. The copy of the host's tree that the child is born with is first cut off from it
//! ([`cut_off`]); the container's root is then attached and the copy left behind and dropped ([`pivot`]), so
//! that not even a descriptor leads back.

use std::os::fd::{AsFd, BorrowedFd};

use bulkhead_sys::mount::{Change, set_attributes};
use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};

use crate::error::{Result, Step};
use crate::plan::Handle;

/// CLONE_NEWNS.
pub const FLAG: i32 = 0x0002_0000;

/// A container's mount namespace: always its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MntNamespace {
    /// Whose mounts it begins as a copy of, until its root is in place: the host's, unless it joins another
    /// container's PID namespace. Then that container's, which can look at it there.
    pub copy_of: Option<Handle>,
}

/// How mounts made later travel between a mount and the one that it was bound from (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Propagation {
    /// Not at all, for this mount and all below (`rprivate`).
    #[default]
    RecursivePrivate,
    /// Not at all, for this mount only.
    Private,
    /// From the host in, never out (`rslave`).
    RecursiveSlave,
    /// From the host in, this mount only.
    Slave,
    /// Both ways (`rshared`).
    RecursiveShared,
    /// Both ways, this mount only.
    Shared,
    /// Not at all, and this mount and all below cannot be bound elsewhere.
    RecursiveUnbindable,
    /// Not at all, and this mount cannot be bound elsewhere.
    Unbindable,
}

impl Propagation {
    /// Docker's and mount(8)'s word for it.
    pub fn named(word: &str) -> Option<Propagation> {
        Some(match word {
            "private" => Propagation::Private,
            "rprivate" => Propagation::RecursivePrivate,
            "slave" => Propagation::Slave,
            "rslave" => Propagation::RecursiveSlave,
            "shared" => Propagation::Shared,
            "rshared" => Propagation::RecursiveShared,
            _ => return None,
        })
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Propagation::Private => "private",
            Propagation::RecursivePrivate => "rprivate",
            Propagation::Slave => "slave",
            Propagation::RecursiveSlave => "rslave",
            Propagation::Shared => "shared",
            Propagation::RecursiveShared => "rshared",
            Propagation::Unbindable => "unbindable",
            Propagation::RecursiveUnbindable => "runbindable",
        }
    }

    /// The change that gives it to a mount.
    pub(crate) fn change(self) -> Change<'static> {
        // MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE and MS_SHARED of linux/mount.h.
        let (propagation, recursive) = match self {
            Propagation::Private => (1 << 18, false),
            Propagation::RecursivePrivate => (1 << 18, true),
            Propagation::Slave => (1 << 19, false),
            Propagation::RecursiveSlave => (1 << 19, true),
            Propagation::Shared => (1 << 20, false),
            Propagation::RecursiveShared => (1 << 20, true),
            Propagation::Unbindable => (1 << 17, false),
            Propagation::RecursiveUnbindable => (1 << 17, true),
        };
        Change { propagation, recursive, ..Change::default() }
    }
}

/// In the child: makes the inherited tree stop sending mounts to the host. It goes on receiving them as
/// long as mounts bound from it need that (slaves).
pub(crate) fn cut_off() -> Result<()> {
    let root =
        open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step("mount namespace", || "open /")?;
    set_attributes(root.as_fd(), &Propagation::RecursiveSlave.change())
        .step("mount namespace", || "cut the mounts off from the host's")
}

/// In the child: attaches the detached mount `root` over the inherited tree, to be built up: over the folder `at`, where
/// hooks look for it, as far as the child may go there. Where it is attached matters to nobody else.
pub(crate) fn attach_root(root: BorrowedFd<'_>, at: Option<&str>) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if let Some(at) = at
        && move_mount(root, "", CWD, at, flags).is_ok()
    {
        return Ok(());
    }
    move_mount(root, "", CWD, "/", flags).step("root file system", || "attach the root file system")
}

/// In the child: makes `root` the root, and drops everything that was there before.
pub(crate) fn pivot(root: BorrowedFd<'_>) -> Result<()> {
    rustix::process::fchdir(root).step("pivot", || "enter the root file system")?;
    rustix::process::pivot_root(".", ".")
        .step("pivot", || "make the container's root file system the root")?;
    // The old root now lies over the new one at `.`; without it nothing leads back.
    unmount(".", UnmountFlags::DETACH).step("pivot", || "leave the host's mounts behind")?;
    rustix::process::chdir("/").step("pivot", || "enter the new root")
}
