//! OCI descriptors, manifests and indexes, and the media types that are understood (OCI image-spec `descriptor.md`,
//! `manifest.md`, `image-index.md`, `media-types.md`; Docker's schema 2 says the same in other words).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Platform;
use crate::compression::Compression;
use crate::{Digest, ImageError, Result};

/// A pointer to content: type, digest, length.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// What it runs on, in an index.
    #[serde(default)]
    pub platform: Option<StatedPlatform>,
    /// Remarks.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// The platform that an index states for a manifest.
#[derive(Clone, Debug, Deserialize)]
pub struct StatedPlatform {
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// `amd64`, `arm64`, …
    #[serde(default)]
    pub architecture: String,
    /// `v7`, … where there is more than one.
    #[serde(default)]
    pub variant: Option<String>,
}

/// A list of manifests, one for each platform.
#[derive(Debug, Deserialize)]
pub struct Index {
    /// The manifests, and indexes of more.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
}

/// What an image consists of: its config, and its layers, base first.
#[derive(Debug, Deserialize)]
pub struct Manifest {
    /// The config.
    pub config: Descriptor,
    /// The layers.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
}

impl Descriptor {
    /// Its name in an image layout.
    pub(super) fn name(&self) -> String {
        format!("blobs/sha256/{}", self.digest.hex())
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether it leads to an index.
    pub fn is_index(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            "application/vnd.oci.image.index.v1+json"
                | "application/vnd.docker.distribution.manifest.list.v2+json"
        )
    }

    /// Whether it leads to a manifest.
    pub fn is_manifest(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            "application/vnd.oci.image.manifest.v1+json"
                | "application/vnd.docker.distribution.manifest.v2+json"
        )
    }

    /// Whether it leads to the config of an image that can run.
    pub fn is_config(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
        )
    }

    /// A manifest about another one: a signature or a record of a build.
    pub fn is_attestation(&self) -> bool {
        self.annotation("vnd.docker.reference.type").is_some()
            || self.platform.as_ref().is_some_and(|p| p.os == "unknown" && p.architecture == "unknown")
    }

    /// Whether it is for `host`: `Some(true)` also tells that the variant is the host's own.
    pub fn fits(&self, host: &Platform) -> Option<bool> {
        let Some(stated) = &self.platform else { return Some(false) };
        let fits = stated.os == host.os && stated.architecture == host.architecture;
        fits.then(|| stated.variant == host.variant)
    }

    /// The compression that a layer's type states.
    pub(crate) fn layer_compression(&self) -> Result<Compression> {
        let unknown = || {
            ImageError::Archive(format!(
                "the layer {} has the unknown media type \"{}\"",
                self.digest, self.media_type
            ))
        };
        let kind = self.media_type.as_str();
        let oci = [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
        ];
        let docker = [
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.docker.image.rootfs.foreign.diff.tar",
        ];
        let suffix =
            oci.iter().chain(&docker).find_map(|prefix| kind.strip_prefix(prefix)).ok_or_else(unknown)?;
        match suffix {
            "" => Ok(Compression::None),
            "+gzip" | ".gzip" => Ok(Compression::Gzip),
            "+zstd" | ".zstd" => Ok(Compression::Zstd),
            _ => Err(unknown()),
        }
    }
}
