//! Work in progress: a locked folder in `tmp/`, gone when its maker is done with it or dead.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::{Store, directory};
use crate::unpack::remove;
use crate::{ImageError, Result};

/// Makes names unique within the process.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A folder in `tmp/`; dropping it removes what is still in it.
pub(crate) struct Work {
    tmp: OwnedFd,
    name: String,
    /// Holds the lock.
    fd: OwnedFd,
}

impl Work {
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Makes and opens a folder in it.
    pub(crate) fn folder(&self, name: &str) -> Result<OwnedFd> {
        super::make_directory(&self.fd, name)
            .map_err(|e| ImageError::io(format!("make the folder {name}"), e))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next `clean`.
        let _ = remove::tree(self.tmp.as_fd(), self.name.as_bytes());
    }
}

impl Store {
    /// A new folder for work in progress.
    pub(crate) fn work(&self) -> Result<Work> {
        let doing = |what: &str| format!("{what} a work folder in {}", self.root.join("tmp").display());
        // `clean` takes this lock for itself alone, so it never sees a folder that isn't locked yet.
        let guard = self.lock_tmp(FlockOperation::LockShared)?;
        let tmp =
            rustix::io::fcntl_dupfd_cloexec(&self.tmp, 3).map_err(|e| ImageError::io(doing("open"), e))?;
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{count}", rustix::process::getpid().as_raw_nonzero());
            match rustix::fs::mkdirat(&self.tmp, &name, Mode::RWXU) {
                Ok(()) => {}
                // Left by a process that had our number.
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(ImageError::io(doing("make"), error)),
            }
            let fd = rustix::fs::openat(&self.tmp, &name, directory() | OFlags::NOFOLLOW, Mode::empty())
                .map_err(|e| ImageError::io(doing("open"), e))?;
            rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive)
                .map_err(|e| ImageError::io(doing("lock"), e))?;
            drop(guard);
            return Ok(Work { tmp, name, fd });
        }
    }

    /// Removes what processes that died left behind; gives how many such folders there were.
    pub fn clean(&self) -> Result<usize> {
        let doing = |what: &str| format!("{what} {}", self.root.join("tmp").display());
        let _guard = self.lock_tmp(FlockOperation::LockExclusive)?;
        let mut removed = 0;
        for entry in Dir::read_from(&self.tmp).map_err(|e| ImageError::io(doing("read"), e))? {
            let entry = entry.map_err(|e| ImageError::io(doing("read"), e))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if let Ok(fd) = rustix::fs::openat(&self.tmp, name, directory() | OFlags::NOFOLLOW, Mode::empty())
                && rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
            {
                continue;
            }
            remove::tree(self.tmp.as_fd(), name.to_bytes()).map_err(|e| ImageError::io(doing("clean"), e))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// A lock on `tmp/` itself, until the descriptor is dropped.
    fn lock_tmp(&self, operation: FlockOperation) -> Result<OwnedFd> {
        let doing = || format!("lock {}", self.root.join("tmp").display());
        // Opened anew: a lock belongs to the open file, and a copy of ours would share it among threads.
        let fd = rustix::fs::openat(&self.tmp, ".", directory(), Mode::empty())
            .map_err(|e| ImageError::io(doing(), e))?;
        loop {
            match rustix::fs::flock(&fd, operation) {
                Ok(()) => return Ok(fd),
                Err(Errno::INTR) => {}
                Err(error) => return Err(ImageError::io(doing(), error)),
            }
        }
    }
}
