//! Blobs: configs and manifests, byte for byte as they came.

use std::fs::File;
use std::io::{Read, Write};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{Store, Work};
use crate::{Digest, ImageConfig, ImageError, Result};

/// No config or manifest is larger.
const MAX_BLOB: u64 = 4 << 20;

impl Store {
    /// Reads a blob and verifies it.
    pub fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>> {
        let doing = || format!("read the blob {digest}");
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.blobs, digest.hex(), flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Err(ImageError::NotFound { what: "blob", digest: *digest }),
            Err(error) => return Err(ImageError::io(doing(), error)),
        };
        let mut bytes = Vec::new();
        File::from(fd).take(MAX_BLOB + 1).read_to_end(&mut bytes).map_err(|e| ImageError::io(doing(), e))?;
        let found = Digest::of(&bytes);
        if found != *digest {
            let what = format!("a blob in {}", self.root.display());
            return Err(ImageError::DigestMismatch { what, expected: *digest, found });
        }
        Ok(bytes)
    }

    /// Reads the config of an image.
    pub fn read_config(&self, id: &Digest) -> Result<ImageConfig> {
        ImageConfig::from_json(&self.read_blob(id)?)
    }

    /// Keeps `bytes` under their digest: the config of an image that `commit` made, say.
    pub fn write_blob(&self, bytes: &[u8]) -> Result<Digest> {
        let work = self.work()?;
        self.put_blob(&work, bytes)
    }

    pub(crate) fn put_blob(&self, work: &Work, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let failed = |e| ImageError::io(format!("write the blob {digest}"), e);
        if bytes.len() as u64 > MAX_BLOB {
            return Err(ImageError::Limit(format!("a config or manifest has more than {MAX_BLOB} bytes")));
        }
        let name = digest.hex();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(work.fd(), &name, flags, Mode::from_raw_mode(0o600))
            .map_err(|e| failed(e.into()))?;
        File::from(fd).write_all(bytes).map_err(failed)?;
        rustix::fs::renameat(work.fd(), &name, &self.blobs, &name).map_err(|e| failed(e.into()))?;
        Ok(digest)
    }

    /// Removes a blob; that it is gone already is fine.
    pub fn remove_blob(&self, digest: &Digest) -> Result<()> {
        match rustix::fs::unlinkat(&self.blobs, digest.hex(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(ImageError::io(format!("remove the blob {digest}"), error)),
        }
    }

    /// The digests of all blobs.
    pub fn blobs(&self) -> Result<Vec<Digest>> {
        self.names(&self.blobs)
    }

    /// The digests that name the entries of a directory.
    pub(super) fn names(&self, directory: &std::os::fd::OwnedFd) -> Result<Vec<Digest>> {
        let failed = |e| ImageError::io(format!("list the image store {}", self.root.display()), e);
        let mut digests = Vec::new();
        for entry in rustix::fs::Dir::read_from(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            digests.extend(entry.file_name().to_str().ok().and_then(|name| Digest::from_hex(name).ok()));
        }
        digests.sort();
        Ok(digests)
    }
}
