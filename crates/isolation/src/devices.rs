//! Devices: a container's /dev, with the few nodes that every program needs (the OCI runtime specification's
//! default devices) and those asked for.
//!
//! The supervisor makes it, as the host's root, on a memory file system of the host's user namespace: in a
//! container's user namespace device nodes can neither be made nor used. Ownership is the container root's.
//! Which devices may be opened at all, the control group decides ([`crate::cgroups`]).

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, makedev, mkdirat, mknodat, openat,
    symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, Step};
use crate::mounts::{Attributes, pseudo};
use crate::namespaces::user::UserNamespace;

const STEP: &str = "devices";

/// What a node is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeKind {
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Pipe,
}

impl NodeKind {
    pub(crate) fn file_type(self) -> FileType {
        match self {
            NodeKind::Character => FileType::CharacterDevice,
            NodeKind::Block => FileType::BlockDevice,
            NodeKind::Pipe => FileType::Fifo,
        }
    }
}

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its path in the container, below /dev.
    pub path: String,
    /// What it is of.
    pub kind: NodeKind,
    /// Major number; of no meaning for a pipe.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Whether owner and group are the host's IDs. Otherwise they are the container's: it was given this device.
    pub of_host: bool,
}

/// Name and minor number of the standard nodes; all have major number 1 but for tty, which has 5.
const STANDARD: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
];

const FOLDERS: [&str; 3] = ["pts", "shm", "mqueue"];

/// In the supervisor: /dev as a detached mount. In a container it has empty files in the place of nodes, and the
/// container's own nodes follow as mounts, to be attached over them ([`nodes_to_attach`]).
pub(crate) fn prepare(
    extra: &[Device],
    label: Option<&str>,
    attributes: Attributes,
    user: &UserNamespace,
) -> Result<Vec<OwnedFd>> {
    let attributes = Attributes { nosuid: true, nodev: false, readonly: false, ..attributes };
    let mut options = vec![("mode", "0755"), ("size", "64m")];
    options.extend(label.map(|label| ("context", label)));
    let dev = pseudo::mount("tmpfs", &options, attributes)?;
    let root = user.outside(0, 0)?;
    for (name, major, minor) in STANDARD {
        node(&dev, name, FileType::CharacterDevice, (major, minor), 0o666, root)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, &dev, name).step(STEP, || format!("make the link /dev/{name}"))?;
    }
    for name in FOLDERS {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755)).step(STEP, || format!("make /dev/{name}"))?;
    }
    for device in extra {
        let below = device.path.strip_prefix("/dev/").ok_or_else(|| {
            Error::new(STEP, format!("the device {} is not below /dev: give it a path there", device.path))
        })?;
        let (folder, name) = parents(&dev, below, root)?;
        make(folder.as_ref().unwrap_or(&dev), name, device, user)?;
    }
    if root != (0, 0) {
        for name in FOLDERS.into_iter().chain(LINKS.map(|(name, _)| name)).chain([""]) {
            own(&dev, name, root)?;
        }
    }
    let mut made = vec![dev];
    for path in nodes_to_attach(extra) {
        let source = format!("/dev/{path}");
        made.push(
            open_tree(CWD, &source, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
                .step(STEP, || format!("bind our own {source}"))?,
        );
    }
    Ok(made)
}

/// Makes a device's node in `folder`.
pub(crate) fn make(folder: &OwnedFd, name: &str, device: &Device, user: &UserNamespace) -> Result<()> {
    let own = (device.uid, device.gid);
    let owner =
        if device.of_host { own } else { user.outside(own.0, own.1).or_else(|_| user.outside(0, 0))? };
    let numbers = if device.kind == NodeKind::Pipe { (0, 0) } else { (device.major, device.minor) };
    node(folder, name, device.kind.file_type(), numbers, device.mode, owner)
}

/// Where an engine in a container attaches nodes that it cannot make: paths below /dev.
pub(crate) fn nodes_to_attach(extra: &[Device]) -> Vec<&str> {
    if !bulkhead_sys::namespaces::nested() {
        return Vec::new();
    }
    let mut all: Vec<&str> = STANDARD.iter().map(|(name, _, _)| *name).collect();
    for path in extra.iter().filter_map(|device| device.path.strip_prefix("/dev/")) {
        if !all.contains(&path) {
            all.push(path);
        }
    }
    all
}

fn node(
    folder: &OwnedFd,
    name: &str,
    kind: FileType,
    (major, minor): (u32, u32),
    mode: u32,
    owner: (u32, u32),
) -> Result<()> {
    if bulkhead_sys::namespaces::nested() {
        return match mknodat(folder, name, FileType::RegularFile, Mode::from_raw_mode(0), 0) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error).step(STEP, || format!("make the place of /dev/{name}")),
        };
    }
    match mknodat(folder, name, kind, Mode::from_raw_mode(mode), makedev(major, minor)) {
        Ok(()) => {}
        // A device asked for in place of a standard one, e.g. --device /dev/zero:/dev/null.
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(folder, name, AtFlags::empty())
                .step(STEP, || format!("replace /dev/{name}"))?;
            mknodat(folder, name, kind, Mode::from_raw_mode(mode), makedev(major, minor))
                .step(STEP, || format!("make the device /dev/{name}"))?;
        }
        Err(error) => return Err(error).step(STEP, || format!("make the device /dev/{name}")),
    }
    // mknod's mode is cut by the umask, which belongs to whoever started us.
    chmodat(folder, name, Mode::from_raw_mode(mode), AtFlags::empty())
        .step(STEP, || format!("set the mode of /dev/{name}"))?;
    if owner == (0, 0) { Ok(()) } else { own(folder, name, owner) }
}

fn own(folder: &OwnedFd, name: &str, (uid, gid): (u32, u32)) -> Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    chownat(folder, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), flags)
        .step(STEP, || format!("give /dev/{name} to the container's root"))
}

/// Opens (and makes) the folders of `below`; the last part is the node's name.
fn parents<'path>(
    dev: &OwnedFd,
    below: &'path str,
    root: (u32, u32),
) -> Result<(Option<OwnedFd>, &'path str)> {
    let mut folder: Option<OwnedFd> = None;
    let mut rest = below;
    while let Some((part, after)) = rest.split_once('/') {
        if part.is_empty() || part == "." || part == ".." {
            return Err(Error::new(STEP, format!("the device path /dev/{below} is not plain")));
        }
        let parent = folder.as_ref().unwrap_or(dev);
        match mkdirat(parent, part, Mode::from_raw_mode(0o755)) {
            Ok(()) if root != (0, 0) => own(parent, part, root)?,
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).step(STEP, || format!("make /dev/{part}")),
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        folder = Some(
            openat(parent.as_fd(), part, flags, Mode::empty()).step(STEP, || format!("open /dev/{part}"))?,
        );
        rest = after;
    }
    Ok((folder, rest))
}
