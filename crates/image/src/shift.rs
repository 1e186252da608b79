//! Copying a layer's folder with other owners: what takes the place of an ID-mapped mount where there can be none.
//!
//! Through an ID-mapped mount the kernel shows every owner, group, ACL entry and file capability as the container's.
//! A copy has to say the same on disk:
//!
//! | of a file | in the copy |
//! |---|---|
//! | kind, mode with set-ID bits, times, size, holes, device numbers (overlayfs's whiteouts are such) | the same |
//! | names of one file (hard links) | are names of one file |
//! | owner and group, and those in POSIX ACLs | mapped; an entry for somebody unknown goes, as it means nobody |
//! | `security.capability` | names the container's root as the one for whom it counts (capabilities(7), version 3) |
//! | `trusted.*` (overlayfs's own), `user.*` | the same |
//! | labels of security modules | those that a new file gets |
//!
//! Contents are shared where the file system can do that (FICLONE), and otherwise copied by the kernel.
//!
//! Nothing is named by a path, no link is followed, and a folder may be as deep as it likes: only the folder where the
//! work is done is open, and `..` leads back from it, which is checked.

pub(crate) mod attributes;
mod content;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

/// Whose a file is to be, by whose it is.
#[derive(Clone, Copy)]
pub struct Ids<'a> {
    /// For a user ID; `None`: the container does not know that user.
    pub user: &'a dyn Fn(u32) -> Option<u32>,
    /// For a group ID.
    pub group: &'a dyn Fn(u32) -> Option<u32>,
}

impl fmt::Debug for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ids(0 is {:?}:{:?}, …)", (self.user)(0), (self.group)(0))
    }
}

/// A folder that is being copied.
struct Level {
    /// Its name in the one above.
    name: CString,
    /// Names that are still to be copied.
    rest: Vec<CString>,
    /// Device and number of it and of its copy, by which the way back is checked.
    identity: [(u64, u64); 2],
}

/// Copies the folder `source` with all that is in it, its own attributes too, into the empty folder `target` of the same
/// file system. `links` is another empty folder there: files with several names are found again by it. It is as good as
/// empty afterwards; the caller removes it.
///
/// # Errors
/// The first that occurs, with the path in the layer. What was copied by then is left.
pub(crate) fn copy(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    links: BorrowedFd<'_>,
    ids: Ids<'_>,
) -> io::Result<()> {
    let mut walk = Walk {
        source: openat(source, ".", FOLDER, Mode::empty())?,
        target: openat(target, ".", FOLDER, Mode::empty())?,
        links,
        ids,
        levels: Vec::new(),
        device: rustix::fs::fstat(source)?.st_dev,
    };
    let done = walk.enter(CString::default()).and_then(|()| walk.run());
    done.map_err(|(name, error)| {
        let path: Vec<String> = walk
            .levels
            .iter()
            .map(|level| &level.name)
            .chain(&name)
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        let path = if path.len() > 1 { path.join("/") } else { "/".into() };
        io::Error::new(error.kind(), format!("{path}: {error}"))
    })
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

struct Walk<'a> {
    /// The folder that is being copied, and its copy.
    source: OwnedFd,
    target: OwnedFd,
    links: BorrowedFd<'a>,
    ids: Ids<'a>,
    levels: Vec<Level>,
    device: u64,
}

/// What went wrong, and at which name in the current folder.
type Step<T> = Result<T, (Option<CString>, io::Error)>;

impl Walk<'_> {
    fn run(&mut self) -> Step<()> {
        while let Some(level) = self.levels.last_mut() {
            match level.rest.pop() {
                Some(name) => {
                    let copied = self.entry(&name);
                    let folder = copied.map_err(|error| (Some(name.clone()), error))?;
                    if folder {
                        self.enter(name)?;
                    }
                }
                // Last: what is made in a folder changes its times.
                None => self.finish().and_then(|()| self.leave()).map_err(|error| (None, error))?,
            }
        }
        Ok(())
    }

    /// Copies what has that name in the current folder, but for the content of a folder. Gives whether it is one.
    fn entry(&mut self, name: &CString) -> io::Result<bool> {
        let stat = statat(&self.source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_dev != self.device {
            return Err(io::Error::other("another file system is mounted there"));
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            rustix::fs::mkdirat(&self.target, name, Mode::RWXU)?;
            let source = openat(&self.source, name, FOLDER, Mode::empty())?;
            self.target = openat(&self.target, name, FOLDER, Mode::empty())?;
            self.source = source;
            return Ok(true);
        }
        let known = (stat.st_nlink > 1).then(|| stat.st_ino.to_string());
        if let Some(known) = &known {
            match rustix::fs::linkat(self.links, known, &self.target, name, AtFlags::empty()) {
                Ok(()) => return Ok(false),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.file(name, &stat)?;
        if let Some(known) = &known {
            rustix::fs::linkat(&self.target, name, self.links, known, AtFlags::empty())?;
        }
        Ok(false)
    }

    fn file(&self, name: &CString, stat: &Stat) -> io::Result<()> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let from = openat(&self.source, name, flags, Mode::empty())?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let to = openat(&self.target, name, flags, Mode::RUSR | Mode::WUSR)?;
                content::copy(&from, &to)?;
                return attributes::copy(from.as_fd(), to.as_fd(), self.ids);
            }
            FileType::Symlink => {
                let leads_to = rustix::fs::readlinkat(&self.source, name, Vec::new())?;
                rustix::fs::symlinkat(&leads_to, &self.target, name)?;
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo | FileType::Socket => {
                let device = if matches!(kind, FileType::Fifo | FileType::Socket) { 0 } else { stat.st_rdev };
                rustix::fs::mknodat(&self.target, name, kind, Mode::RUSR | Mode::WUSR, device)?;
            }
            FileType::Directory | FileType::Unknown => {
                return Err(io::Error::other("the kernel does not say what it is"));
            }
        }
        attributes::copy_at(&self.source, &self.target, name, stat, self.ids)
    }

    /// Begins with what is the current folder now.
    fn enter(&mut self, name: CString) -> Step<()> {
        let look = || -> io::Result<Level> {
            let mut rest = Vec::new();
            for entry in Dir::read_from(&self.source)? {
                let entry = entry?;
                if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                    rest.push(entry.file_name().to_owned());
                }
            }
            Ok(Level {
                name: name.clone(),
                rest,
                identity: [identity(&self.source)?, identity(&self.target)?],
            })
        };
        let level = look().map_err(|error| (Some(name.clone()), error))?;
        self.levels.push(level);
        Ok(())
    }

    fn finish(&self) -> io::Result<()> {
        attributes::copy(self.source.as_fd(), self.target.as_fd(), self.ids)
    }

    /// Goes back to the folder above.
    fn leave(&mut self) -> io::Result<()> {
        self.levels.pop();
        let Some(above) = self.levels.last() else { return Ok(()) };
        let source = openat(&self.source, "..", FOLDER, Mode::empty())?;
        let target = openat(&self.target, "..", FOLDER, Mode::empty())?;
        if above.identity != [identity(&source)?, identity(&target)?] {
            return Err(io::Error::other("it was moved while it was being copied"));
        }
        (self.source, self.target) = (source, target);
        Ok(())
    }
}

fn identity(folder: &OwnedFd) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(folder)?;
    Ok((stat.st_dev, stat.st_ino))
}
