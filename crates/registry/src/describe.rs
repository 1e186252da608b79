//! What a registry has under a name, without fetching it: for `GET /distribution/{name}/json`.

use bulkhead_image::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, Reference};

use crate::manifest::fetch;
use crate::pull::Origin;
use crate::session::Session;
use crate::{RegistryError, Result, address};

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The type of the manifest, or of the index.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length, in bytes.
    pub size: u64,
    /// What it is for.
    pub platforms: Vec<Platform>,
}

impl Session {
    /// Asks what a name leads to.
    ///
    /// # Errors
    /// The registry's; something that is no image.
    pub fn describe(&self, reference: &Reference) -> Result<Described> {
        let wanted = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let (client, (media_type, bytes)) =
            self.try_each(|client| fetch(client, reference, &wanted, reference.digest()))?;
        let digest = Digest::of(&bytes);
        let this =
            Descriptor { media_type: media_type.clone(), digest, size: 0, platform: None, annotations: None };
        let unread =
            |error: serde_json::Error| client.broken(&format!("has a manifest that does not read: {error}"));
        let platforms = if this.is_index() {
            let index: Index = serde_json::from_slice(&bytes).map_err(unread)?;
            let all = index.manifests.into_iter().filter(|one| !one.is_attestation());
            all.filter_map(|one| one.platform)
                .map(|one| platform(&one.os, &one.architecture, one.variant))
                .collect()
        } else if this.is_manifest() {
            let manifest: Manifest = serde_json::from_slice(&bytes).map_err(unread)?;
            let config = ImageConfig::from_json(&Origin::new(client, reference).document(&manifest.config)?)?;
            vec![platform(&config.os, &config.architecture, config.variant)]
        } else {
            return Err(RegistryError::Invalid(format!(
                "{} is no container image: its manifest is of the type \"{}\"",
                reference.familiar(),
                address::shown(&media_type)
            )));
        };
        Ok(Described { media_type, digest, size: bytes.len() as u64, platforms })
    }
}

fn platform(os: &str, architecture: &str, variant: Option<String>) -> Platform {
    Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant }
}
