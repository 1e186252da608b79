//! An image that comes layer by layer, from a registry: what each layer is has been said before its first byte comes.
//!
//! A layer is hashed, decompressed and unpacked while it is read, in the work folder, and several may come at the same
//! time. Only when all are there, and each is what manifest and config say, [`Incoming::finish`] puts them into the
//! store. Whatever ends earlier leaves nothing.

use std::collections::HashMap;
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::descriptor::Descriptor;
use super::stream;
use crate::compression::Compression;
use crate::store::Work;
use crate::unpack::remove;
use crate::{Digest, ImageConfig, ImageError, Limits, Loaded, Reference, Result, Store};

/// Enough of a layer to know how it is compressed.
const HEAD: u64 = 512;

/// An image on its way into the store.
pub struct Incoming<'a> {
    store: &'a Store,
    work: Work,
    /// Folders that were made so far: an attempt that failed has had its own.
    made: AtomicUsize,
    /// The folders of layers that are there, by diff ID.
    folders: Mutex<HashMap<Digest, String>>,
}

impl std::fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("made", &self.made).finish_non_exhaustive()
    }
}

impl Store {
    /// Begins to take in an image.
    ///
    /// # Errors
    /// The disk's.
    pub fn incoming(&self) -> Result<Incoming<'_>> {
        let (made, folders) = (AtomicUsize::new(0), Mutex::default());
        Ok(Incoming { store: self, work: self.work()?, made, folders })
    }
}

impl Incoming<'_> {
    /// Unpacks the layer `diff_id` from `source`, which gives the blob that `descriptor` describes.
    ///
    /// # Errors
    /// `source`'s; [`ImageError::DigestMismatch`] if the blob, or the tar in it, is another one. Nothing is left of it.
    pub fn layer(&self, diff_id: &Digest, descriptor: &Descriptor, source: impl Read) -> Result<()> {
        let folder = format!("layer-{}", self.made.fetch_add(1, Ordering::Relaxed));
        let outcome = self.unpack(diff_id, descriptor, source, &folder);
        match outcome {
            Ok(()) => {
                let mut folders = self.folders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                folders.insert(*diff_id, folder);
            }
            Err(_) => {
                // It may be tried again, and need not lie twice on the disk meanwhile. With the work folder it goes anyway.
                let _ = remove::tree(self.work.fd().as_fd(), folder.as_bytes());
            }
        }
        outcome
    }

    fn unpack(
        &self,
        diff_id: &Digest,
        descriptor: &Descriptor,
        mut source: impl Read,
        folder: &str,
    ) -> Result<()> {
        // The type must be known; which compression it is the bytes themselves say, as registries hold blobs whose
        // type says another.
        descriptor.layer_compression()?;
        let mut head = Vec::new();
        source
            .by_ref()
            .take(HEAD)
            .read_to_end(&mut head)
            .map_err(|e| ImageError::io(format!("read the layer {}", descriptor.digest), e))?;
        let compression = Compression::sniff(&head)?;
        let whole = head.as_slice().chain(source);
        let found = stream::layer(whole, compression, &self.work, folder, &Limits::default())?;
        if found.blob.0 != descriptor.digest {
            let what = format!("the downloaded layer {}", descriptor.digest);
            return Err(ImageError::DigestMismatch {
                what,
                expected: descriptor.digest,
                found: found.blob.0,
            });
        }
        if found.diff_id != *diff_id {
            let what = format!("the tar in the layer {}", descriptor.digest);
            return Err(ImageError::DigestMismatch { what, expected: *diff_id, found: found.diff_id });
        }
        Ok(())
    }

    /// Puts the image into the store: the layers first, then the documents that name them.
    ///
    /// # Errors
    /// A layer of the config that neither came nor is in the store; the disk's.
    pub fn finish(self, config_bytes: &[u8], manifest: &[u8], references: Vec<Reference>) -> Result<Loaded> {
        let config = ImageConfig::from_json(config_bytes)?;
        let folders = self.folders.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut size = 0;
        for diff_id in &config.rootfs.diff_ids {
            if let Some(folder) = folders.get(diff_id).filter(|_| !self.store.has_layer(diff_id)) {
                self.store.commit_layer(&self.work, folder, diff_id)?;
            }
            size += self.store.layer_meta(diff_id)?.size;
        }
        self.store.put_blob(&self.work, manifest)?;
        let id = self.store.put_blob(&self.work, config_bytes)?;
        let layers = config.rootfs.diff_ids.clone();
        Ok(Loaded { id, references, layers, size, config })
    }
}
