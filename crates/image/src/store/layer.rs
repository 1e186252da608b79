//! Layers: where they are, what is known about them, and their tar again.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::skeleton::{self, Record};
use super::{Store, Work, directory};
use crate::unpack::{Replaced, remove};
use crate::{Digest, HashingWriter, Highest, ImageError, Result};

pub(crate) const DIFF: &str = "diff";
pub(crate) const META: &str = "meta.json";
pub(crate) const SKELETON: &str = "skeleton.zst";
pub(crate) const REPLACED: &str = "replaced";
pub(crate) const REPLACED_LIST: &str = "replaced.json";

/// What is known about a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerMeta {
    /// The digest of its uncompressed tar.
    pub diff_id: Digest,
    /// The sizes of its files, in bytes.
    pub size: u64,
    /// The length of its tar, in bytes.
    pub tar_size: u64,
    /// How many entries it has.
    pub entries: u64,
    /// The highest user or group ID of an entry.
    #[serde(default)]
    pub highest: Highest,
    /// Extended attributes of the tar that the folder doesn't have.
    pub skipped_xattrs: u64,
}

impl Store {
    /// The folder of a layer's files, to be mounted read-only.
    pub fn layer_folder(&self, diff_id: &Digest) -> Result<PathBuf> {
        let (store, name) = self.layer_place(diff_id)?;
        Ok(store.join(name))
    }

    /// The same in two parts: the folder that all layers are in, and the layer's place there.
    ///
    /// # Errors
    /// There is no such layer.
    pub fn layer_place(&self, diff_id: &Digest) -> Result<(PathBuf, String)> {
        self.open_layer(diff_id)?;
        Ok((self.root.join("layers"), format!("{}/{DIFF}", diff_id.hex())))
    }

    /// Whether the store has a layer.
    pub fn has_layer(&self, diff_id: &Digest) -> bool {
        rustix::fs::accessat(&self.layers, diff_id.hex(), rustix::fs::Access::EXISTS, AtFlags::empty())
            .is_ok()
    }

    /// The diff IDs of all layers.
    pub fn layers(&self) -> Result<Vec<Digest>> {
        self.names(&self.layers)
    }

    /// The highest user or group ID in these layers.
    pub fn highest_id(&self, layers: &[Digest]) -> Result<Highest> {
        let mut highest = Highest::default();
        for layer in layers {
            let here = self.layer_meta(layer)?.highest;
            if here.id > highest.id {
                highest = here;
            }
        }
        Ok(highest)
    }

    /// What is known about a layer.
    pub fn layer_meta(&self, diff_id: &Digest) -> Result<LayerMeta> {
        let what = || format!("the description of layer {diff_id}");
        let layer = self.open_layer(diff_id)?;
        let mut bytes = Vec::new();
        open_file(&layer, META)
            .and_then(|file| file.take(1 << 20).read_to_end(&mut bytes))
            .map_err(|e| ImageError::io(format!("read {}", what()), e))?;
        serde_json::from_slice(&bytes).map_err(|source| ImageError::Json { what: what(), source })
    }

    /// A lock for whoever says which layers are needed, and whoever removes those that are not: as long as it is held,
    /// no other process has it.
    pub fn lock_layers(&self) -> Result<OwnedFd> {
        let failed = |e| ImageError::io(format!("lock the layers in {}", self.root.display()), e);
        // Opened anew: a lock belongs to the open file.
        let fd = rustix::fs::openat(&self.layers, ".", directory(), Mode::empty()).map_err(failed)?;
        loop {
            match rustix::fs::flock(&fd, rustix::fs::FlockOperation::LockExclusive) {
                Ok(()) => return Ok(fd),
                Err(Errno::INTR) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Removes a layer; that it is gone already is fine. Nothing may use it: the engine's table says so.
    pub fn remove_layer(&self, diff_id: &Digest) -> Result<()> {
        let failed = |e| ImageError::io(format!("remove the layer {diff_id}"), e);
        let work = self.work()?;
        // Away in one step, so that no half of a layer is ever found.
        match rustix::fs::renameat(&self.layers, diff_id.hex(), work.fd(), "layer") {
            Ok(()) => remove::tree(work.fd().as_fd(), b"layer").map_err(failed),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Writes a layer's tar, byte for byte the one that was unpacked; gives its length.
    ///
    /// # Errors
    /// [`ImageError::DigestMismatch`], after everything is written, if the layer was changed on disk.
    pub fn layer_tar(&self, diff_id: &Digest, out: impl Write) -> Result<u64> {
        let failed = |e| ImageError::io(format!("write the tar of layer {diff_id}"), e);
        let layer = self.open_layer(diff_id)?;
        let contents = Contents::open(&layer).map_err(failed)?;
        let skeleton = open_file(&layer, SKELETON).map_err(failed)?;
        let mut skeleton = BufReader::new(zstd::Decoder::new(skeleton).map_err(failed)?);
        let mut out = HashingWriter::new(out);
        let mut buffer = vec![0u8; 256 * 1024];
        let mut at = 0;
        while let Some(record) = skeleton::read(&mut skeleton).map_err(failed)? {
            match record {
                Record::Raw(bytes) => out.write_all(&bytes).map_err(failed)?,
                Record::Content { path, offset, length } => {
                    contents.copy(&path, at, offset, length, &mut buffer, &mut out).map_err(|e| {
                        let path = String::from_utf8_lossy(&path);
                        ImageError::io(format!("copy \"{path}\" of layer {diff_id}"), e)
                    })?;
                    at += 1;
                }
            }
        }
        out.flush().map_err(failed)?;
        let (_, found, length) = out.finish();
        if found != *diff_id {
            let what = format!("the layer in {}", self.root.display());
            return Err(ImageError::DigestMismatch { what, expected: *diff_id, found });
        }
        Ok(length)
    }

    /// Reads a layer's files and compares them with its digest.
    pub fn verify_layer(&self, diff_id: &Digest) -> Result<()> {
        self.layer_tar(diff_id, std::io::sink()).map(drop)
    }

    /// Moves a complete, verified layer from a work folder to its place.
    pub(crate) fn commit_layer(&self, work: &Work, folder: &str, diff_id: &Digest) -> Result<()> {
        match rustix::fs::renameat(work.fd(), folder, &self.layers, diff_id.hex()) {
            Ok(()) => Ok(()),
            // Somebody else was first, with the same content.
            Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(()),
            Err(error) => Err(ImageError::io(format!("put the layer {diff_id} into its place"), error)),
        }
    }

    pub(super) fn open_layer(&self, diff_id: &Digest) -> Result<OwnedFd> {
        match rustix::fs::openat(&self.layers, diff_id.hex(), directory() | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => Ok(fd),
            Err(Errno::NOENT) => Err(ImageError::NotFound { what: "layer", digest: *diff_id }),
            Err(error) => Err(ImageError::io(format!("open the layer {diff_id}"), error)),
        }
    }
}

/// Where the contents of a layer's files are.
struct Contents {
    diff: OwnedFd,
    replaced: Option<OwnedFd>,
    /// By path: when something there was replaced (in content records), and the number it has in `replaced/`.
    graves: HashMap<Vec<u8>, Vec<(u64, usize)>>,
}

impl Contents {
    fn open(layer: &OwnedFd) -> std::io::Result<Contents> {
        let diff = rustix::fs::openat(layer, DIFF, directory() | OFlags::NOFOLLOW, Mode::empty())?;
        let mut graves: HashMap<Vec<u8>, Vec<(u64, usize)>> = HashMap::new();
        let replaced =
            match rustix::fs::openat(layer, REPLACED, directory() | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(fd) => {
                    let list: Vec<Replaced> =
                        serde_json::from_reader(BufReader::new(open_file(layer, REPLACED_LIST)?))?;
                    for (number, entry) in list.into_iter().enumerate() {
                        graves.entry(entry.path).or_default().push((entry.at, number));
                    }
                    Some(fd)
                }
                Err(Errno::NOENT) => None,
                Err(error) => return Err(error.into()),
            };
        Ok(Contents { diff, replaced, graves })
    }

    /// Copies the content of record number `at`.
    fn copy(
        &self,
        path: &[u8],
        at: u64,
        mut offset: u64,
        mut length: u64,
        buffer: &mut [u8],
        out: &mut impl Write,
    ) -> std::io::Result<()> {
        let file = match self.grave(path, at) {
            Some(path) => self.replaced.as_ref().map(|folder| open_beneath(folder, &path)),
            None => Some(open_beneath(&self.diff, path)),
        };
        let file = file.ok_or(Errno::NOENT)??;
        while length > 0 {
            let wanted = usize::try_from(length).unwrap_or(usize::MAX).min(buffer.len());
            let part = buffer.get_mut(..wanted).unwrap_or_default();
            let n = match rustix::io::pread(&file, &mut *part, offset) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            if n == 0 {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    "it is shorter than it was",
                ));
            }
            out.write_all(part.get(..n).unwrap_or_default())?;
            offset += n as u64;
            length -= n as u64;
        }
        Ok(())
    }

    /// Where in `replaced/` the file went that record number `at` filled: the first thing after it that replaced the
    /// file or a directory above it.
    fn grave(&self, path: &[u8], at: u64) -> Option<Vec<u8>> {
        if self.graves.is_empty() {
            return None;
        }
        let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at).chain([path.len()]);
        // Several can be replaced between two records: their numbers tell which was first.
        let mut first: Option<((u64, usize), Vec<u8>)> = None;
        for end in ends {
            let (above, below) = path.split_at(end);
            for (when, number) in self.graves.get(above).map(Vec::as_slice).unwrap_or_default() {
                let order = (*when, *number);
                if *when > at && first.as_ref().is_none_or(|(best, _)| order < *best) {
                    let mut place = number.to_string().into_bytes();
                    place.extend_from_slice(below);
                    first = Some((order, place));
                }
            }
        }
        first.map(|(_, place)| place)
    }
}

fn open_beneath(folder: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::openat2(
        folder,
        path,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
}

fn open_file(layer: &OwnedFd, name: &str) -> std::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(layer, name, flags, Mode::empty())?.into())
}
