//! The root file system: an image's layers under a writable one (overlayfs, see the kernel's
//! Documentation/filesystems/overlayfs.rst), prepared as a detached mount that nobody can reach by a path.
//!
//! Layers are stored once, with the IDs that the image gave them. A container with a user namespace sees them
//! through ID-mapped mounts, handed to overlayfs as descriptors (`lowerdir+`); that costs nothing per file.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::mount::{Change, set_attributes};
use rustix::fs::{CWD, Mode, OFlags, open, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_fd,
    fsconfig_set_string, fsmount, fsopen, open_tree,
};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, Step};

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

/// Mounts the root file system, detached. `mapping` is the container's user namespace, if it has one.
pub(crate) fn prepare(rootfs: &Rootfs, mapping: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let mut lower = Vec::with_capacity(rootfs.layers.len());
    for layer in rootfs.layers.iter().rev() {
        lower.push(match layer {
            Layer::Folder(path) => folder(path, mapping)?,
            Layer::Machine => machine()?,
        });
    }
    let own = folder(&rootfs.writable, mapping)?;
    let part = |name: &str| {
        openat(&own, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .step(STEP, || format!("open {name} of the writable layer {}", rootfs.writable))
    };
    overlay(&lower, &part("upper")?, &part("work")?)
}

/// The folder at `path`: a detached mount of it if its IDs are to be mapped.
fn folder(path: &str, mapping: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let Some(mapping) = mapping else {
        return open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .step(STEP, || format!("open the layer {path}"));
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, path, flags).step(STEP, || format!("open the layer {path}"))?;
    set_attributes(mount.as_fd(), &Change { idmap: Some(mapping), ..Change::default() })
        .step(STEP, || format!("map the IDs of the layer {path}"))?;
    Ok(mount)
}

/// The machine's root, without what is mounted below it.
fn machine() -> Result<OwnedFd> {
    let nobody = crate::namespaces::user::for_mounts(&crate::namespaces::user::IdMappings::nobody())?;
    folder("/", Some(nobody.as_fd()))
}

/// Layers come uppermost first.
fn overlay(lower: &[OwnedFd], upper: &OwnedFd, work: &OwnedFd) -> Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
        .step(STEP, || "make an overlay (is overlayfs in this kernel?)")?;
    let context = context.as_fd();
    if let Err(refused) = give_by_descriptor(context, lower, upper, work) {
        // Descriptors are taken since Linux 6.13; before that, paths that lead to them.
        if !matches!(refused, rustix::io::Errno::INVAL | rustix::io::Errno::BADF) {
            return Err(refused).step(STEP, || "give the overlay its layers");
        }
        let again = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).step(STEP, || "make an overlay")?;
        give_by_path(again.as_fd(), lower, upper, work)?;
        return finish(again.as_fd());
    }
    finish(context)
}

fn finish(context: BorrowedFd<'_>) -> Result<OwnedFd> {
    fsconfig_create(context).map_err(|error| {
        let said = kernel_log(context);
        let error = Err::<(), _>(error).step(STEP, || "mount the image's layers as an overlay");
        match (error, said) {
            (Err(error), Some(said)) => Error { message: format!("{} ({said})", error.message), ..error },
            (Err(error), None) => error,
            (Ok(()), _) => Error::new(STEP, "cannot mount the image's layers as an overlay"),
        }
    })?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .step(STEP, || "mount the overlay")
}

/// What the file system itself says about a failure: fscontext descriptors can be read (fsopen(2)).
fn kernel_log(context: BorrowedFd<'_>) -> Option<String> {
    let mut text = [0u8; 256];
    let length = rustix::io::read(context, &mut text).ok()?;
    let line = String::from_utf8_lossy(text.get(..length)?).trim().to_owned();
    // "e " marks an error, "w " a warning.
    Some(line.trim_start_matches("e ").trim_start_matches("w ").to_owned()).filter(|line| !line.is_empty())
}

fn give_by_descriptor(
    context: BorrowedFd<'_>,
    lower: &[OwnedFd],
    upper: &OwnedFd,
    work: &OwnedFd,
) -> rustix::io::Result<()> {
    for layer in lower {
        fsconfig_set_fd(context, "lowerdir+", layer)?;
    }
    fsconfig_set_fd(context, "upperdir", upper)?;
    fsconfig_set_fd(context, "workdir", work)
}

/// The paths are names in /proc/self/fd, and relative to it, since one option holds 255 bytes at most.
fn give_by_path(context: BorrowedFd<'_>, lower: &[OwnedFd], upper: &OwnedFd, work: &OwnedFd) -> Result<()> {
    use std::os::fd::AsRawFd;
    let name = |fd: &OwnedFd| fd.as_raw_fd().to_string();
    let lower: Vec<String> = lower.iter().map(name).collect();
    rustix::process::chdir("/proc/self/fd").step(STEP, || "enter /proc/self/fd")?;
    let given = fsconfig_set_string(context, "lowerdir", lower.join(":").as_str())
        .and_then(|()| fsconfig_set_string(context, "upperdir", name(upper).as_str()))
        .and_then(|()| fsconfig_set_string(context, "workdir", name(work).as_str()))
        .step(STEP, || format!("give the overlay its {} layers by path", lower.len()));
    // The paths are looked up when they are given on some kernels and at creation on others: stay until then.
    given
}
