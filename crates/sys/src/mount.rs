//! mount_setattr(2): attributes, propagation and ID mapping of a mount, by descriptor.
//!
//! The rest of the file-descriptor-based mount API (fsopen, fsmount, open_tree, move_mount) is `rustix`'s.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::check;

/// The MOUNT_ATTR_* bits of mount_setattr(2).
pub mod attr {
    /// No writing through this mount.
    pub const RDONLY: u64 = 0x1;
    /// Set-user-ID and set-group-ID bits and file capabilities have no effect.
    pub const NOSUID: u64 = 0x2;
    /// Device nodes cannot be opened.
    pub const NODEV: u64 = 0x4;
    /// Nothing can be executed.
    pub const NOEXEC: u64 = 0x8;
    /// The mask of the three access-time settings; in `clear` whenever one of them is set.
    pub const ATIME: u64 = 0x70;
    /// Access times are never written.
    pub const NOATIME: u64 = 0x10;
    /// Access times are always written.
    pub const STRICTATIME: u64 = 0x20;
    /// Access times of directories are never written.
    pub const NODIRATIME: u64 = 0x80;
    /// IDs are mapped by the user namespace given.
    pub const IDMAP: u64 = 0x0010_0000;
    /// Symbolic links are not followed below this mount.
    pub const NOSYMFOLLOW: u64 = 0x0020_0000;
}

/// A change to a mount.
#[derive(Clone, Copy, Default)]
pub struct Change<'fd> {
    /// [`attr`] bits to set.
    pub set: u64,
    /// [`attr`] bits to clear.
    pub clear: u64,
    /// MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE; 0 leaves the propagation as it is.
    pub propagation: u64,
    /// The user namespace whose mapping the mount takes. The mount must be detached, and not mapped yet.
    pub idmap: Option<BorrowedFd<'fd>>,
    /// Whether mounts below it change too: all or none of them.
    pub recursive: bool,
}

/// Changes the mount whose root `mount` is.
///
/// # Errors
/// EINVAL (the file system cannot be ID-mapped, the mount is attached, …), EPERM (locked attributes, or a
/// mapped mount), EBUSY (writers while going read-only), ENOSYS before 5.12.
pub fn set_attributes(mount: BorrowedFd<'_>, change: &Change<'_>) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: change.set | change.idmap.map_or(0, |_| attr::IDMAP),
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: change.idmap.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs())),
    };
    let flags = libc::AT_EMPTY_PATH | if change.recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and `attributes` lives across the call with its true size.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// The attribute by which overlayfs marks a folder of a layer as hiding what lower layers have there; its value is `y`
/// (the kernel's Documentation/filesystems/overlayfs.rst). In a user namespace the `trusted` ones cannot be had.
pub fn opaque_attribute() -> &'static str {
    if crate::namespaces::nested() { "user.overlay.opaque" } else { "trusted.overlay.opaque" }
}
