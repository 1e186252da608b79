//! Owner, mode, extended attributes and times of what was made, in the order that keeps them: a change of owner clears
//! set-ID bits and capabilities (chown(2)), and everything but the last step changes the times.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::failed;
use super::tree::Parent;
use crate::tar::Entry;
use crate::{ImageError, Result};

/// What an entry says about a file besides its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: (i64, u32),
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    /// Takes an entry's attributes, without the extended ones that a layer may not set; the number of those is
    /// second.
    pub(super) fn of(entry: &mut Entry, max_xattr: usize) -> Result<(Attributes, u64)> {
        let all = entry.xattrs.len();
        let mut xattrs = std::mem::take(&mut entry.xattrs);
        xattrs.retain(|(name, _)| is_allowed(name));
        if let Some((name, value)) =
            xattrs.iter().find(|(name, value)| value.len() > max_xattr || name.len() > 255)
        {
            let name = String::from_utf8_lossy(name);
            let why = format!("its extended attribute \"{name}\" of {} bytes is too large", value.len());
            return Err(ImageError::entry(&entry.name, why));
        }
        let skipped = all - xattrs.len();
        let (mode, uid, gid, mtime) = (entry.mode, entry.uid, entry.gid, entry.mtime);
        Ok((Attributes { mode, uid, gid, mtime, xattrs }, skipped as u64))
    }

    /// Sets all of them on an open file or directory; gives the number of extended attributes that the file system
    /// cannot hold. `owned` tells that the file was just made and that its owner is right already.
    pub(super) fn set(&self, fd: BorrowedFd<'_>, name: &[u8], owned: bool) -> Result<u64> {
        if !owned {
            rustix::fs::fchown(fd, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
                .map_err(|e| failed("set the owner of", name, e))?;
        }
        rustix::fs::fchmod(fd, Mode::from_raw_mode(self.mode))
            .map_err(|e| failed("set the mode of", name, e))?;
        let mut skipped = 0;
        for (key, value) in &self.xattrs {
            match rustix::fs::fsetxattr(fd, key, value, XattrFlags::empty()) {
                Ok(()) => {}
                Err(Errno::NOTSUP) => skipped += 1,
                Err(error) => {
                    let what = format!("set the extended attribute \"{}\" of", String::from_utf8_lossy(key));
                    return Err(failed(&what, name, error));
                }
            }
        }
        rustix::fs::futimens(fd, &self.times()).map_err(|e| failed("set the times of", name, e))?;
        Ok(skipped)
    }

    /// Sets owner, times and, but for a symbolic link, mode by name, on something that was just made and that cannot
    /// be opened. Extended attributes of such files aren't kept; their number is given.
    pub(super) fn set_at(&self, parent: &Parent, name: &[u8], symlink: bool, owned: bool) -> Result<u64> {
        if !owned {
            let (uid, gid) = (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)));
            rustix::fs::chownat(&parent.fd, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| failed("set the owner of", name, e))?;
        }
        if !symlink {
            rustix::fs::chmodat(&parent.fd, name, Mode::from_raw_mode(self.mode), AtFlags::empty())
                .map_err(|e| failed("set the mode of", name, e))?;
        }
        rustix::fs::utimensat(&parent.fd, name, &self.times(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| failed("set the times of", name, e))?;
        Ok(self.xattrs.len() as u64)
    }

    fn times(&self) -> Timestamps {
        let (tv_sec, nanos) = self.mtime;
        let time = Timespec { tv_sec, tv_nsec: nanos.into() };
        Timestamps { last_access: time, last_modification: time }
    }
}

/// `user.*`, file capabilities and POSIX ACLs. Not `trusted.*` nor overlayfs's own, by which an archive could say what
/// lower layers show; nor labels of the host's security modules.
pub(crate) fn is_allowed(name: &[u8]) -> bool {
    match name {
        b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default" => true,
        name => name.starts_with(b"user.") && !name.starts_with(b"user.overlay.") && !name.contains(&0),
    }
}
