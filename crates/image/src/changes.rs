//! What a container changed in its root file system: what `diff` lists, and `commit` makes a layer of.
//!
//! Three views of one root are compared: *upper*, the folder that overlayfs writes into; *merged*, what the container
//! sees; *lower*, what it would see had it changed nothing. Upper tells where to look, so that no more is read than was
//! changed; what there is to be said about a file is seen in the other two. So nothing is made of overlayfs's own marks
//! (whiteouts, `redirect`, `metacopy`, origins), whatever the kernel's settings are, but for two: a folder that hides
//! what lies below it, or is another one's below, is compared whole.
//!
//! As with Docker, a folder counts as changed if its mode or owner did, or something in it; and a file that was copied up
//! but is what it was does not count (moby, `pkg/archive/changes.go`).
//!
//! The container may be at work meanwhile: names are single components, and no link is followed.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fgetxattr, openat, statat};
use rustix::io::Errno;

use crate::pack::{join, names};

/// How a path differs from the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Docker's `C`.
    Changed,
    /// Docker's `A`.
    Added,
    /// Docker's `D`.
    Deleted,
}

/// One change. Folders come before what is in them.
#[derive(Debug)]
pub struct Change<'a> {
    /// How it differs.
    pub kind: Kind,
    /// Its path from the root, without a slash in front.
    pub path: &'a [u8],
    /// What the container sees there now.
    pub now: Now<'a>,
}

/// What the container sees.
#[derive(Clone, Copy, Debug)]
pub enum Now<'a> {
    /// Nothing.
    Nothing,
    /// A folder, opened. Second: whether nothing of the image's folder of that name is in it.
    Folder(BorrowedFd<'a>, bool),
    /// Something else: the folder that it is in, and its name there.
    Other(BorrowedFd<'a>, &'a CStr),
}

/// The three views of a root.
#[derive(Debug)]
pub struct Views {
    /// overlayfs's upper folder.
    pub upper: OwnedFd,
    /// What the container sees, without anything that is mounted in it.
    pub merged: OwnedFd,
    /// What its image has.
    pub lower: OwnedFd,
}

/// How many folders may lie in each other: three descriptors are open for each.
const DEEPEST: usize = 300;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Views {
    /// Tells `tell` each change. `skip` is asked about each path: what it is true of counts as unchanged.
    ///
    /// # Errors
    /// Those of reading, with the path, and those of `tell`.
    pub fn compare(
        &self,
        skip: &dyn Fn(&[u8]) -> bool,
        tell: &mut dyn FnMut(&Change<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let folder = |fd: &OwnedFd| openat(fd, ".", FOLDER, Mode::empty());
        let root = Level {
            path: Vec::new(),
            upper: Some(folder(&self.upper)?),
            merged: folder(&self.merged)?,
            lower: Some(folder(&self.lower)?),
            untold: None,
        };
        let mut comparison = Comparison { skip, tell, levels: Vec::new() };
        comparison.folder(root)
    }
}

struct Level {
    path: Vec<u8>,
    /// `None`: all of it is to be looked at.
    upper: Option<OwnedFd>,
    merged: OwnedFd,
    /// `None`: the image has no folder there.
    lower: Option<OwnedFd>,
    /// Set while the folder is unchanged itself, and nothing in it was told: whether it hides the image's.
    untold: Option<bool>,
}

struct Comparison<'a> {
    skip: &'a dyn Fn(&[u8]) -> bool,
    tell: &'a mut dyn FnMut(&Change<'_>) -> io::Result<()>,
    /// The folders above.
    levels: Vec<Level>,
}

impl Comparison<'_> {
    fn folder(&mut self, level: Level) -> io::Result<()> {
        if self.levels.len() >= DEEPEST {
            return Err(at(&level.path, Errno::NAMETOOLONG.into()));
        }
        let path = level.path.clone();
        let names = changed_names(&level).map_err(|error| at(&path, error))?;
        self.levels.push(level);
        for name in names {
            let path = join(&path, name.to_bytes());
            if !(self.skip)(&path) {
                self.entry(&name, path)?;
            }
        }
        self.levels.pop();
        Ok(())
    }

    fn entry(&mut self, name: &CStr, path: Vec<u8>) -> io::Result<()> {
        let Some(here) = self.levels.last() else { return Ok(()) };
        let look = |folder: &OwnedFd| stat(folder, name).map_err(|error| at(&path, error));
        let now = look(&here.merged)?;
        let before = here.lower.as_ref().map(look).transpose()?.flatten();
        let kind = match (&now, &before) {
            (None, None) => return Ok(()),
            (None, Some(_)) => {
                return self.told(&Told {
                    kind: Kind::Deleted,
                    path: &path,
                    name,
                    folder: false,
                    alone: false,
                });
            }
            (Some(_), None) => Some(Kind::Added),
            (Some(now), Some(before)) => differs(now, before).then_some(Kind::Changed),
        };
        let is_folder = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !now.as_ref().is_some_and(is_folder) {
            return match kind {
                Some(kind) => self.told(&Told { kind, path: &path, name, folder: false, alone: false }),
                None => Ok(()),
            };
        }
        let open = |folder: &OwnedFd| match openat(folder, name, FOLDER, Mode::empty()) {
            Ok(fd) => Ok(Some(fd)),
            // Gone, or something else meanwhile.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(at(&path, error.into())),
        };
        let Some(merged) = open(&here.merged)? else { return Ok(()) };
        let lower = match &here.lower {
            Some(lower) if before.as_ref().is_some_and(is_folder) => open(lower)?,
            _ => None,
        };
        let mut upper = here.upper.as_ref().map(open).transpose()?.flatten();
        let alone = lower.is_some()
            && match &upper {
                Some(folder) => is_another(folder).map_err(|error| at(&path, error))?,
                None => false,
            };
        if alone || lower.is_none() {
            // The container's own, all of it.
            upper = None;
        } else if here.upper.is_some() && upper.is_none() {
            // Not in upper: as it was.
            return Ok(());
        }
        let untold = match kind {
            Some(kind) => {
                self.told(&Told { kind, path: &path, name, folder: true, alone })?;
                None
            }
            None => Some(alone),
        };
        self.folder(Level { path, upper, merged, lower, untold })
    }

    /// Tells a change, and first the folders above it that were not told yet.
    fn told(&mut self, told: &Told<'_>) -> io::Result<()> {
        for level in &mut self.levels {
            if let Some(alone) = level.untold.take() {
                let now = Now::Folder(level.merged.as_fd(), alone);
                (self.tell)(&Change { kind: Kind::Changed, path: &level.path, now })
                    .map_err(|error| at(&level.path, error))?;
            }
        }
        let Some(here) = self.levels.last() else { return Ok(()) };
        let failed = |error| at(told.path, error);
        let opened;
        let now = match told {
            Told { kind: Kind::Deleted, .. } => Now::Nothing,
            Told { folder: true, .. } => {
                opened = openat(&here.merged, told.name, FOLDER, Mode::empty())
                    .map_err(|error| failed(error.into()))?;
                Now::Folder(opened.as_fd(), told.alone)
            }
            _ => Now::Other(here.merged.as_fd(), told.name),
        };
        (self.tell)(&Change { kind: told.kind, path: told.path, now }).map_err(failed)
    }
}

/// A change of something in the present folder.
struct Told<'a> {
    kind: Kind,
    path: &'a [u8],
    name: &'a CStr,
    folder: bool,
    alone: bool,
}

/// The names that may have changed: those in upper; or all that there are and were.
fn changed_names(level: &Level) -> io::Result<Vec<CString>> {
    if let Some(upper) = &level.upper {
        return names(upper);
    }
    let mut all = names(&level.merged)?;
    if let Some(lower) = &level.lower {
        all.extend(names(lower)?);
        all.sort();
        all.dedup();
    }
    Ok(all)
}

/// Whether a folder of upper hides the one of that name below it, or shows one of another name.
fn is_another(upper: &OwnedFd) -> io::Result<bool> {
    let opaque = bulkhead_sys::mount::opaque_attribute();
    let redirect = opaque.replace("opaque", "redirect");
    for name in [opaque, redirect.as_str()] {
        let mut value = [0u8; 1];
        match fgetxattr(upper, name, &mut value[..]) {
            // Of an opaque mark `x` says something else: that it may have whiteouts of another form.
            Ok(_) if name == opaque && value != *b"y" => {}
            // A longer value than there is room for is one, too.
            Ok(_) | Err(Errno::RANGE) => return Ok(true),
            Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

fn stat(folder: &OwnedFd, name: &CStr) -> io::Result<Option<Stat>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Docker's test.
fn differs(now: &Stat, before: &Stat) -> bool {
    let about = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
    let folder = FileType::from_raw_mode(now.st_mode) == FileType::Directory;
    let content = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    about(now) != about(before) || !folder && content(now) != content(before)
}

fn at(path: &[u8], error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::BrokenPipe || error.to_string().starts_with('/') {
        return error;
    }
    io::Error::new(error.kind(), format!("/{}: {error}", String::from_utf8_lossy(path)))
}
