//! Filling a new volume with what the image has at its target, as Docker does; and a tmpfs with `tmpcopyup`.
//!
//! Only the image's own files count (the place must not be one of the kernel's file systems, to which a link of the image
//! may lead), and only a volume that is empty is filled. Whoever fills holds the lock (flock(2)) of the volume's folder; who
//! else begins with the same volume waits for it, so nobody sees half. Whoever is killed leaves one of these:
//!
//! | in the volume | means | the next one |
//! |---|---|---|
//! | [`UNFINISHED`] and nothing else | not everything had been copied | removes it, and begins anew |
//! | [`READY`] | everything had, and was being moved to its place | moves the rest |
//!
//! It is done by the container's child, with the rights of the container's root, on mounts that map IDs: owners, ACLs
//! and file capabilities are read and written as the container sees them. Device nodes stay out where the container
//! could not make them either.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags, ResolveFlags, SeekFrom, Stat,
    Timespec, Timestamps, Uid, XattrFlags, flock, openat, openat2, statat,
};
use rustix::io::Errno;

use super::STEP;
use crate::error::{Result, Step};

/// Where copies are made.
const UNFINISHED: &CStr = c".bulkhead-filling";
/// Where they are when all are there.
const READY: &CStr = c".bulkhead-filled";
/// How many folders may lie in each other: two descriptors are open for each.
const DEEPEST: u32 = 200;
/// The kernel's limit for a list of attributes, and for a value (XATTR_LIST_MAX, XATTR_SIZE_MAX).
const MOST: usize = 64 * 1024;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Fills the volume `volume`, which will be mounted at `place` (`target` in words), below `root`.
pub(super) fn fill(root: BorrowedFd<'_>, place: &OwnedFd, volume: &OwnedFd, target: &str) -> Result<()> {
    if !is_of_image(root, place, target)? {
        return Ok(());
    }
    let turn =
        openat(volume, ".", FOLDER, Mode::empty()).step(STEP, || format!("open the volume for {target}"))?;
    flock(&turn, FlockOperation::LockExclusive).step(STEP, || format!("lock the volume for {target}"))?;
    let fill = || -> rustix::io::Result<()> {
        let from = openat(place, ".", FOLDER, Mode::empty())?;
        match state(&turn)? {
            State::Used => return Ok(()),
            State::Ready => {}
            State::Empty => {
                remove(&turn, UNFINISHED, 0)?;
                rustix::fs::mkdirat(&turn, UNFINISHED, Mode::RWXU)?;
                let to = openat(&turn, UNFINISHED, FOLDER, Mode::empty())?;
                Copier::new(&to).folder(&from, &to, 0)?;
                rustix::fs::renameat(&turn, UNFINISHED, &turn, READY)?;
            }
        }
        let ready = openat(&turn, READY, FOLDER, Mode::empty())?;
        for name in names(&ready)? {
            // Who shares the volume may have put something there; theirs stays.
            match rustix::fs::renameat_with(&ready, &*name, &turn, &*name, RenameFlags::NOREPLACE) {
                Ok(()) | Err(Errno::EXIST) => {}
                // A file system without this kind of rename.
                Err(Errno::INVAL) => rustix::fs::renameat(&ready, &*name, &turn, &*name)?,
                Err(error) => return Err(error),
            }
        }
        match rustix::fs::unlinkat(&turn, READY, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        attributes(&from, &turn, &rustix::fs::fstat(&from)?)
    };
    fill().step(STEP, || format!("copy {target} of the image into the volume"))
}

/// Copies what the image has at a place into the file system in memory that will cover it, and is new. Its root keeps the
/// mode and the owner that `options` give it, and those of a new one where the place is most likely one that the image does
/// not have.
pub(super) fn fill_memory(
    root: BorrowedFd<'_>,
    place: &OwnedFd,
    made: &OwnedFd,
    target: &str,
    options: &[(String, String)],
) -> Result<()> {
    if !is_of_image(root, place, target)? {
        return Ok(());
    }
    let own = options.iter().any(|(key, _)| matches!(key.as_str(), "mode" | "uid" | "gid"));
    let copy = || -> rustix::io::Result<()> {
        let from = openat(place, ".", FOLDER, Mode::empty())?;
        let to = openat(made, ".", FOLDER, Mode::empty())?;
        let stat = rustix::fs::fstat(&from)?;
        if stat.st_uid == 0 && names(&from)?.is_empty() {
            return Ok(());
        }
        Copier::new(&to).folder(&from, &to, 0)?;
        if own { Ok(()) } else { attributes(&from, &to, &stat) }
    };
    copy().step(STEP, || format!("copy {target} of the image into memory"))
}

/// Whether a place is in the image's own file system.
fn is_of_image(root: BorrowedFd<'_>, place: &OwnedFd, target: &str) -> Result<bool> {
    let device = |fd: BorrowedFd<'_>| {
        rustix::fs::fstat(fd).map(|stat| stat.st_dev).step(STEP, || format!("look at {target}"))
    };
    Ok(device(root)? == device(place.as_fd())?)
}

enum State {
    /// Nothing is in it, or what a killed one was copying.
    Empty,
    /// Everything was copied.
    Ready,
    /// It has files of its own.
    Used,
}

fn state(volume: &OwnedFd) -> rustix::io::Result<State> {
    let mut used = false;
    for name in names(volume)? {
        let folder = || {
            statat(volume, &*name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
        };
        if *name == *READY && folder() {
            return Ok(State::Ready);
        }
        used |= *name != *UNFINISHED;
    }
    Ok(if used { State::Used } else { State::Empty })
}

fn names(folder: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

fn remove(folder: &OwnedFd, name: &CStr, depth: u32) -> rustix::io::Result<()> {
    match openat(folder, name, FOLDER, Mode::empty()) {
        Ok(inner) if depth <= DEEPEST => {
            for name in names(&inner)? {
                remove(&inner, &name, depth + 1)?;
            }
            rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
        }
        Ok(_) => Err(Errno::NAMETOOLONG),
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => rustix::fs::unlinkat(folder, name, AtFlags::empty()),
        Err(error) => Err(error),
    }
}

/// Copies a folder's content.
struct Copier<'a> {
    /// Where it is copied to.
    top: &'a OwnedFd,
    /// Files with several names: by device and number of each, where its first copy is: the folder, from the top, and the
    /// name in it.
    links: HashMap<(u64, u64), (Vec<u8>, CString)>,
    /// The folder where the work is done.
    path: Vec<u8>,
}

impl<'a> Copier<'a> {
    fn new(top: &'a OwnedFd) -> Copier<'a> {
        Copier { top, links: HashMap::new(), path: Vec::new() }
    }

    fn folder(&mut self, from: &OwnedFd, to: &OwnedFd, depth: u32) -> rustix::io::Result<()> {
        if depth > DEEPEST {
            return Err(Errno::NAMETOOLONG);
        }
        for name in names(from)? {
            let name = name.as_c_str();
            let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::Directory {
                rustix::fs::mkdirat(to, name, Mode::RWXU)?;
                let source = openat(from, name, FOLDER, Mode::empty())?;
                let aim = openat(to, name, FOLDER, Mode::empty())?;
                let length = self.path.len();
                self.path.extend_from_slice(name.to_bytes());
                self.path.push(b'/');
                self.folder(&source, &aim, depth + 1)?;
                self.path.truncate(length);
                // Last: what is made in a folder changes its times.
                attributes(&source, &aim, &stat)?;
            } else if !self.linked(to, name, &stat)? {
                self.file(from, to, name, &stat)?;
            }
        }
        Ok(())
    }

    fn linked(&self, to: &OwnedFd, name: &CStr, stat: &Stat) -> rustix::io::Result<bool> {
        let known = self.links.get(&(stat.st_dev, stat.st_ino)).filter(|_| stat.st_nlink > 1);
        let Some((folder, first)) = known else { return Ok(false) };
        // Whoever shares the volume may put a link there meanwhile.
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let folder: &[u8] = if folder.is_empty() { b"." } else { folder };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat2(self.top, folder, flags, Mode::empty(), resolve)?;
        rustix::fs::linkat(&folder, first, to, name, AtFlags::empty()).map(|()| true)
    }

    fn file(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr, stat: &Stat) -> rustix::io::Result<()> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let source = openat(from, name, flags, Mode::empty())?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let aim = openat(to, name, flags, Mode::RUSR | Mode::WUSR)?;
                content(&source, &aim, u64::try_from(stat.st_size).unwrap_or(0))?;
                attributes(&source, &aim, stat)?;
            }
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(from, name, Vec::new())?;
                rustix::fs::symlinkat(link.as_c_str(), to, name)?;
                let (uid, gid) = owner(stat);
                rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
                rustix::fs::utimensat(to, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            kind => {
                let device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
                let number = if device { stat.st_rdev } else { 0 };
                match rustix::fs::mknodat(to, name, kind, Mode::RUSR | Mode::WUSR, number) {
                    // No user namespace has devices.
                    Err(Errno::PERM) if device => return Ok(()),
                    other => other?,
                }
                let (uid, gid) = owner(stat);
                rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
                rustix::fs::chmodat(to, name, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())?;
                rustix::fs::utimensat(to, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
        if stat.st_nlink > 1 {
            self.links.insert((stat.st_dev, stat.st_ino), (self.path.clone(), name.to_owned()));
        }
        Ok(())
    }
}

/// A file's content, with its holes.
fn content(from: &OwnedFd, to: &OwnedFd, size: u64) -> rustix::io::Result<()> {
    rustix::fs::ftruncate(to, size)?;
    let mut at = 0;
    while at < size {
        let (start, end) = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => (start, rustix::fs::seek(from, SeekFrom::Hole(start))?.min(size)),
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            // This file system does not tell holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => (at, size),
            Err(error) => return Err(error),
        };
        rustix::fs::seek(to, SeekFrom::Start(start))?;
        let mut read = start;
        while read < end {
            let length = usize::try_from(end - read).unwrap_or(usize::MAX).min(1 << 30);
            match rustix::fs::sendfile(to, from, Some(&mut read), length) {
                Ok(0) => return Err(Errno::IO),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        at = end.max(at + 1);
    }
    Ok(())
}

fn owner(stat: &Stat) -> (Uid, Gid) {
    (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Gives an open file or folder the owner, mode, extended attributes and times of another.
fn attributes(from: &OwnedFd, to: &OwnedFd, stat: &Stat) -> rustix::io::Result<()> {
    let (uid, gid) = owner(stat);
    // In this order: a new owner clears set-ID bits and capabilities (chown(2)).
    rustix::fs::fchown(to, Some(uid), Some(gid))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode))?;
    let mut list = vec![0; MOST];
    let length = match rustix::fs::flistxattr(from, &mut list[..]) {
        Err(Errno::NOTSUP) => 0,
        other => other?,
    };
    for name in list.get(..length).unwrap_or_default().split(|byte| *byte == 0) {
        let kept =
            matches!(name, b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default")
                || name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
        if !kept {
            continue;
        }
        let mut value = vec![0; MOST];
        let length = match rustix::fs::fgetxattr(from, name, &mut value[..]) {
            // It counts for another root than the container's.
            Err(Errno::OVERFLOW | Errno::NODATA) => continue,
            other => other?,
        };
        match rustix::fs::fsetxattr(to, name, value.get(..length).unwrap_or_default(), XattrFlags::empty()) {
            // The volume's file system has none.
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(error) => return Err(error),
        }
    }
    rustix::fs::futimens(to, &times(stat))
}

#[cfg(test)]
mod tests;
