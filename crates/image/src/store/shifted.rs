//! Copies of layers for containers whose IDs no mount can map:
//!
//! ```text
//! shifted/KEY/HEX/    a layer's files, owned by the IDs that the mapping named KEY makes of the image's
//! shifted/KEY/.new    a copy that is being made
//! shifted/KEY/.gone   one that is being removed
//! ```
//!
//! Who looks for a copy, makes one or removes one holds the lock (flock(2)) of KEY's folder. So a name with a dot that
//! is found under the lock was left by somebody who died; and nobody is told of a copy that another takes away.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode};
use rustix::io::Errno;

use super::layer::DIFF;
use super::{Store, directory, make_directory};
use crate::shift::{self, Ids};
use crate::unpack::remove;
use crate::{Digest, ImageError, Result};

const FOLDER: &str = "shifted";
const NEW: &str = ".new";
const GONE: &str = ".gone";
const LINKS: &str = ".links";

/// The copies for one mapping, locked.
#[derive(Debug)]
pub struct Shifted<'a> {
    store: &'a Store,
    all: OwnedFd,
    key: String,
    fd: OwnedFd,
}

/// What is there for one mapping, seen without the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShiftedNames {
    /// The mapping's name.
    pub key: String,
    /// The layers of which there is a copy.
    pub layers: Vec<Digest>,
    /// Whether there is more: a copy that is being made or removed, or was when somebody died.
    pub unfinished: bool,
}

impl Store {
    /// Takes the lock of a mapping's copies. `key` names the mapping: letters and digits.
    ///
    /// # Errors
    /// The disk's.
    pub fn shifted(&self, key: &str) -> Result<Shifted<'_>> {
        let all = make_directory(&self.folder()?, FOLDER).map_err(|e| self.failed(key, e))?;
        loop {
            let fd = make_directory(&all, key).map_err(|e| self.failed(key, e))?;
            if self.lock(&all, key, &fd, FlockOperation::LockExclusive)? {
                return Ok(Shifted { store: self, all, key: key.into(), fd });
            }
        }
    }

    /// The same, of copies that are there, unless somebody else has the lock.
    ///
    /// # Errors
    /// The disk's.
    pub fn shifted_if_free(&self, key: &str) -> Result<Option<Shifted<'_>>> {
        let Some(all) = self.shifted_folder()? else { return Ok(None) };
        let fd = match rustix::fs::openat(&all, key, directory(), Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.failed(key, error)),
        };
        let free = self.lock(&all, key, &fd, FlockOperation::NonBlockingLockExclusive)?;
        Ok(free.then(|| Shifted { store: self, all, key: key.into(), fd }))
    }

    /// Whether the store at `root` may have copies. Where mounts map IDs there are none, and this costs one system call.
    pub fn may_have_shifted(root: &Path) -> bool {
        root.join(FOLDER).exists()
    }

    /// All copies that there are.
    ///
    /// # Errors
    /// The disk's.
    pub fn shifted_names(&self) -> Result<Vec<ShiftedNames>> {
        let Some(all) = self.shifted_folder()? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for key in entries(&all).map_err(|e| self.failed("", e))? {
            match rustix::fs::openat(&all, &*key, directory(), Mode::empty()) {
                Ok(fd) => {
                    let names = entries(&fd).map_err(|e| self.failed(&key, e))?;
                    let layers: Vec<Digest> =
                        names.iter().filter_map(|name| Digest::from_hex(name).ok()).collect();
                    let unfinished = layers.len() != names.len();
                    found.push(ShiftedNames { key, layers, unfinished });
                }
                // Gone this moment.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(self.failed(&key, error)),
            }
        }
        Ok(found)
    }

    /// Locks the folder; `false` if it is not the one of that name any more, or not free.
    fn lock(&self, all: &OwnedFd, key: &str, fd: &OwnedFd, how: FlockOperation) -> Result<bool> {
        loop {
            match rustix::fs::flock(fd, how) {
                Ok(()) => break,
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Ok(false),
                Err(error) => return Err(self.failed(key, error)),
            }
        }
        let held = rustix::fs::fstat(fd).map_err(|e| self.failed(key, e))?;
        match rustix::fs::statat(all, key, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => Ok((named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.failed(key, error)),
        }
    }

    fn folder(&self) -> Result<OwnedFd> {
        rustix::fs::open(&self.root, directory(), Mode::empty()).map_err(|e| self.failed("", e))
    }

    fn shifted_folder(&self) -> Result<Option<OwnedFd>> {
        match rustix::fs::open(self.root.join(FOLDER), directory(), Mode::empty()) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("", error)),
        }
    }

    fn failed(&self, key: &str, error: impl Into<std::io::Error>) -> ImageError {
        let place = self.root.join(FOLDER).join(key);
        ImageError::io(format!("use the copies of layers in {}", place.display()), error)
    }
}

impl Shifted<'_> {
    /// A layer's copy, made if it is not there: the folder that all for this mapping are in, and its place in it.
    ///
    /// # Errors
    /// There is no such layer; a file of it belongs to somebody whom the mapping does not know; the disk is full. Then
    /// nothing is there.
    pub fn layer(&self, diff_id: &Digest, ids: Ids<'_>) -> Result<(PathBuf, String)> {
        let place = self.store.root.join(FOLDER).join(&self.key);
        let hex = diff_id.hex();
        let there = rustix::fs::statat(&self.fd, &hex, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        if !there {
            let made = self.make(diff_id, &hex, ids);
            let cleared = remove::tree(self.fd.as_fd(), LINKS.as_bytes())
                .and_then(|()| remove::tree(self.fd.as_fd(), NEW.as_bytes()));
            made?;
            cleared.map_err(|e| self.store.failed(&self.key, e))?;
        }
        Ok((place, hex))
    }

    fn make(&self, diff_id: &Digest, hex: &str, ids: Ids<'_>) -> Result<()> {
        let source = self.store.open_layer(diff_id)?;
        let failed = |error: std::io::Error| {
            ImageError::io(format!("copy the layer {diff_id} for the container's IDs"), error)
        };
        let make = || -> std::io::Result<()> {
            for left in [NEW, LINKS] {
                remove::tree(self.fd.as_fd(), left.as_bytes())?;
            }
            let source = rustix::fs::openat(&source, DIFF, directory(), Mode::empty())?;
            let (new, links) = (make_directory(&self.fd, NEW)?, make_directory(&self.fd, LINKS)?);
            shift::copy(source.as_fd(), new.as_fd(), links.as_fd(), ids)?;
            // In one step: what has a layer's name is whole.
            Ok(rustix::fs::renameat(&self.fd, NEW, &self.fd, hex)?)
        };
        make().map_err(failed)
    }

    /// Removes all copies but those of these layers, and what was left by somebody who died.
    ///
    /// # Errors
    /// The disk's; what could not be removed is found the next time.
    pub fn keep(self, layers: &[Digest]) -> Result<()> {
        let failed = |e: std::io::Error| self.store.failed(&self.key, e);
        for name in entries(&self.fd).map_err(failed)? {
            let known = Digest::from_hex(&name).ok();
            if known.is_some_and(|digest| layers.contains(&digest)) {
                continue;
            }
            if known.is_some() {
                // Away in one step, so that no half of a copy is ever found.
                remove::tree(self.fd.as_fd(), GONE.as_bytes()).map_err(failed)?;
                rustix::fs::renameat(&self.fd, &*name, &self.fd, GONE).map_err(|e| failed(e.into()))?;
                remove::tree(self.fd.as_fd(), GONE.as_bytes()).map_err(failed)?;
            } else {
                remove::tree(self.fd.as_fd(), name.as_bytes()).map_err(failed)?;
            }
        }
        if layers.is_empty() {
            rustix::fs::unlinkat(&self.all, &*self.key, AtFlags::REMOVEDIR).map_err(|e| failed(e.into()))?;
        }
        Ok(())
    }
}

fn entries(folder: &OwnedFd) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !matches!(&*name, "." | "..") {
            names.push(name);
        }
    }
    Ok(names)
}
