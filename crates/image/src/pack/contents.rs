//! The content of files: opened without ever opening anything but a regular file, and read around the holes (lseek(2),
//! `SEEK_HOLE`).

use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, SeekFrom, Stat, openat};
use rustix::io::Errno;

use crate::tar::{Segment, TarWriter};

/// How much is read at once.
const BUFFER: usize = 1024 * 1024;
/// A file with more parts is written whole: the list is in memory, and a reader has limits of its own.
const MAX_PARTS: usize = 10_000;

/// This process's own descriptors, by which what one of them holds can be opened (proc_pid_fd(5)): whatever its name has
/// come to mean, and wherever the process has its root.
#[derive(Debug)]
pub struct Descriptors(OwnedFd);

impl Descriptors {
    /// To be called in the process that uses it, while it sees the host's /proc.
    ///
    /// # Errors
    /// There is no /proc.
    pub fn open() -> io::Result<Descriptors> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Descriptors(rustix::fs::open("/proc/self/fd", flags, Mode::empty())?))
    }

    /// By /proc/self/fd, which was opened by this very process.
    pub fn of(folder: OwnedFd) -> Descriptors {
        Descriptors(folder)
    }

    /// Opens for reading the regular file that `file` holds.
    pub(crate) fn open_file(&self, file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(openat(&self.0, file.as_raw_fd().to_string(), flags, Mode::empty())?)
    }
}

/// The parts of a file that hold something.
pub(super) fn parts(file: &OwnedFd, stat: &Stat, size: u64) -> io::Result<Vec<Segment>> {
    let whole = || if size == 0 { Vec::new() } else { vec![Segment { offset: 0, length: size }] };
    // As many blocks as its size needs: there is no hole to look for.
    if u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512) >= size {
        return Ok(whole());
    }
    let mut parts = Vec::new();
    let mut at = 0;
    while at < size {
        let (start, end) = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => (start, rustix::fs::seek(file, SeekFrom::Hole(start))?.min(size)),
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            // This file system does not tell holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(whole()),
            Err(error) => return Err(error.into()),
        };
        if start >= end {
            break;
        }
        parts.push(Segment { offset: start, length: end - start });
        if parts.len() > MAX_PARTS {
            return Ok(whole());
        }
        at = end;
    }
    Ok(parts)
}

/// Writes these parts; `false` if the file has become shorter than they say.
pub(super) fn copy(
    file: &OwnedFd,
    parts: &[Segment],
    tar: &mut TarWriter<impl Write>,
    buffer: &mut Vec<u8>,
) -> io::Result<bool> {
    let longest = parts.iter().map(|part| part.length).max().unwrap_or(0);
    let room = usize::try_from(longest).unwrap_or(BUFFER).min(BUFFER);
    if buffer.len() < room {
        buffer.resize(room, 0);
    }
    let mut complete = true;
    for part in parts {
        let (mut at, end) = (part.offset, part.offset + part.length);
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
            let space = buffer.get_mut(..wanted).unwrap_or_default();
            let count = match rustix::io::pread(file, &mut *space, at) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let count = if count == 0 {
                complete = false;
                space.fill(0);
                wanted
            } else {
                count
            };
            tar.content(space.get(..count).unwrap_or_default())?;
            at += count as u64;
        }
    }
    Ok(complete)
}
