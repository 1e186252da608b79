//! One file replaced by another: whoever reads it finds the old one or the new one, whole.
//!
//! The new one is written beside the old one under a name of its own, with the old one's owner, mode, access
//! control list and security label, and is on the disk before it takes the old one's name (rename(2)). The
//! list matters: without it the group's bits of the mode, which are its mask then (acl(5)), would mean more
//! than before. A symbolic link stays one: what it leads to is replaced.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, XattrFlags, fchmod, fchown, fgetxattr, fsetxattr, fstat,
    fsync, open, openat, renameat, unlinkat,
};
use rustix::io::Errno;

use crate::error::{Doing, Error, Result};

/// What of a file's attributes decides on who may do what.
const ATTRIBUTES: [&str; 2] = ["security.selinux", "system.posix_acl_access"];

/// The largest extended attribute that Linux has (xattr(7)).
const LARGEST_ATTRIBUTE: usize = 64 * 1024;

/// A new file that waits beside the old one. Dropped, it is gone and the old one is as it was.
#[derive(Debug)]
pub(super) struct Prepared {
    folder: OwnedFd,
    name: OsString,
    temporary: OsString,
    path: PathBuf,
}

/// Writes what the file at `path` is to hold, beside it. The caller holds the [lock](super::lock), so that no
/// two do.
///
/// # Errors
/// The disk's, a link that leads nowhere, something that is no file.
pub(super) fn prepare(path: &Path, contents: &[u8]) -> Result<Prepared> {
    let prepared = beside(path)?;
    let old = old_file(&prepared)?;
    let write = || format!("write {}", prepared.path.display());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // What a killed edit left: ours alone have this name, and we hold the lock.
    match unlinkat(&prepared.folder, &prepared.temporary, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error).doing(write),
    }
    let new = openat(&prepared.folder, &prepared.temporary, flags, Mode::RUSR | Mode::WUSR).doing(write)?;
    let mut new = std::fs::File::from(new);
    new.write_all(contents).doing(write)?;
    match old {
        Some((file, stat)) => copy_rights(&file, &stat, &new).doing(write)?,
        None => fchmod(&new, Mode::from_raw_mode(0o644)).doing(write)?,
    }
    fsync(&new).doing(write)?;
    Ok(prepared)
}

impl Prepared {
    /// Gives the new file the old one's name.
    ///
    /// # Errors
    /// The old one is a mount point, or the disk's.
    pub(super) fn put(self) -> Result<()> {
        renameat(&self.folder, &self.temporary, &self.folder, &self.name)
            .and_then(|()| fsync(&self.folder))
            .doing(|| format!("replace {}", self.path.display()))
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // Not there once it has been put, nor before it was written; what cannot be removed, the next edit
        // tries to.
        let _ = unlinkat(&self.folder, &self.temporary, AtFlags::empty());
    }
}

/// Takes away a file that this edit made.
///
/// # Errors
/// The disk's.
pub(super) fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).doing(|| format!("remove {}", path.display()))
}

/// Where the file really is, and what the new one is called there until it is put.
fn beside(path: &Path) -> Result<Prepared> {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    let path = if is_link {
        path.canonicalize().doing(|| format!("follow the symbolic link {}", path.display()))?
    } else {
        path.to_path_buf()
    };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::Invalid(format!("cannot write {}: it is no file", path.display())));
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(folder, flags, Mode::empty()).doing(|| format!("open {}", folder.display()))?;
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".bulkhead-new");
    Ok(Prepared { folder, name: name.to_owned(), temporary, path })
}

/// The file as it is, if there is one.
fn old_file(prepared: &Prepared) -> Result<Option<(OwnedFd, Stat)>> {
    let read = || format!("open {}", prepared.path.display());
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(&prepared.folder, &prepared.name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error).doing(read),
    };
    let stat = fstat(&file).doing(read)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::Invalid(format!("cannot write {}: it is no file", prepared.path.display())));
    }
    Ok(Some((file, stat)))
}

/// Gives the new file the old one's owner, label, access control list and mode. The mode comes last: chown(2)
/// may take bits away, and what the group may do is only right with the list in place.
fn copy_rights(old: impl AsFd, stat: &Stat, new: impl AsFd) -> rustix::io::Result<()> {
    let made = fstat(&new)?;
    if (made.st_uid, made.st_gid) != (stat.st_uid, stat.st_gid) {
        fchown(&new, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    }
    for name in ATTRIBUTES {
        // Mostly the new file has the label already, and setting it is a privilege.
        match attribute(&old, name)? {
            Some(value) if attribute(&new, name)?.as_ref() != Some(&value) => {
                fsetxattr(&new, name, &value, XattrFlags::empty())?;
            }
            _ => {}
        }
    }
    fchmod(&new, Mode::from_raw_mode(stat.st_mode))
}

/// An extended attribute, if the file has it and its file system has any.
fn attribute(file: impl AsFd, name: &str) -> rustix::io::Result<Option<Vec<u8>>> {
    let mut value = vec![0; LARGEST_ATTRIBUTE];
    match fgetxattr(file, name, &mut value[..]) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}
