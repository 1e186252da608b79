//! Making one entry of an archive: file, directory, link, device.

use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, makedev};
use rustix::io::Errno;

use super::attributes::Attributes;
use super::deferred::Deferred;
use super::limits::{Budget, Limits};
use super::name::{CleanPath, Meaning, meaning};
use super::tree::{Found, Parent, Replaced, Tree};
use super::{Highest, Plain, Recorder, Unpacked, failed, whiteout};
use crate::tar::{Entry, Kind, Segment, TarReader};
use crate::{ImageError, Result};

/// Fills a folder, entry by entry.
pub(super) struct Unpacker<'a> {
    tree: Tree<'a>,
    budget: Budget<'a>,
    deferred: Deferred<'a>,
    done: Unpacked,
    /// Content records so far.
    contents: u64,
    /// Whom new files belong to.
    me: (u32, u32),
    /// Set where it is no layer that is filled.
    plain: Option<Plain>,
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(
        root: BorrowedFd<'a>,
        graveyard: Option<BorrowedFd<'a>>,
        limits: &Limits,
    ) -> Result<Unpacker<'a>> {
        let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        // A set-group-ID folder would pass its group on; ask for every owner to be set then.
        let stat = rustix::fs::fstat(root).map_err(|e| ImageError::io("examine the layer's folder", e))?;
        let me = if stat.st_mode & 0o2000 == 0 { me } else { (u32::MAX, u32::MAX) };
        Ok(Unpacker {
            tree: Tree::new(root, graveyard),
            budget: Budget::new(root, limits),
            deferred: Deferred::new(root),
            done: Unpacked::default(),
            contents: 0,
            me,
            plain: None,
        })
    }

    /// The same for a folder that is no layer.
    pub(super) fn plain(mut self, plain: &Plain) -> Unpacker<'a> {
        self.plain = Some(plain.clone());
        self.deferred.keep_in_memory();
        // Set-group-ID folders may be anywhere.
        self.me = (u32::MAX, u32::MAX);
        self
    }

    /// A name of the archive as a path from the root.
    fn path(&self, name: &[u8]) -> Result<CleanPath> {
        let path = CleanPath::new(name, self.budget.limits())?;
        Ok(match &self.plain {
            Some(plain) => path.below(&plain.base),
            None => path,
        })
    }

    /// Makes one entry, reading its content from `tar`.
    pub(super) fn entry<R: BufRead, S: Recorder>(
        &mut self,
        tar: &mut TarReader<R, S>,
        mut entry: Entry,
    ) -> Result<()> {
        self.budget.entry()?;
        if self.plain.is_some() && CleanPath::new(&entry.name, self.budget.limits())?.is_root() {
            // The folder that is filled stays as it is.
            return match entry.kind {
                Kind::Directory => Ok(()),
                _ => Err(ImageError::entry(&entry.name, "it would replace the folder that it is copied to")),
            };
        }
        let path = self.path(&entry.name)?;
        let Some((parent, name)) = path.split() else {
            if entry.kind != Kind::Directory {
                return Err(ImageError::entry(&entry.name, "it would replace the layer's root"));
            }
            let attributes = self.attributes(&mut entry)?;
            return self.deferred.push(b"", &attributes);
        };
        let meaning = if self.plain.is_some() { Meaning::Plain } else { meaning(parent, name) };
        match meaning {
            Meaning::Plain | Meaning::Opaque | Meaning::Whiteout(_) => {}
            Meaning::Ignored => return Ok(()),
            Meaning::Invalid => {
                return Err(ImageError::entry(
                    &entry.name,
                    "names that begin with .wh. are kept for removals",
                ));
            }
        }
        let parent = self.tree.parent(parent, Some(&mut self.budget))?;
        let (length, max) = (parent.path.len() + 1 + name.len(), self.budget.limits().max_path);
        if length > max {
            return Err(ImageError::entry(
                name,
                format!("its path, links followed, has more than {max} bytes"),
            ));
        }
        match meaning {
            Meaning::Opaque => return whiteout::make_opaque_at(&parent, b""),
            Meaning::Whiteout(hidden) => return whiteout::hide(&parent, hidden),
            _ => {}
        }
        if entry.kind == Kind::HardLink {
            return self.hard_link(&parent, name, &entry);
        }
        let attributes = self.attributes(&mut entry)?;
        let owned = self.me == (attributes.uid, attributes.gid);
        match entry.kind {
            Kind::Directory => self.directory(&parent, name, &attributes),
            Kind::File => {
                let file = self.create(&parent, name)?;
                self.content(tar, &parent, name, &file, &entry)?;
                self.done.skipped_xattrs += attributes.set(file.as_fd(), name, owned)?;
                Ok(())
            }
            Kind::Symlink => {
                if entry.link.is_empty() {
                    return Err(ImageError::entry(&entry.name, "a symbolic link to nothing"));
                }
                self.make(&parent, name, || rustix::fs::symlinkat(&entry.link, &parent.fd, name))?;
                self.done.skipped_xattrs += attributes.set_at(&parent, name, true, owned)?;
                Ok(())
            }
            Kind::Char | Kind::Block | Kind::Fifo => {
                let kind = match entry.kind {
                    Kind::Char if entry.device == (0, 0) => {
                        let why = "a character device 0/0 is how overlayfs marks a removal: removals are .wh. entries";
                        return Err(ImageError::entry(&entry.name, why));
                    }
                    Kind::Char => FileType::CharacterDevice,
                    Kind::Block => FileType::BlockDevice,
                    _ => FileType::Fifo,
                };
                let device = makedev(entry.device.0, entry.device.1);
                let mode = Mode::from_raw_mode(0o600);
                self.make(&parent, name, || rustix::fs::mknodat(&parent.fd, name, kind, mode, device))?;
                self.done.skipped_xattrs += attributes.set_at(&parent, name, false, owned)?;
                Ok(())
            }
            Kind::HardLink => Ok(()),
        }
    }

    /// Sets what was put off.
    pub(super) fn finish(mut self) -> Result<(Unpacked, Vec<Replaced>)> {
        self.done.skipped_xattrs += self.deferred.apply()?;
        self.done.entries = self.budget.entries();
        Ok((self.done, self.tree.into_replaced()))
    }

    fn attributes(&mut self, entry: &mut Entry) -> Result<Attributes> {
        let (attributes, skipped) = Attributes::of(entry, self.budget.limits().max_xattr)?;
        self.done.skipped_xattrs += skipped;
        let mut attributes = attributes;
        if let Some((uid, gid)) = self.plain.as_ref().and_then(|plain| plain.owner) {
            (attributes.uid, attributes.gid) = (uid, gid);
        }
        let id = attributes.uid.max(attributes.gid);
        if id > self.done.highest.id {
            self.done.highest = Highest { id, path: String::from_utf8_lossy(&entry.name).into_owned() };
        }
        Ok(attributes)
    }

    /// Takes away what is in the way.
    fn clear(&mut self, parent: &Parent, name: &[u8]) -> Result<Found> {
        if self.plain.as_ref().is_some_and(|plain| !plain.replace) {
            let is_folder = rustix::fs::statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
            if is_folder {
                let path = parent.join(name);
                let path = String::from_utf8_lossy(&path);
                return Err(ImageError::Conflict(format!(
                    "cannot overwrite directory \"/{path}\" with non-directory"
                )));
            }
        }
        let max = self.budget.limits().max_replaced;
        self.tree.clear(parent, name, self.contents, max)
    }

    /// Makes something with a call that fails if the name is taken, and clears the way in that case.
    fn make<T>(&mut self, parent: &Parent, name: &[u8], call: impl Fn() -> Result<T, Errno>) -> Result<T> {
        let result = match call() {
            Err(Errno::EXIST) => {
                self.clear(parent, name)?;
                call()
            }
            result => result,
        };
        result.map_err(|e| failed("make", &parent.join(name), e))
    }

    fn create(&mut self, parent: &Parent, name: &[u8]) -> Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.make(parent, name, || rustix::fs::openat(&parent.fd, name, flags, Mode::from_raw_mode(0o600)))
    }

    fn directory(&mut self, parent: &Parent, name: &[u8], attributes: &Attributes) -> Result<()> {
        let mode = Mode::from_raw_mode(0o755);
        let make = || rustix::fs::mkdirat(&parent.fd, name, mode).map_err(|e| (e, parent.join(name)));
        match make() {
            Ok(()) => {}
            Err((Errno::EXIST, path)) => {
                let stat = rustix::fs::statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|e| failed("examine", &path, e))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    if self.plain.as_ref().is_some_and(|plain| !plain.replace) {
                        let path = String::from_utf8_lossy(&path);
                        return Err(ImageError::Conflict(format!(
                            "cannot overwrite non-directory \"/{path}\" with directory"
                        )));
                    }
                    let found = self.clear(parent, name)?;
                    make().map_err(|(e, path)| failed("make the directory", &path, e))?;
                    if found == Found::Whiteout {
                        whiteout::make_opaque_at(parent, name)?;
                    }
                }
            }
            Err((error, path)) => return Err(failed("make the directory", &path, error)),
        }
        self.deferred.push(&parent.join(name), attributes)
    }

    fn hard_link(&mut self, parent: &Parent, name: &[u8], entry: &Entry) -> Result<()> {
        let link = String::from_utf8_lossy(&entry.link).into_owned();
        let refuse = |why: &str| ImageError::entry(&entry.name, format!("a hard link to \"{link}\", {why}"));
        let target = self.path(&entry.link).map_err(|_| refuse("which points out of the layer's root"))?;
        let (target_parent, target_name) = target.split().ok_or_else(|| refuse("which is a directory"))?;
        let missing = "which this layer doesn't hold before it";
        let target_parent = match self.tree.parent(target_parent, None) {
            Ok(target_parent) => target_parent,
            Err(ImageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(refuse(missing));
            }
            Err(error) => return Err(error),
        };
        let stat_of =
            |parent: &Parent, name: &[u8]| rustix::fs::statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        let target_stat = match stat_of(&target_parent, target_name) {
            Ok(stat) if whiteout::is_whiteout(&stat) => return Err(refuse(missing)),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                return Err(refuse("which is a directory"));
            }
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Err(refuse(missing)),
            Err(error) => return Err(failed("examine", &entry.link, error)),
        };
        if stat_of(parent, name)
            .is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (target_stat.st_dev, target_stat.st_ino))
        {
            return Ok(());
        }
        self.make(parent, name, || {
            rustix::fs::linkat(&target_parent.fd, target_name, &parent.fd, name, AtFlags::empty())
        })
    }

    /// Writes a file's content: the whole, or the parts of a sparse file.
    fn content<R: BufRead, S: Recorder>(
        &mut self,
        tar: &mut TarReader<R, S>,
        parent: &Parent,
        name: &[u8],
        file: &OwnedFd,
        entry: &Entry,
    ) -> Result<()> {
        self.budget.content(entry.size)?;
        let whole = [Segment { offset: 0, length: entry.size }];
        let segments = match &entry.sparse {
            None if entry.size == 0 => &[],
            None => whole.as_slice(),
            Some(sparse) => {
                rustix::fs::ftruncate(file, sparse.real_size)
                    .map_err(|e| failed("set the size of", name, e))?;
                sparse.segments.as_slice()
            }
        };
        self.done.size =
            self.done.size.saturating_add(entry.sparse.as_ref().map_or(entry.size, |s| s.real_size));
        if segments.is_empty() {
            return Ok(());
        }
        let path = parent.join(name);
        for segment in segments {
            tar.tap().content(&path, segment.offset, segment.length)?;
            self.contents += 1;
            let mut at = segment.offset;
            let end = segment.offset + segment.length;
            while at < end {
                let chunk = tar.chunk()?;
                let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(chunk.len());
                let chunk = chunk.get(..wanted).unwrap_or_default();
                let written = match rustix::io::pwrite(file, chunk, at) {
                    Err(Errno::INTR) => continue,
                    Ok(0) => return Err(failed("write", &path, Errno::IO)),
                    other => other.map_err(|e| failed("write", &path, e))?,
                };
                tar.consume(written);
                at += written as u64;
            }
        }
        Ok(())
    }
}
