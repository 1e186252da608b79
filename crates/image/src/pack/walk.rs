//! A whole folder into a tar, however deep it is: only the folder where the work is done is open, and `..` leads back
//! from it, which is checked.

use std::ffi::CString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use super::{FOLDER, Packer, join, names};

/// A folder that is being written.
struct Level {
    /// Its path in the archive.
    path: Vec<u8>,
    /// Names that are still to be written, the last one first.
    rest: Vec<CString>,
    /// Device and number, by which the way back is checked.
    identity: (u64, u64),
}

impl<W: Write> Packer<'_, W> {
    /// Writes a file, or a folder with all that is in it, under the name `path`; `skip` is asked about the path of each
    /// thing, and what it is true of is left out. A socket is, too: a tar has none.
    ///
    /// # Errors
    /// The first that occurs, with its path.
    pub fn tree(&mut self, top: BorrowedFd<'_>, path: &[u8], skip: &dyn Fn(&[u8]) -> bool) -> io::Result<()> {
        let mut at = path.to_vec();
        self.walk(top, &mut at, skip).map_err(|error| {
            // Who stopped reading is nothing that a file is to blame for.
            if error.kind() == io::ErrorKind::BrokenPipe {
                return error;
            }
            io::Error::new(error.kind(), format!("{}: {error}", String::from_utf8_lossy(&at)))
        })
    }

    fn walk(
        &mut self,
        top: BorrowedFd<'_>,
        at: &mut Vec<u8>,
        skip: &dyn Fn(&[u8]) -> bool,
    ) -> io::Result<()> {
        self.node(top, if at.is_empty() { b"." } else { at })?;
        if FileType::from_raw_mode(fstat(top)?.st_mode) != FileType::Directory {
            return Ok(());
        }
        let mut folder = openat(top, ".", FOLDER, Mode::empty())?;
        let mut levels = vec![level(&folder, at.clone())?];
        while let Some(level_here) = levels.last_mut() {
            let Some(name) = level_here.rest.pop() else {
                levels.pop();
                let Some(above) = levels.last() else { break };
                let back = openat(&folder, "..", FOLDER, Mode::empty())?;
                if identity(&back)? != above.identity {
                    return Err(io::Error::other("it was moved while it was being read"));
                }
                folder = back;
                continue;
            };
            *at = join(&level_here.path, name.to_bytes());
            if skip(at) {
                continue;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = match openat(&folder, &name, flags, Mode::empty()) {
                Ok(file) => file,
                // Gone meanwhile.
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            self.node(file.as_fd(), at)?;
            let stat = fstat(&file)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                // What the kernel shows of itself is nobody's files.
                if stat.st_dev != level_here.identity.0 && is_kernel_s(file.as_fd()) {
                    continue;
                }
                folder = openat(&file, ".", FOLDER, Mode::empty())?;
                levels.push(level(&folder, at.clone())?);
            }
        }
        Ok(())
    }
}

fn level(folder: &OwnedFd, path: Vec<u8>) -> io::Result<Level> {
    let mut rest = names(folder)?;
    rest.reverse();
    Ok(Level { path, rest, identity: identity(folder)? })
}

fn identity(folder: &OwnedFd) -> io::Result<(u64, u64)> {
    let stat = fstat(folder)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Whether a file is in one of the file systems by which the kernel shows itself (linux/magic.h): they have no end, and a
/// read may wait there, or do something.
pub fn is_kernel_s(file: BorrowedFd<'_>) -> bool {
    let number = rustix::fs::fstatfs(file).ok().and_then(|stat| u64::try_from(stat.f_type).ok());
    let known = [
        0x9fa0,      // proc
        0x6265_6572, // sysfs
        0x0027_e0eb, // cgroup
        0x6367_7270, // cgroup2
        0x1cd1,      // devpts
        0x1980_0202, // mqueue
        0x6462_6720, // debugfs
        0x7472_6163, // tracefs
        0x7363_6673, // securityfs
        0x6165_676c, // pstore
        0xcafe_4a11, // bpf
        0x6265_6570, // configfs
        0x6165_7375, // fusectl
        0x4249_4e4d, // binfmt_misc
    ];
    number.is_some_and(|number| known.contains(&number))
}
