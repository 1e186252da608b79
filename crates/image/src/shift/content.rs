//! A file's content in another file: shared where the file system can (ioctl_ficlone(2)), else copied by the kernel
//! (copy_file_range(2)), else through memory. Holes stay holes.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// Copies all of `from` to the empty file `to`.
pub(super) fn copy(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    // Whatever the reason is that it cannot be shared, it can be copied.
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let size = u64::try_from(rustix::fs::fstat(from)?.st_size).unwrap_or(0);
    rustix::fs::ftruncate(to, size)?;
    let mut at = 0;
    while at < size {
        let (start, end) = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => (start, rustix::fs::seek(from, SeekFrom::Hole(start))?),
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            // This file system does not tell holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => (at, size),
            Err(error) => return Err(error.into()),
        };
        range(from, to, start, end)?;
        at = end;
    }
    Ok(())
}

fn range(from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> io::Result<()> {
    let (mut read, mut written) = (start, start);
    while read < end {
        let length = usize::try_from(end - read).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), length) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            // Not between these, or not by this kernel.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => break,
            Err(error) => return Err(error.into()),
        }
    }
    through_memory(from, to, read, end)
}

fn through_memory(from: &OwnedFd, to: &OwnedFd, mut at: u64, end: u64) -> io::Result<()> {
    if at >= end {
        return Ok(());
    }
    let to = File::from(to.as_fd().try_clone_to_owned()?);
    let mut buffer = vec![0u8; 256 * 1024];
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let part = buffer.get_mut(..length).unwrap_or_default();
        let count = match rustix::io::pread(from, &mut *part, at) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it became shorter while it was copied"));
        }
        to.write_all_at(part.get(..count).unwrap_or_default(), at)?;
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    #[test]
    fn memory_copies_what_the_kernel_would() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let text: Vec<u8> = (0..600_000u32).flat_map(u32::to_le_bytes).collect();
        std::os::unix::fs::FileExt::write_all_at(&from, &text, 0).unwrap();
        let (from, to): (OwnedFd, OwnedFd) = (from.into(), to.into());
        super::through_memory(&from, &to, 0, text.len() as u64).unwrap();
        let mut found = vec![0; text.len()];
        std::os::unix::fs::FileExt::read_exact_at(&std::fs::File::from(to), &mut found, 0).unwrap();
        assert!(found == text);
    }
}
