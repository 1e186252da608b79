//! The attributes of directories, kept until everything is in them.
//!
//! A layer may have millions of directories and memory is bounded, so beyond the first MiB they wait in an unnamed
//! file (open(2), `O_TMPFILE`) on the store's own file system.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::attributes::Attributes;
use super::failed;
use crate::{ImageError, Result};

const IN_MEMORY: usize = 1 << 20;

/// Directories whose attributes are still to be set.
pub(super) struct Deferred<'a> {
    root: BorrowedFd<'a>,
    memory: Vec<u8>,
    file: Option<File>,
    /// How much is kept before the file is made.
    room: usize,
}

impl<'a> Deferred<'a> {
    pub(super) fn new(root: BorrowedFd<'a>) -> Deferred<'a> {
        Deferred { root, memory: Vec::new(), file: None, room: IN_MEMORY }
    }

    /// Makes no file: the root may be somewhere where nothing can be written.
    pub(super) fn keep_in_memory(&mut self) {
        self.room = usize::MAX;
    }

    /// Remembers the attributes of the directory at a link-free path; later ones for the same path win.
    pub(super) fn push(&mut self, path: &[u8], attributes: &Attributes) -> Result<()> {
        self.bytes(path);
        for number in [attributes.mode, attributes.uid, attributes.gid, attributes.mtime.1] {
            self.memory.extend_from_slice(&number.to_le_bytes());
        }
        self.memory.extend_from_slice(&attributes.mtime.0.to_le_bytes());
        self.memory.extend_from_slice(&(attributes.xattrs.len() as u64).to_le_bytes());
        for (name, value) in &attributes.xattrs {
            self.bytes(name);
            self.bytes(value);
        }
        if self.memory.len() > self.room {
            let waiting = |e| ImageError::io("keep the directories' attributes in a temporary file", e);
            let file = match &mut self.file {
                Some(file) => file,
                none => {
                    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
                    let fd = rustix::fs::openat(self.root, ".", flags, Mode::from_raw_mode(0o600))
                        .map_err(|e| waiting(e.into()))?;
                    none.insert(File::from(fd))
                }
            };
            file.write_all(&self.memory).map_err(waiting)?;
            self.memory.clear();
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.memory.extend_from_slice(bytes);
    }

    /// Sets them all; gives the number of extended attributes that the file system cannot hold.
    pub(super) fn apply(self) -> Result<u64> {
        let waited = |e| ImageError::io("read the directories' attributes back", e);
        let mut skipped = 0;
        let mut each = |path: Vec<u8>, attributes: Attributes| -> Result<()> {
            let name: &[u8] = if path.is_empty() { b"." } else { &path };
            let directory = rustix::fs::openat2(
                self.root,
                name,
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
            );
            match directory {
                Ok(directory) => {
                    skipped += attributes.set(directory.as_fd(), name, false)?;
                    Ok(())
                }
                // A later entry put something else there.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
                Err(error) => Err(failed("open the directory", name, error)),
            }
        };
        if let Some(mut file) = self.file {
            file.rewind().map_err(waited)?;
            let mut reader = BufReader::new(file);
            while let Some((path, attributes)) = read(&mut reader).map_err(waited)? {
                each(path, attributes)?;
            }
        }
        let mut rest = self.memory.as_slice();
        while let Some((path, attributes)) = read(&mut rest).map_err(waited)? {
            each(path, attributes)?;
        }
        Ok(skipped)
    }
}

/// One record; `None` at the end.
fn read(source: &mut impl Read) -> io::Result<Option<(Vec<u8>, Attributes)>> {
    let mut length = [0u8; 8];
    match source.read(&mut length)? {
        0 => return Ok(None),
        n => source.read_exact(length.get_mut(n..).unwrap_or_default())?,
    }
    let path = exactly(source, u64::from_le_bytes(length))?;
    let mut number = || -> io::Result<u32> {
        let mut bytes = [0u8; 4];
        source.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    };
    let (mode, uid, gid, nanos) = (number()?, number()?, number()?, number()?);
    let seconds = long(source)?.cast_signed();
    let count = long(source)?;
    let mut xattrs = Vec::new();
    for _ in 0..count {
        let length = long(source)?;
        let name = exactly(source, length)?;
        let length = long(source)?;
        xattrs.push((name, exactly(source, length)?));
    }
    Ok(Some((path, Attributes { mode, uid, gid, mtime: (seconds, nanos), xattrs })))
}

fn long(source: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0u8; 8];
    source.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn exactly(source: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
