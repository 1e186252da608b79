//! A device node outside of /dev (config-linux.md, "Devices": it may be anywhere).
//!
//! Nothing is made on the file systems of the container, which others may share, and which a container's root without the
//! right to make nodes may own: the supervisor makes the node alone on a file system in memory, and the child binds it
//! over an empty file. A node that is there already and is the one that was asked for stays.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, fstat, major, minor};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};
use std::os::fd::AsRawFd;

use super::target::{self, Kind};
use super::{Attributes, STEP, attach, pseudo};
use crate::devices::{self, Device};
use crate::error::{Error, Result, Step};
use crate::namespaces::user::UserNamespace;

const NAME: &str = "node";

/// In the supervisor: the node on a file system of its own, detached.
pub(super) fn prepare(device: &Device, user: &UserNamespace) -> Result<OwnedFd> {
    let attributes = Attributes { nosuid: true, noexec: true, ..Attributes::default() };
    let made = pseudo::mount("tmpfs", &[("mode", "0755"), ("size", "4k")], attributes)?;
    devices::make(&made, NAME, device, user)?;
    Ok(made)
}

/// In the child: binds it where it belongs.
pub(super) fn bind(device: &Device, made: &OwnedFd, root: BorrowedFd<'_>) -> Result<()> {
    let path = device.path.as_str();
    if let Some(place) = target::look_up(root, path)? {
        let stat = fstat(&place).step(STEP, || format!("look at {path} in the container"))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let numbers = (major(stat.st_rdev), minor(stat.st_rdev));
        if kind == device.kind.file_type()
            && (kind == FileType::Fifo || numbers == (device.major, device.minor))
        {
            return Ok(());
        }
        // An empty file is what was made for it another time.
        if kind != FileType::RegularFile || stat.st_size != 0 {
            return Err(Error::new(STEP, format!("cannot make the device {path}: something else is there")));
        }
    }
    let node = alone(made).step(STEP, || format!("make the device {path}"))?;
    let place = target::find(root, path, Kind::File)?;
    attach(&node, &place, path)
}

/// The node as a mount. Only of what is attached can a part be bound: for a moment it lies over the host's tree, which
/// this process has to itself, and where no path is looked up meanwhile.
fn alone(made: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    move_mount(made, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    let copy = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let node = open_tree(made, NAME, copy);
    // A path through the descriptor leads to what is mounted itself.
    unmount(format!("/proc/self/fd/{}", made.as_fd().as_raw_fd()), UnmountFlags::DETACH)?;
    node
}
