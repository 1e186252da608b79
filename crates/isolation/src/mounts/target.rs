//! The place in a container where something is mounted: found or made below its root, whatever links the
//! image holds (openat2(2) with RESOLVE_IN_ROOT: an absolute link or `..` leads to the container's root).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2};
use rustix::io::Errno;

use super::STEP;
use crate::error::{Error, Result, Step};

/// What a place must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File,
}

impl Kind {
    /// What the root of a detached mount is.
    pub(crate) fn of(mount: &OwnedFd) -> Result<Kind> {
        let stat = fstat(mount).step(STEP, || "look at a prepared mount")?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Folder,
            _ => Kind::File,
        })
    }
}

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

fn look(root: BorrowedFd<'_>, path: &str, resolve: ResolveFlags) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    for _ in 0..16 {
        match openat2(root, path, flags, Mode::empty(), resolve) {
            // The kernel could not prove that a rename elsewhere did not take us out: ask again.
            Err(Errno::AGAIN | Errno::INTR) => {}
            found => return found,
        }
    }
    Err(Errno::AGAIN)
}

/// What is at `path`, as the container finds it; `None`: nothing.
pub(crate) fn look_up(root: BorrowedFd<'_>, path: &str) -> Result<Option<OwnedFd>> {
    match look(root, path, IN_ROOT) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error).step(STEP, || format!("find {path} in the container")),
    }
}

/// The place `path`, made with all its parents if it is not there.
pub(crate) fn find(root: BorrowedFd<'_>, path: &str, kind: Kind) -> Result<OwnedFd> {
    match look(root, path, IN_ROOT) {
        Ok(place) => checked(place, path, kind),
        Err(Errno::NOENT) => make(root, path, kind),
        Err(error) => Err(error).step(STEP, || format!("find the mount point {path} in the container")),
    }
}

fn checked(place: OwnedFd, path: &str, kind: Kind) -> Result<OwnedFd> {
    let found = Kind::of(&place)?;
    if found != kind {
        let word = |kind| if kind == Kind::Folder { "a folder" } else { "a file" };
        return Err(Error::new(
            STEP,
            format!(
                "cannot mount {} onto {path}: the image has {} there; mount a folder onto a folder and a file onto a file",
                word(kind),
                word(found)
            ),
        ));
    }
    Ok(place)
}

/// Walks down, making what is missing. Each part is looked up from the root again, so that links in the part
/// that exists count as the container would count them.
fn make(root: BorrowedFd<'_>, path: &str, kind: Kind) -> Result<OwnedFd> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let Some((last, parents)) = parts.split_last() else {
        return Err(Error::new(STEP, "cannot mount onto / of the container"));
    };
    let mut current = look(root, ".", IN_ROOT).step(STEP, || "open the container's root")?;
    let mut so_far = String::new();
    for part in parents {
        so_far = format!("{so_far}/{part}");
        current = match look(root, &so_far, IN_ROOT) {
            Ok(folder) => checked(folder, &so_far, Kind::Folder)?,
            Err(Errno::NOENT) => folder_in(&current, part, &so_far)?,
            Err(error) => return Err(error).step(STEP, || format!("find {so_far} in the container")),
        };
    }
    match kind {
        Kind::Folder => folder_in(&current, last, path),
        Kind::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let mode = Mode::from_raw_mode(0o644);
            rustix::fs::openat(&current, *last, flags, mode)
                .step(STEP, || format!("make the mount point {path} in the container"))?;
            look(current.as_fd(), last, IN_ROOT | ResolveFlags::NO_SYMLINKS)
                .step(STEP, || format!("open the mount point {path} in the container"))
        }
    }
}

fn folder_in(parent: &OwnedFd, name: &str, path: &str) -> Result<OwnedFd> {
    if name == ".." {
        return Err(Error::new(
            STEP,
            format!("the mount point {path} leads through a folder that does not exist"),
        ));
    }
    match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error).step(STEP, || format!("make {path} in the container")),
    }
    let resolve = IN_ROOT | ResolveFlags::NO_SYMLINKS;
    look(parent.as_fd(), name, resolve)
        .step(STEP, || format!("use {path} as a mount point: the image has a link there that leads nowhere"))
}

/// The place of one of the kernel's own file systems: no link may stand there or on the way, or the
/// protections that are laid over /proc and /sys afterwards would lie elsewhere.
pub(crate) fn find_exact(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd> {
    match look(root, path, IN_ROOT | ResolveFlags::NO_SYMLINKS) {
        Ok(place) => checked(place, path, Kind::Folder),
        Err(Errno::NOENT) => make(root, path, Kind::Folder),
        Err(Errno::LOOP) => Err(Error::new(
            STEP,
            format!(
                "cannot mount {path}: it is a symbolic link in the image, which must have a folder there"
            ),
        )),
        Err(error) => Err(error).step(STEP, || format!("find the mount point {path} in the container")),
    }
}
