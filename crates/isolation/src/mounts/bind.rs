//! Binds: files and folders of the host in a container (mount(8), --bind), as detached copies of their mounts.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::mount::{Change, set_attributes};
use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};
use serde::{Deserialize, Serialize};

use super::{Attributes, STEP};
use crate::error::{Result, Step};
use crate::namespaces::mnt::{self, Propagation};
use crate::namespaces::user::{IdMappings, for_mounts};

/// A file or folder of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Its absolute path on the host.
    pub path: String,
    /// Whether what is mounted below it comes along.
    pub recursive: bool,
    /// Which IDs on disk are which in the container.
    pub ids: BindIds,
    /// Whether an empty folder is filled with what the image has at the target (Docker's volumes).
    pub fill: bool,
}

/// How the IDs on disk appear in the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BindIds {
    /// As they are to the host.
    #[default]
    Unmapped,
    /// Container IDs are written on disk (the engine's own files).
    Container,
    /// By a mapping of their own: `inside` is the ID on disk, `outside` what the host sees through the mount.
    Mapped(IdMappings),
}

/// In the supervisor: the bind as a detached mount. `container` is the container's user namespace.
pub(crate) fn prepare(
    bind: &Bind,
    attributes: Attributes,
    container: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd> {
    let path = bind.path.as_str();
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if bind.recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let mount = open_tree(CWD, path, flags).step(STEP, || format!("bind {path} of the host"))?;
    let own;
    let idmap = match &bind.ids {
        BindIds::Unmapped => None,
        BindIds::Container => container,
        BindIds::Mapped(mappings) => {
            own = for_mounts(mappings)?;
            Some(own.as_fd())
        }
    };
    let propagation = attributes.propagation.unwrap_or_default();
    // A volume that may have to be filled becomes read-only when that is done.
    let attributes = if bind.fill { Attributes { readonly: false, ..attributes } } else { attributes };
    let change = Change { idmap, recursive: bind.recursive, ..attributes.change() };
    // One call, and all of it or nothing; propagation has a recursion of its own.
    set_attributes(mount.as_fd(), &propagation.change())
        .step(STEP, || format!("make {path} {}", propagation.word()))?;
    if change.set != 0 || change.clear != 0 || change.idmap.is_some() {
        set_attributes(mount.as_fd(), &change)
            .step(STEP, || format!("set the attributes of the bind of {path}"))?;
    }
    Ok(mount)
}

/// In the supervisor: a copy of the mount at `path` in another container's mount namespace. The process is in
/// that namespace for the moment of the copy, so links in the path are that container's own.
pub(crate) fn of_container(namespace: BorrowedFd<'_>, path: &str) -> Result<OwnedFd> {
    let own = std::fs::File::open("/proc/self/ns/mnt").step(STEP, || "open our own mount namespace")?;
    bulkhead_sys::namespaces::join(namespace, mnt::FLAG)
        .step(STEP, || "join the other container's mounts")?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let found = open_tree(CWD, path, flags);
    if bulkhead_sys::namespaces::join(own.as_fd(), mnt::FLAG).is_err() {
        // Going on in another container's mounts would take its files for the host's.
        bulkhead_sys::process::exit_now(125);
    }
    let mount = found.step(STEP, || format!("take {path} from the other container"))?;
    set_attributes(mount.as_fd(), &Propagation::RecursivePrivate.change())
        .step(STEP, || format!("cut {path} off from the other container"))?;
    Ok(mount)
}
