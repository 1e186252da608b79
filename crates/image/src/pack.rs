//! From files to a tar: what `export`, `commit` and `cp` read out of a container.
//!
//! **A container may move its files about while they are read.** Nothing is named by more than one component, no link is
//! followed, and what was looked at is what is opened: a file is held by a descriptor that opens nothing (open(2),
//! `O_PATH`), and only if it is a regular file is it opened through that. So a pipe or a device that is put in its place
//! is never opened, and a link never leads anywhere.
//!
//! Owners, ACLs and file capabilities are the container's in the archive, whatever they are on disk: [`Ids`].

mod attributes;
mod contents;
mod walk;

use std::collections::HashMap;
use std::ffi::CStr;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, major, minor, openat};

use crate::shift::Ids;
use crate::tar::{Entry, Kind, TarWriter};

pub use contents::Descriptors;
pub use walk::is_kernel_s;

/// The ID of whom nobody knows (/proc/sys/kernel/overflowuid).
const NOBODY: u32 = 65_534;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Writes files into a tar.
pub struct Packer<'a, W: Write> {
    tar: TarWriter<W>,
    ids: Ids<'a>,
    descriptors: &'a Descriptors,
    /// By device and number, under which name files with several names are in the archive.
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
    /// What the user should know, a sentence each.
    warnings: Vec<String>,
}

impl<'a, W: Write> Packer<'a, W> {
    /// Writes to `out`, in large pieces. `ids` says what an ID on disk is in the archive.
    pub fn new(out: W, ids: Ids<'a>, descriptors: &'a Descriptors) -> Packer<'a, W> {
        let (links, buffer) = (HashMap::new(), Vec::new());
        Packer { tar: TarWriter::new(out), ids, descriptors, links, buffer, warnings: Vec::new() }
    }

    /// How many bytes the archive has so far.
    pub fn written(&self) -> u64 {
        self.tar.written()
    }

    /// Ends the archive. Gives what is to be said about it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(self) -> io::Result<(W, Vec<String>)> {
        let (out, _) = self.tar.finish()?;
        Ok((out, self.warnings))
    }

    /// Writes what has that name in a folder, without what is in it. What is gone meanwhile is left out.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn child(&mut self, folder: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> io::Result<()> {
        match openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => self.node(file.as_fd(), path),
            Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes one file, folder, link or device under the name `path`, without what is in a folder. `file` may have been
    /// opened with `O_PATH`.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn node(&mut self, file: BorrowedFd<'_>, path: &[u8]) -> io::Result<()> {
        let stat = fstat(file)?;
        let mut entry = self.described(&stat, path);
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Socket {
            // A tar has no sockets; who made it makes it again.
            return Ok(());
        }
        if kind != FileType::Directory && stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                entry.kind = Kind::HardLink;
                entry.link.clone_from(first);
                return self.tar.entry(&entry);
            }
            self.links.insert((stat.st_dev, stat.st_ino), path.to_vec());
        }
        match kind {
            FileType::RegularFile => return self.file(file, &stat, entry),
            FileType::Directory => {
                entry.kind = Kind::Directory;
                let folder = openat(file, ".", FOLDER, Mode::empty())?;
                entry.xattrs = attributes::read(folder.as_fd(), self.ids, &mut self.buffer)?;
            }
            FileType::Symlink => {
                entry.kind = Kind::Symlink;
                entry.link = rustix::fs::readlinkat(file, c"", Vec::new())?.into_bytes();
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                let block = kind == FileType::BlockDevice;
                entry.kind = if block { Kind::Block } else { Kind::Char };
                entry.device = (major(stat.st_rdev), minor(stat.st_rdev));
            }
            FileType::Fifo => entry.kind = Kind::Fifo,
            FileType::Socket | FileType::Unknown => {
                return Err(io::Error::other("the kernel does not say what it is"));
            }
        }
        self.tar.entry(&entry)
    }

    /// An entry without content, such as a whiteout.
    pub(crate) fn mark(&mut self, path: Vec<u8>) -> io::Result<()> {
        self.tar.entry(&empty(path))
    }

    fn described(&self, stat: &Stat, path: &[u8]) -> Entry {
        Entry {
            mode: stat.st_mode & 0o7777,
            uid: (self.ids.user)(stat.st_uid).unwrap_or(NOBODY),
            gid: (self.ids.group)(stat.st_gid).unwrap_or(NOBODY),
            mtime: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            ..empty(path.to_vec())
        }
    }

    fn file(&mut self, file: BorrowedFd<'_>, stat: &Stat, mut entry: Entry) -> io::Result<()> {
        let opened = self.descriptors.open_file(file)?;
        entry.xattrs = attributes::read(opened.as_fd(), self.ids, &mut self.buffer)?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let parts = contents::parts(&opened, stat, size)?;
        entry.size = parts.iter().map(|part| part.length).sum();
        if entry.size != size {
            entry.sparse = Some(crate::tar::Sparse { real_size: size, segments: parts.clone() });
        }
        let path = entry.name.clone();
        self.tar.entry(&entry)?;
        if !contents::copy(&opened, &parts, &mut self.tar, &mut self.buffer)? {
            self.warnings.push(format!(
                "\"{}\" became shorter while it was read: zeros stand for what was missing",
                String::from_utf8_lossy(&path)
            ));
        }
        Ok(())
    }
}

fn empty(name: Vec<u8>) -> Entry {
    Entry {
        kind: Kind::File,
        name,
        link: Vec::new(),
        mode: 0,
        uid: 0,
        gid: 0,
        mtime: (0, 0),
        size: 0,
        device: (0, 0),
        xattrs: Vec::new(),
        sparse: None,
    }
}

/// A path and a name below it; the root is empty, or `/` where names are to begin with that.
pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    match path {
        b"" => name.to_vec(),
        b"/" => [path, name].concat(),
        _ => [path, b"/", name].concat(),
    }
}

/// The names in a folder, in order.
pub(crate) fn names(folder: &OwnedFd) -> io::Result<Vec<std::ffi::CString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort();
    Ok(names)
}
