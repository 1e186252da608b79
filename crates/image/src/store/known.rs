//! Where a layer's blob can be had: which repositories hold it, compressed how, under which digest.
//!
//! The store keeps no compressed blobs, and compressing a layer again gives other bytes than those that came, hence another
//! digest. So the digest that a registry has is noted beside the layer, and `push` asks for it before it sends anything.
//! It is a hint: each registry is asked, and nothing is believed because it is written here.

use std::io::{Read, Write};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::Store;
use crate::{Digest, ImageError, Result};

const FILE: &str = "blobs.json";
/// How many are remembered of a layer; the oldest is forgotten.
const MOST: usize = 32;
const MAX_FILE: u64 = 256 * 1024;

/// A layer as a repository holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownBlob {
    /// The repository in full form: `docker.io/library/busybox`.
    pub repository: String,
    /// The blob's digest there.
    pub digest: Digest,
    /// Its length, in bytes.
    pub size: u64,
    /// What it says it is.
    pub media_type: String,
}

impl Store {
    /// The blobs that are known of a layer, the latest first.
    ///
    /// # Errors
    /// There is no such layer, or the disk's.
    pub fn known_blobs(&self, diff_id: &Digest) -> Result<Vec<KnownBlob>> {
        let failed = |e| ImageError::io(format!("read {FILE} of layer {diff_id}"), e);
        let layer = self.open_layer(diff_id)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&layer, FILE, flags, Mode::empty()) {
            Ok(fd) => std::fs::File::from(fd),
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error.into())),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
        // Only a hint: one that does not read is none.
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Remembers one. Two processes that do so at the same time may lose one of the two.
    ///
    /// # Errors
    /// There is no such layer, or the disk's.
    pub fn note_blob(&self, diff_id: &Digest, blob: &KnownBlob) -> Result<()> {
        let failed = |e| ImageError::io(format!("write {FILE} of layer {diff_id}"), e);
        let mut known = self.known_blobs(diff_id)?;
        if known.first() == Some(blob) {
            return Ok(());
        }
        known.retain(|other| (&other.repository, other.digest) != (&blob.repository, blob.digest));
        known.insert(0, blob.clone());
        known.truncate(MOST);
        let bytes = serde_json::to_vec(&known).map_err(|e| failed(e.into()))?;
        let layer = self.open_layer(diff_id)?;
        let work = self.work()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(work.fd(), FILE, flags, Mode::from_raw_mode(0o600))
            .map_err(|e| failed(e.into()))?;
        std::fs::File::from(fd).write_all(&bytes).map_err(failed)?;
        rustix::fs::renameat(work.fd(), FILE, &layer, FILE).map_err(|e| failed(e.into()))
    }
}
