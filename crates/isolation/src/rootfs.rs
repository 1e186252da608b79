//! The root file system: an image's layers under a writable one (overlayfs, see the kernel's
//! Documentation/filesystems/overlayfs.rst), prepared as a detached mount that nobody can reach by a path.
//!
//! Layers are stored once, with the IDs that the image gave them. A container with a user namespace sees them
//! through ID-mapped mounts, handed to overlayfs as descriptors; that costs nothing per file. How they are handed
//! over depends on the kernel: see [`overlay`].

mod overlay;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::mount::{Change, set_attributes};
use rustix::fs::{CWD, Mode, OFlags, open, openat};
use rustix::mount::{OpenTreeFlags, open_tree};
use serde::{Deserialize, Serialize};

use crate::error::{Result, Step};

const STEP: &str = "root file system";

/// What `/` is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// Read-only layers, the lowest first.
    pub layers: Vec<Layer>,
    /// A folder of the container's own with `upper` and `work` in it, for what it writes.
    pub writable: String,
    /// Whether the container sees it all read-only.
    pub readonly: bool,
}

/// Where a layer's files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layer {
    /// A folder that holds the layer in overlayfs's form, with the image's own IDs.
    Folder(String),
    /// The machine's own root: every file is nobody's in the container, so what only some users of the machine
    /// may read, nobody in the container can, not even root with all capabilities.
    Machine,
}

/// What an overlay is made of.
struct Parts {
    /// The uppermost first.
    lower: Vec<Folder>,
    own: Folder,
    upper: OwnedFd,
    work: OwnedFd,
}

/// A folder that files are in.
struct Folder {
    fd: OwnedFd,
    /// Whether it is the root of a mount that is attached nowhere.
    detached: bool,
}

/// Mounts the root file system, detached. `mapping` is the container's user namespace, if it has one.
pub(crate) fn prepare(rootfs: &Rootfs, mapping: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let parts = Parts::open(rootfs, mapping, false)?;
    match overlay::by_descriptor(&parts)? {
        overlay::Answer::Mounted(mount) => Ok(mount),
        overlay::Answer::Unsupported if overlay::needs_namespace(&parts) => {
            drop(parts);
            overlay::by_attached_mounts(&Parts::open(rootfs, mapping, true)?, &rootfs.writable)
        }
        overlay::Answer::Unsupported => overlay::by_path(&parts),
    }
}

impl Parts {
    /// Opens them; `detach` makes all of them detached mounts, those too that need no mapping.
    fn open(rootfs: &Rootfs, mapping: Option<BorrowedFd<'_>>, detach: bool) -> Result<Parts> {
        let mut lower = Vec::with_capacity(rootfs.layers.len());
        for layer in rootfs.layers.iter().rev() {
            lower.push(match layer {
                Layer::Folder(path) => folder(path, mapping, detach)?,
                Layer::Machine => machine()?,
            });
        }
        let own = folder(&rootfs.writable, mapping, detach)?;
        let part = |name: &str| {
            openat(&own.fd, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .step(STEP, || format!("open {name} of the writable layer {}", rootfs.writable))
        };
        let (upper, work) = (part("upper")?, part("work")?);
        Ok(Parts { lower, own, upper, work })
    }

    fn folders(&self) -> impl Iterator<Item = &Folder> {
        self.lower.iter().chain([&self.own])
    }
}

/// The folder at `path`: a detached mount of it if its IDs are to be mapped, or if that is asked for.
fn folder(path: &str, mapping: Option<BorrowedFd<'_>>, detach: bool) -> Result<Folder> {
    if mapping.is_none() && !detach {
        let fd = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .step(STEP, || format!("open the layer {path}"))?;
        return Ok(Folder { fd, detached: false });
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let fd = open_tree(CWD, path, flags).step(STEP, || format!("open the layer {path}"))?;
    if let Some(mapping) = mapping {
        set_attributes(fd.as_fd(), &Change { idmap: Some(mapping), ..Change::default() }).step(STEP, || {
            format!(
                "map the IDs of the layer {path} (its file system must support that: ext4 and XFS since Linux 5.12, \
                 Btrfs since 5.15, tmpfs since 6.3)"
            )
        })?;
    }
    Ok(Folder { fd, detached: true })
}

/// The machine's root, without what is mounted below it.
fn machine() -> Result<Folder> {
    let nobody = crate::namespaces::user::for_mounts(&crate::namespaces::user::IdMappings::nobody())?;
    folder("/", Some(nobody.as_fd()), true)
}
