//! Reading image archives: what `docker save`, `podman save`, `skopeo` and `buildx` write.
//!
//! One pass, so that an archive can come from a pipe. In a Docker archive the layers stand before the manifest that
//! says what they are; so whatever looks like a layer is unpacked as it streams by, into a work folder, while its
//! digests are computed ([`stream`]). When all has passed ([`contents`]), the manifest is read ([`docker`], [`oci`]), and
//! only what a verified config names is put into the store.

mod contents;
pub(crate) mod descriptor;
mod docker;
pub(crate) mod incoming;
mod oci;
pub(crate) mod stream;

use std::collections::HashSet;
use std::io::{BufReader, Read};

use contents::Layer;

use crate::{Digest, ImageConfig, ImageError, Limits, Reference, Result, Store};

/// An image that is in the store now.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The digest of the config.
    pub id: Digest,
    /// The names that the archive gives it.
    pub references: Vec<Reference>,
    /// The diff IDs, base first. The same one can stand there twice.
    pub layers: Vec<Digest>,
    /// The sizes of all files of all layers, in bytes.
    pub size: u64,
    /// The config.
    pub config: ImageConfig,
}

/// How far a load is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A layer is being read.
    Layer {
        /// Its name in the archive.
        name: String,
        /// Bytes read so far.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A layer was read to its end and unpacked; it isn't in the store yet.
    LayerDone {
        /// Its name in the archive.
        name: String,
        /// Its diff ID.
        diff_id: Digest,
    },
    /// An image was put into the store.
    Image {
        /// Its ID.
        id: Digest,
    },
}

/// An operating system and a processor, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, … where there is more than one.
    pub variant: Option<String>,
}

impl Platform {
    /// Reads `OS/ARCHITECTURE[/VARIANT]`, or an architecture alone, with the other names that processors have.
    pub fn parse(text: &str) -> Option<Platform> {
        let lower = text.to_ascii_lowercase();
        let mut parts: Vec<&str> = lower.split('/').collect();
        if parts.len() == 1 {
            parts.insert(0, "linux");
        }
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return None,
        };
        let word =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if ![os, architecture, variant.unwrap_or("v")].into_iter().all(word) {
            return None;
        }
        let (architecture, implied) = match architecture {
            "x86_64" | "x86-64" => ("amd64", None),
            "i386" | "i686" => ("386", None),
            "aarch64" => ("arm64", None),
            "armhf" => ("arm", Some("v7")),
            "armel" => ("arm", Some("v6")),
            "arm" => ("arm", Some("v7")),
            other => (other, None),
        };
        // 64-bit ARM has one variant in use, which indexes name or leave out.
        let variant = variant.or(implied).filter(|variant| (architecture, *variant) != ("arm64", "v8"));
        Some(Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        })
    }

    /// The platform of this machine.
    pub fn host() -> Platform {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", None),
            "arm" => ("arm", Some("v7")),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", None),
            "powerpc64" => ("ppc64", None),
            "loongarch64" => ("loong64", None),
            other => (other, None),
        };
        Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// An image of the archive, all of it there and verified, not in the store yet.
struct Verified {
    config_bytes: Vec<u8>,
    config: ImageConfig,
    /// A manifest, where the archive has one that is named by its digest.
    manifest: Option<Vec<u8>>,
    references: Vec<Reference>,
    layers: Vec<Layer>,
}

impl Store {
    /// Reads an image archive, compressed or not: a Docker archive or an OCI image layout as a tar. Of an image for
    /// many platforms the one for this machine is taken.
    ///
    /// # Errors
    /// Nothing is left in the store after one; an archive with a damaged image is not loaded in part.
    pub fn load(&self, archive: impl Read, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Loaded>> {
        self.load_with(archive, &Limits::default(), progress)
    }

    /// [`Store::load`] with limits of the caller's choice.
    pub fn load_with(
        &self,
        archive: impl Read,
        limits: &Limits,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Loaded>> {
        let work = self.work()?;
        let archive = BufReader::with_capacity(stream::BUFFER / 4, archive);
        let mut contents = contents::read(self, &work, archive, limits, progress)?;
        let images = if contents.has("manifest.json") {
            docker::images(&mut contents)?
        } else if contents.has("index.json") {
            oci::images(&mut contents, &Platform::host())?
        } else {
            return Err(ImageError::Archive(
                "it has neither manifest.json nor index.json: use `import` for a root file system".to_owned(),
            ));
        };
        let mut loaded = Vec::new();
        // Images of one archive share layers, and one image may have the same layer twice.
        let mut placed = HashSet::new();
        for image in images {
            let mut size = 0u64;
            for layer in &image.layers {
                if let Some(folder) = layer.folder.as_ref().filter(|_| placed.insert(layer.diff_id)) {
                    self.commit_layer(&work, folder, &layer.diff_id)?;
                }
                size += self.layer_meta(&layer.diff_id)?.size;
            }
            if let Some(manifest) = &image.manifest {
                self.put_blob(&work, manifest)?;
            }
            let id = self.put_blob(&work, &image.config_bytes)?;
            progress(Progress::Image { id });
            let layers = image.config.rootfs.diff_ids.clone();
            loaded.push(Loaded { id, references: image.references, layers, size, config: image.config });
        }
        Ok(loaded)
    }
}

/// Checks a config against the layers that a manifest lists for it, and gathers both.
fn verify(
    config_bytes: Vec<u8>,
    layers: Vec<Layer>,
    references: Vec<Reference>,
    manifest: Option<Vec<u8>>,
) -> Result<Verified> {
    let config = ImageConfig::from_json(&config_bytes)?;
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != layers.len() {
        return Err(ImageError::Archive(format!(
            "the config of image {} names {} layers, the manifest {}",
            Digest::of(&config_bytes).short(),
            diff_ids.len(),
            layers.len()
        )));
    }
    for (expected, layer) in diff_ids.iter().zip(&layers) {
        if layer.diff_id != *expected {
            let what = format!("the layer \"{}\"", layer.name);
            return Err(ImageError::DigestMismatch { what, expected: *expected, found: layer.diff_id });
        }
    }
    if !matches!(config.os.as_str(), "" | "linux") {
        return Err(ImageError::Archive(format!(
            "an image for {}, and only linux images run here",
            config.os
        )));
    }
    Ok(Verified { config_bytes, config, manifest, references, layers })
}
