//! What an archive may cost: a bomb fails with a clear error, long before the disk is full.

use std::os::fd::BorrowedFd;

use crate::{ImageError, Result};

/// Left free on the file system, so that the engine itself can go on.
const RESERVE: u64 = 64 << 20;
/// How much is written between two looks at the free space.
const STRIDE: u64 = 64 << 20;
/// What an entry costs besides its content, about.
const ENTRY_COST: u64 = 4096;

/// Limits of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries, the implied parents included: 4 million.
    pub max_entries: u64,
    /// Bytes written, and bytes of everything else in the tar: 64 GiB each. Whatever this says, 64 MiB are left free
    /// on the file system.
    pub max_bytes: u64,
    /// Bytes in a path: 4095, as the kernel has it.
    pub max_path: usize,
    /// Bytes in one extended attribute: 64 KiB.
    pub max_xattr: usize,
    /// Entries of the archive that later ones in the same archive replace: 10,000. Each costs memory.
    pub max_replaced: usize,
    /// Bytes in a JSON document of an image archive: 4 MiB.
    pub max_json: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_entries: 4_000_000,
            max_bytes: 64 << 30,
            max_path: 4095,
            max_xattr: 64 << 10,
            max_replaced: 10_000,
            max_json: 4 << 20,
        }
    }
}

/// What is left of the limits.
pub(super) struct Budget<'a> {
    folder: BorrowedFd<'a>,
    limits: Limits,
    entries: u64,
    bytes: u64,
    /// What may be written before the free space is looked at again.
    allowance: u64,
}

impl<'a> Budget<'a> {
    pub(super) fn new(folder: BorrowedFd<'a>, limits: &Limits) -> Budget<'a> {
        Budget { folder, limits: limits.clone(), entries: 0, bytes: 0, allowance: 0 }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// One more entry.
    pub(super) fn entry(&mut self) -> Result<()> {
        self.entries += 1;
        if self.entries > self.limits.max_entries {
            return Err(ImageError::Limit(format!(
                "a layer has more than {} entries",
                self.limits.max_entries
            )));
        }
        self.space(ENTRY_COST)
    }

    /// `count` more bytes of content.
    pub(super) fn content(&mut self, count: u64) -> Result<()> {
        self.bytes = self.bytes.saturating_add(count);
        if self.bytes > self.limits.max_bytes {
            return Err(ImageError::Limit(format!(
                "a layer unpacks to more than {} bytes",
                self.limits.max_bytes
            )));
        }
        self.space(count)
    }

    fn space(&mut self, count: u64) -> Result<()> {
        if let Some(rest) = self.allowance.checked_sub(count) {
            self.allowance = rest;
            return Ok(());
        }
        let stat =
            rustix::fs::fstatvfs(self.folder).map_err(|e| ImageError::io("ask for the free space", e))?;
        if stat.f_blocks == 0 {
            // A tmpfs without a limit has no size.
            self.allowance = STRIDE;
            return Ok(());
        }
        let free = stat.f_bavail.saturating_mul(stat.f_frsize).saturating_sub(RESERVE);
        if free < count {
            return Err(ImageError::NoSpace {
                what: format!(
                    "unpacking a layer (64 MiB are always left free, {} bytes are free)",
                    free + RESERVE
                ),
            });
        }
        self.allowance = (free - count).min(STRIDE);
        Ok(())
    }
}
