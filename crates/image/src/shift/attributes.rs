//! What a copy says about a file besides its content: owners mapped, and those that ACLs (acl(5)) and file capabilities
//! (capabilities(7)) name.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod,
    fchown, fgetxattr, flistxattr, fsetxattr, futimens, lgetxattr, llistxattr, lsetxattr, utimensat,
};

use super::Ids;

/// The kernel's limit for a list of attributes, and for a value (XATTR_LIST_MAX, XATTR_SIZE_MAX).
const MOST: usize = 64 * 1024;

/// Gives an open file or folder those of another. The content is there already: writing would clear some of them.
pub(super) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, ids: Ids<'_>) -> io::Result<()> {
    let stat = rustix::fs::fstat(from)?;
    let (uid, gid) = owners(&stat, ids)?;
    // In this order: a new owner clears set-ID bits and capabilities (chown(2)).
    fchown(to, Some(uid), Some(gid))?;
    fchmod(to, Mode::from_raw_mode(stat.st_mode))?;
    let mut list = vec![0; MOST];
    let length = flistxattr(from, &mut list[..])?;
    for name in names(&list, length).filter(|name| is_copied(name)) {
        let mut value = vec![0; MOST];
        let length = fgetxattr(from, name, &mut value[..])?;
        value.truncate(length);
        if let Some(value) = mapped(name, value, ids)? {
            fsetxattr(to, name, &value, XattrFlags::empty())?;
        }
    }
    Ok(futimens(to, &times(&stat))?)
}

/// The same for something that cannot be opened: a link, a device, a pipe.
pub(super) fn copy_at(
    source: &OwnedFd,
    target: &OwnedFd,
    name: &CStr,
    stat: &Stat,
    ids: Ids<'_>,
) -> io::Result<()> {
    let (uid, gid) = owners(stat, ids)?;
    chownat(target, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        chmodat(target, name, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())?;
    }
    // Attributes of what cannot be opened are had by path alone; this one begins at the descriptor.
    let at = |folder: &OwnedFd| -> io::Result<CString> {
        let mut path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
        path.extend_from_slice(name.to_bytes());
        Ok(CString::new(path)?)
    };
    let mut list = vec![0; MOST];
    let length = llistxattr(at(source)?, &mut list[..])?;
    for key in names(&list, length).filter(|key| is_copied(key)) {
        let mut value = vec![0; MOST];
        let length = lgetxattr(at(source)?, key, &mut value[..])?;
        value.truncate(length);
        if let Some(value) = mapped(key, value, ids)? {
            lsetxattr(at(target)?, key, &value, XattrFlags::empty())?;
        }
    }
    Ok(utimensat(target, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn owners(stat: &Stat, ids: Ids<'_>) -> io::Result<(Uid, Gid)> {
    let unknown = |kind: &str, id: u32| {
        io::Error::other(format!("it belongs to {kind} {id}, which is outside of the container's ID range"))
    };
    let uid = (ids.user)(stat.st_uid).ok_or_else(|| unknown("user", stat.st_uid))?;
    let gid = (ids.group)(stat.st_gid).ok_or_else(|| unknown("group", stat.st_gid))?;
    Ok((Uid::from_raw(uid), Gid::from_raw(gid)))
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

fn names(list: &[u8], length: usize) -> impl Iterator<Item = &[u8]> {
    list.get(..length).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty())
}

/// All that unpacking sets. Labels of security modules are theirs to give.
fn is_copied(name: &[u8]) -> bool {
    name == CAPABILITY || is_acl(name) || name.starts_with(b"user.") || name.starts_with(b"trusted.")
}

const CAPABILITY: &[u8] = b"security.capability";

fn is_acl(name: &[u8]) -> bool {
    matches!(name, b"system.posix_acl_access" | b"system.posix_acl_default")
}

/// The value that an attribute has in the copy; `None`: it means nothing there.
fn mapped(name: &[u8], value: Vec<u8>, ids: Ids<'_>) -> io::Result<Option<Vec<u8>>> {
    if name == CAPABILITY {
        capability(&value, ids)
    } else if is_acl(name) {
        acl(&value, ids).map(Some)
    } else {
        Ok(Some(value))
    }
}

/// `struct vfs_ns_cap_data` of linux/capability.h: a word with version and flags, 16 bytes of capabilities, and in
/// version 3 the user ID of the root for whom they count. Version 2 means the root of the whole machine: in a layer
/// that is the container's.
fn capability(value: &[u8], ids: Ids<'_>) -> io::Result<Option<Vec<u8>>> {
    const VERSION: u32 = 0xff00_0000;
    let unknown = || io::Error::new(io::ErrorKind::InvalidData, "its file capabilities cannot be understood");
    let word = |at: usize| -> io::Result<u32> {
        let bytes = value.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).ok_or_else(unknown)?;
        Ok(u32::from_le_bytes(bytes))
    };
    let first = word(0)?;
    let root = match (first & VERSION, value.len()) {
        (0x0200_0000, 20) => 0,
        (0x0300_0000, 24) => word(20)?,
        _ => return Err(unknown()),
    };
    let Some(root) = (ids.user)(root) else { return Ok(None) };
    let mut new = (first & !VERSION | 0x0300_0000).to_le_bytes().to_vec();
    new.extend_from_slice(value.get(4..20).ok_or_else(unknown)?);
    new.extend_from_slice(&root.to_le_bytes());
    Ok(Some(new))
}

/// `struct posix_acl_xattr_header` of linux/posix_acl_xattr.h, and entries of a tag, permissions and an ID.
pub(crate) fn acl(value: &[u8], ids: Ids<'_>) -> io::Result<Vec<u8>> {
    const USER: u16 = 0x02;
    const GROUP: u16 = 0x08;
    let unknown = || io::Error::new(io::ErrorKind::InvalidData, "its ACL cannot be understood");
    let (header, entries) = value.split_at_checked(4).ok_or_else(unknown)?;
    if header != 2u32.to_le_bytes() || entries.len() % 8 != 0 {
        return Err(unknown());
    }
    let mut new = header.to_vec();
    for entry in entries.chunks_exact(8) {
        let [t0, t1, p0, p1, i0, i1, i2, i3] = <[u8; 8]>::try_from(entry).map_err(|_| unknown())?;
        let id = u32::from_le_bytes([i0, i1, i2, i3]);
        let id = match u16::from_le_bytes([t0, t1]) {
            USER => (ids.user)(id),
            GROUP => (ids.group)(id),
            _ => Some(id),
        };
        if let Some(id) = id {
            new.extend_from_slice(&[t0, t1, p0, p1]);
            new.extend_from_slice(&id.to_le_bytes());
        }
    }
    Ok(new)
}
