//! The root file system: an image's layers under a writable one (overlayfs, see the kernel's
//! Documentation/filesystems/overlayfs.rst), prepared as a detached mount that nobody can reach by a path.
//!
//! Layers are stored once, with the IDs that the image gave them. A container with a user namespace sees them
//! through one ID-mapped mount of the store, however many layers there are; they are handed to overlayfs as
//! descriptors, and nothing is paid per file. How they are handed over depends on the kernel: see [`overlay`].
//! Where mounts cannot be mapped ([`probe`] tells), whoever writes the plan has copies made that have the container's IDs
//! on disk, and names those.
//!
//! The writable layer is not mapped: on disk too, what a container writes belongs to the range that it alone has.

mod overlay;
pub mod probe;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::mount::{Change, set_attributes};
use rustix::fs::{CWD, Mode, OFlags, open, openat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, Step};
use crate::mounts::{Attributes, pseudo};
use crate::namespaces::mnt::Propagation;

const STEP: &str = "root file system";

/// What `/` is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// Read-only layers, the lowest first.
    pub layers: Vec<Layer>,
    /// A folder of the container's own with `upper` and `work` in it, for what it writes; `None`: nothing can be
    /// written.
    pub writable: Option<String>,
    /// Whether the container sees it all read-only.
    pub readonly: bool,
    /// A folder of the host that is the root as it is, with what is mounted below it, in place of all layers.
    #[serde(default)]
    pub whole: Option<Whole>,
}

/// A folder that is a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// Its absolute path.
    pub path: String,
    /// How later mounts travel between it and the container.
    pub propagation: Propagation,
}

/// Where a layer's files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layer {
    /// A folder that holds the layer in overlayfs's form, with the image's own IDs.
    Stored {
        /// The folder that all layers of a store are in. It is what gets a mapping, once for all of them.
        store: String,
        /// The layer's place in it.
        name: String,
    },
    /// The same of a copy of the layer that has the container's own IDs: it gets no mapping.
    Shifted {
        /// The folder that all layers with these IDs are in.
        store: String,
        /// The layer's place in it.
        name: String,
    },
    /// The machine's own root: every file is nobody's in the container, so what only some users of the machine
    /// may read, nobody in the container can, not even root with all capabilities.
    Machine,
}

/// What an overlay is made of.
struct Parts {
    /// Mounts that are attached nowhere, which some of the folders below are in.
    detached: Vec<OwnedFd>,
    /// The uppermost first.
    lower: Vec<OwnedFd>,
    /// Upper and work folder.
    writable: Option<(OwnedFd, OwnedFd)>,
}

/// Mounts the root file system, detached. `mapping` is the container's user namespace, if it has one.
pub(crate) fn prepare(rootfs: &Rootfs, mapping: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    if let Some(Whole { path, propagation }) = &rootfs.whole {
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let root = open_tree(CWD, path, flags).step(STEP, || format!("use {path} as the root"))?;
        set_attributes(root.as_fd(), &propagation.change())
            .step(STEP, || format!("make the mount of {path} {}", propagation.word()))?;
        return Ok(root);
    }
    let parts = Parts::open(rootfs, mapping, false)?;
    match overlay::by_descriptor(&parts)? {
        overlay::Answer::Mounted(mount) => Ok(mount),
        overlay::Answer::Unsupported if overlay::needs_namespace(&parts) => {
            drop(parts);
            overlay::by_attached_mounts(&Parts::open(rootfs, mapping, true)?, rootfs.some_folder())
        }
        overlay::Answer::Unsupported => overlay::by_path(&parts),
    }
}

/// Mounts an image's layers alone, detached. It is an overlay without a writable layer, however few they are: that can
/// never be written, whereas the container could take the read-only flag off a plain mount of a layer.
pub(crate) fn readonly(layers: &[Layer], mapping: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    if layers.is_empty() {
        return Err(crate::Error::new(STEP, "the image that is to be mounted has no layers"));
    }
    let attributes = Attributes { nodev: true, nosuid: true, ..Attributes::default() }.readonly();
    let mount =
        prepare(&Rootfs { layers: layers.to_vec(), writable: None, readonly: true, whole: None }, mapping)?;
    set_attributes(mount.as_fd(), &attributes.change())
        .step(STEP, || "make the mount of an image read-only")?;
    Ok(mount)
}

impl Rootfs {
    /// A folder that there is, other than the root.
    fn some_folder(&self) -> &str {
        let store = self.layers.iter().find_map(|layer| match layer {
            Layer::Stored { store, .. } | Layer::Shifted { store, .. } => Some(store.as_str()),
            Layer::Machine => None,
        });
        self.writable.as_deref().or(store).unwrap_or("/proc")
    }
}

impl Layer {
    /// The mapping that a mount of it gets, in a container with this one.
    fn mapping<'fd>(&self, container: Option<BorrowedFd<'fd>>) -> Option<BorrowedFd<'fd>> {
        container.filter(|_| matches!(self, Layer::Stored { .. }))
    }
}

impl Parts {
    /// Opens them; `detach` puts all of them into detached mounts, those too that need no mapping.
    fn open(rootfs: &Rootfs, mapping: Option<BorrowedFd<'_>>, detach: bool) -> Result<Parts> {
        let mut detached = Vec::new();
        let mut stores: Vec<(&str, OwnedFd)> = Vec::new();
        let mut lower = Vec::with_capacity(rootfs.layers.len());
        for layer in rootfs.layers.iter().rev() {
            match layer {
                Layer::Stored { store, name } | Layer::Shifted { store, name } => {
                    let at = match stores.iter().position(|(known, _)| known == store) {
                        Some(at) => at,
                        None => {
                            stores.push((store, folder(store, layer.mapping(mapping), detach)?));
                            stores.len() - 1
                        }
                    };
                    let store = stores.get(at).map(|(_, fd)| fd);
                    lower.extend(store.map(|store| part(store, name)).transpose()?);
                }
                Layer::Machine => {
                    let machine = machine()?;
                    lower.push(machine.try_clone().step(STEP, || "keep the machine's root")?);
                    detached.push(machine);
                }
            }
        }
        // What the container writes stands on disk with the container's own IDs: nobody else ever sees it.
        let mut writable = None;
        if let Some(path) = &rootfs.writable {
            let own = folder(path, None, detach)?;
            writable = Some((part(&own, "upper")?, part(&own, "work")?));
            if detach {
                detached.push(own);
            }
        }
        if writable.is_none() && lower.len() == 1 {
            // Alone, a layer is no overlay.
            let empty = pseudo::mount("tmpfs", &[("mode", "0755"), ("nr_inodes", "1")], Attributes::INERT)?;
            lower.push(empty.try_clone().step(STEP, || "keep an empty layer")?);
            detached.push(empty);
        }
        let mapped = rootfs.layers.iter().any(|layer| layer.mapping(mapping).is_some());
        if mapped || detach {
            detached.extend(stores.into_iter().map(|(_, fd)| fd));
        }
        Ok(Parts { detached, lower, writable })
    }
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn part(folder: &OwnedFd, name: &str) -> Result<OwnedFd> {
    openat(folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())
        .step(STEP, || format!("open the layer {name}"))
}

/// The folder at `path`: a detached mount of it if its IDs are to be mapped, or if that is asked for.
fn folder(path: &str, mapping: Option<BorrowedFd<'_>>, detach: bool) -> Result<OwnedFd> {
    if mapping.is_none() && !detach {
        return open(path, FOLDER, Mode::empty()).step(STEP, || format!("open {path}"));
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let fd = open_tree(CWD, path, flags).step(STEP, || format!("open {path}"))?;
    if let Some(mapping) = mapping {
        set_attributes(fd.as_fd(), &Change { idmap: Some(mapping), ..Change::default() }).step(STEP, || {
            format!(
                "map the IDs of the layers in {path} (their file system must support that: ext4 and XFS since Linux \
                 5.12, Btrfs since 5.15, tmpfs since 6.3)"
            )
        })?;
    }
    Ok(fd)
}

/// The machine's root, without what is mounted below it.
fn machine() -> Result<OwnedFd> {
    let nobody = crate::namespaces::user::for_mounts(&crate::namespaces::user::IdMappings::nobody())?;
    let root = folder("/", None, true)?;
    let answer = set_attributes(root.as_fd(), &Change { idmap: Some(nobody.as_fd()), ..Change::default() });
    let number = answer.as_ref().err().and_then(std::io::Error::raw_os_error).map(Errno::from_raw_os_error);
    if number.is_some_and(probe::cannot) {
        let kind = crate::mounts::file_system(root.as_fd()).unwrap_or_else(|| "its kind".into());
        return Err(Error::new(
            STEP,
            format!(
                "cannot use the image host: all files of it are nobody's by an ID-mapped mount, which the file system of \
                 this machine's root ({kind}) has none of with this kernel: load an image"
            ),
        ));
    }
    answer.step(STEP, || "map the IDs of this machine's root")?;
    Ok(root)
}
