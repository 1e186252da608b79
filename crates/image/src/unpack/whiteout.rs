//! Removals, in overlayfs's form: a character device 0/0 hides a name, an attribute `overlay.opaque=y` hides what lower
//! layers have in a directory (kernel documentation, `filesystems/overlayfs.rst`, "whiteouts and opaque directories").

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, XattrFlags, makedev};
use rustix::io::Errno;

use super::failed;
use super::tree::Parent;
use crate::Result;

/// Whether a file is overlayfs's mark of a removal.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == makedev(0, 0)
}

/// Marks an open directory opaque.
pub(super) fn make_opaque(directory: impl AsFd, name: &[u8]) -> Result<()> {
    rustix::fs::fsetxattr(directory, bulkhead_sys::mount::opaque_attribute(), b"y", XattrFlags::empty())
        .map_err(|e| failed("mark as opaque the directory", name, e))
}

/// Marks the directory `name` in `parent` opaque; an empty name is the parent itself.
pub(super) fn make_opaque_at(parent: &Parent, name: &[u8]) -> Result<()> {
    let path = if name.is_empty() { b"." } else { name };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory =
        rustix::fs::openat(&parent.fd, path, flags, Mode::empty()).map_err(|e| failed("open", name, e))?;
    make_opaque(directory, name)
}

/// Hides `name` in the lower layers. What this same layer has by that name stays (the spec: whiteouts are for lower
/// layers only), but a directory then starts from nothing.
pub(super) fn hide(parent: &Parent, name: &[u8]) -> Result<()> {
    match rustix::fs::mknodat(&parent.fd, name, FileType::CharacterDevice, Mode::empty(), makedev(0, 0)) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => {
            let stat = rustix::fs::statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| failed("examine", name, e))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => make_opaque_at(parent, name),
                _ => Ok(()),
            }
        }
        Err(error) => Err(failed("make the whiteout of", name, error)),
    }
}
