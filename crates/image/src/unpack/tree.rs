//! Finding and making the parents of entries, and clearing the way for a new entry, without leaving the folder.
//!
//! A parent's file descriptor is kept for the entries that follow, which mostly are its neighbours: one `openat2` per
//! directory instead of one per file (openat2(2)).

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::limits::Budget;
use super::{failed, whiteout};
use crate::{ImageError, Result};

/// How many parents are kept open; far from the usual limit of 1024 descriptors.
const KEPT: usize = 128;
/// Links followed on the way to one parent; the kernel's own limit (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// All paths of replaced entries together; they are kept in memory.
const MAX_REPLACED_PATHS: usize = 8 << 20;

/// A directory of the layer.
pub(super) struct Parent {
    /// Opened with `O_PATH`.
    pub(super) fd: OwnedFd,
    /// Its path from the layer's root, with no symbolic link in it. Empty is the root.
    pub(super) path: Vec<u8>,
}

impl Parent {
    /// The link-free path of an entry in it.
    pub(super) fn join(&self, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::with_capacity(self.path.len() + 1 + name.len());
        if !self.path.is_empty() {
            path.extend_from_slice(&self.path);
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }
}

/// Something that a later entry of the same archive took the place of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Replaced {
    /// Its link-free path.
    pub(crate) path: Vec<u8>,
    /// How many content records came before.
    pub(crate) at: u64,
}

/// What stood where an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Whiteout,
    Other,
}

/// The folder that is filled.
pub(super) struct Tree<'a> {
    root: BorrowedFd<'a>,
    graveyard: Option<BorrowedFd<'a>>,
    replaced: Vec<Replaced>,
    replaced_paths: usize,
    kept: HashMap<Vec<u8>, Rc<Parent>>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, graveyard: Option<BorrowedFd<'a>>) -> Tree<'a> {
        Tree { root, graveyard, replaced: Vec::new(), replaced_paths: 0, kept: HashMap::new() }
    }

    pub(super) fn into_replaced(self) -> Vec<Replaced> {
        self.replaced
    }

    /// The directory at the clean path `path`. Missing ones are made if there is a `budget`, as Docker makes them.
    pub(super) fn parent(&mut self, path: &[u8], budget: Option<&mut Budget<'_>>) -> Result<Rc<Parent>> {
        if let Some(parent) = self.kept.get(path) {
            return Ok(Rc::clone(parent));
        }
        let parent = match self.open(path) {
            Ok(fd) => Parent { fd, path: path.to_vec() },
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => self.walk(path, budget)?,
            Err(error) => return Err(failed("open the directory", path, error)),
        };
        if self.kept.len() >= KEPT {
            self.kept.clear();
        }
        let parent = Rc::new(parent);
        self.kept.insert(path.to_vec(), Rc::clone(&parent));
        Ok(parent)
    }

    /// Opens a directory by its link-free path.
    fn open(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { b"." } else { path };
        rustix::fs::openat2(
            self.root,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        )
    }

    /// Goes to `path` component by component; the archive's symbolic links are followed with the folder as root.
    fn walk(&self, path: &[u8], mut budget: Option<&mut Budget<'_>>) -> Result<Parent> {
        let root = || self.open(b"").map_err(|e| failed("open the layer's root for", path, e));
        let mut here = Parent { fd: root()?, path: Vec::new() };
        let mut ahead: Vec<Vec<u8>> = components(path);
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    let up = here.path.iter().rposition(|b| *b == b'/').unwrap_or(0);
                    here.path.truncate(up);
                    here.fd = self.open(&here.path).map_err(|e| failed("open the parent of", path, e))?;
                    continue;
                }
                _ => {}
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = match rustix::fs::openat(&here.fd, &name, flags, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT) => {
                    let Some(budget) = budget.as_deref_mut() else {
                        return Err(failed("open the directory", path, Errno::NOENT));
                    };
                    budget.entry()?;
                    implied(&here, &name).map_err(|e| failed("make the directory", path, e))?
                }
                Err(error) => return Err(failed("open the directory", path, error)),
            };
            let stat = rustix::fs::fstat(&next).map_err(|e| failed("examine", path, e))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => here = self.enter(&here, &name, next, budget.as_deref())?,
                FileType::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(ImageError::entry(path, "its parents are a loop of symbolic links"));
                    }
                    let target = rustix::fs::readlinkat(&next, "", Vec::new())
                        .map_err(|e| failed("read the symbolic link", path, e))?
                        .into_bytes();
                    if target.starts_with(b"/") {
                        here = Parent { fd: root()?, path: Vec::new() };
                    }
                    ahead.extend(components(&target));
                }
                FileType::CharacterDevice if whiteout::is_whiteout(&stat) && budget.is_some() => {
                    // Removed from the lower layers and made anew: what is below must not show through.
                    rustix::fs::unlinkat(&here.fd, &name, AtFlags::empty())
                        .map_err(|e| failed("remove the whiteout of", path, e))?;
                    let next = implied(&here, &name).map_err(|e| failed("make the directory", path, e))?;
                    whiteout::make_opaque(&next, path)?;
                    here = self.enter(&here, &name, next, budget.as_deref())?;
                }
                _ => {
                    let parent = here.join(&name);
                    let parent = String::from_utf8_lossy(&parent);
                    return Err(ImageError::entry(
                        path,
                        format!("\"{parent}\" is not a directory in this layer"),
                    ));
                }
            }
        }
        Ok(here)
    }

    /// One step down; links can lead deeper than any single name of the archive is long.
    fn enter(&self, here: &Parent, name: &[u8], fd: OwnedFd, budget: Option<&Budget<'_>>) -> Result<Parent> {
        let path = here.join(name);
        let max = budget.map_or(4095, |budget| budget.limits().max_path);
        if path.len() > max {
            return Err(ImageError::entry(
                name,
                format!("its path, links followed, has more than {max} bytes"),
            ));
        }
        Ok(Parent { fd, path })
    }

    /// Takes away what stands at `name`, so that something else can be made there. `at` is the count of content
    /// records so far.
    pub(super) fn clear(&mut self, parent: &Parent, name: &[u8], at: u64, max: usize) -> Result<Found> {
        let stat = match rustix::fs::statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(error) => return Err(failed("examine", name, error)),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        // A kept parent could be this directory or below it, or have been reached through this link.
        if matches!(kind, FileType::Directory | FileType::Symlink) {
            self.kept.clear();
        }
        let has_content = kind == FileType::Directory || kind == FileType::RegularFile && stat.st_size > 0;
        match self.graveyard {
            Some(graveyard) if has_content => {
                let path = parent.join(name);
                self.replaced_paths += path.len();
                if self.replaced.len() >= max || self.replaced_paths > MAX_REPLACED_PATHS {
                    return Err(ImageError::Limit(format!(
                        "a layer replaces more than {max} of its own entries"
                    )));
                }
                let grave = self.replaced.len().to_string();
                rustix::fs::renameat(&parent.fd, name, graveyard, grave)
                    .map_err(|e| failed("move the replaced", name, e))?;
                self.replaced.push(Replaced { path, at });
            }
            _ if kind == FileType::Directory => super::remove::tree(parent.fd.as_fd(), name)
                .map_err(|e| ImageError::io("remove a replaced directory", e))?,
            _ => rustix::fs::unlinkat(&parent.fd, name, AtFlags::empty())
                .map_err(|e| failed("remove the replaced", name, e))?,
        }
        Ok(if whiteout::is_whiteout(&stat) { Found::Whiteout } else { Found::Other })
    }
}

/// A directory that the archive implies: 0755 and root's, until an entry says more.
fn implied(parent: &Parent, name: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::mkdirat(&parent.fd, name, Mode::from_raw_mode(0o755))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&parent.fd, name, flags, Mode::empty())?;
    // The process's umask had a say in the mode above.
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o755))?;
    Ok(fd)
}

/// The components in reverse order, to be popped.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/').rev().map(<[u8]>::to_vec).collect()
}
