//! OCI image layouts: `index.json` points to manifests, or to indexes of manifests for several platforms
//! (OCI image-spec, `image-layout.md`).

use serde::de::DeserializeOwned;

use super::contents::{Contents, Layer};
use super::descriptor::{Descriptor, Index, Manifest};
use super::{Platform, Verified, verify};
use crate::{ImageError, Reference, Result};

/// How deep indexes may nest.
const MAX_DEPTH: usize = 4;

/// The images of an OCI layout that are for `host`.
pub(super) fn images(contents: &mut Contents, host: &Platform) -> Result<Vec<Verified>> {
    let index: Index = json(&contents.document("index.json")?, "index.json")?;
    let all = index.manifests.iter().filter(|d| !d.is_attestation());
    // Manifests at the top are images of their own, unless several are one image for several platforms.
    let (for_host, foreign): (Vec<_>, Vec<_>) = all.partition(|d| d.fits(host).is_some());
    let chosen = if for_host.is_empty() && foreign.len() == 1 { foreign } else { for_host };
    if chosen.is_empty() {
        return Err(none_for(host, &index.manifests));
    }
    chosen.into_iter().map(|top| image(contents, top, host)).collect()
}

/// The image that a top-level descriptor stands for.
fn image(contents: &mut Contents, top: &Descriptor, host: &Platform) -> Result<Verified> {
    let references = references(top)?;
    let mut descriptor = top.clone();
    for _ in 0..MAX_DEPTH {
        if !descriptor.is_index() {
            break;
        }
        let bytes = checked_document(contents, &descriptor)?;
        let index: Index = json(&bytes, &descriptor.name())?;
        let fitting = index.manifests.iter().filter(|d| !d.is_attestation() && d.fits(host).is_some());
        // The host's own variant first, the archive's order otherwise.
        let best = fitting.min_by_key(|d| d.fits(host) != Some(true));
        descriptor = best.ok_or_else(|| none_for(host, &index.manifests))?.clone();
    }
    if !descriptor.is_manifest() {
        return Err(ImageError::Archive(format!(
            "{} has the unknown media type \"{}\": an image manifest was expected",
            descriptor.digest, descriptor.media_type
        )));
    }
    let bytes = checked_document(contents, &descriptor)?;
    let manifest: Manifest = json(&bytes, &descriptor.name())?;
    if !manifest.config.is_config() {
        return Err(ImageError::Archive(format!(
            "{} is no container image: its config has the media type \"{}\"",
            descriptor.digest, manifest.config.media_type
        )));
    }
    let config = checked_document(contents, &manifest.config)?;
    let layers = manifest.layers.iter().map(|d| checked_layer(contents, d)).collect::<Result<_>>()?;
    verify(config, layers, references, Some(bytes))
}

/// The names of an image: containerd's annotation has the whole one; the OCI one may be a bare tag, which names no
/// repository and so no image.
fn references(descriptor: &Descriptor) -> Result<Vec<Reference>> {
    let whole = descriptor.annotation("io.containerd.image.name");
    let oci =
        descriptor.annotation("org.opencontainers.image.ref.name").filter(|name| name.contains([':', '/']));
    whole.or(oci).map(Reference::parse).into_iter().collect()
}

fn checked_document(contents: &mut Contents, descriptor: &Descriptor) -> Result<Vec<u8>> {
    let name = descriptor.name();
    let bytes = contents.document(&name)?;
    check_size(descriptor, bytes.len() as u64)?;
    Ok(bytes)
}

fn checked_layer(contents: &mut Contents, descriptor: &Descriptor) -> Result<Layer> {
    let stated = descriptor.layer_compression()?;
    let layer = contents.layer(&descriptor.name())?;
    check_size(descriptor, layer.blob.1)?;
    if stated != layer.compression {
        return Err(ImageError::Archive(format!(
            "the media type of layer {} says {}, its content is {}",
            descriptor.digest,
            stated.name(),
            layer.compression.name()
        )));
    }
    Ok(layer)
}

fn check_size(descriptor: &Descriptor, found: u64) -> Result<()> {
    if descriptor.size != found {
        return Err(ImageError::Archive(format!(
            "{} should have {} bytes and has {found}",
            descriptor.digest, descriptor.size
        )));
    }
    Ok(())
}

fn none_for(host: &Platform, manifests: &[Descriptor]) -> ImageError {
    let mut there: Vec<String> = manifests
        .iter()
        .filter(|d| !d.is_attestation())
        .filter_map(|d| d.platform.as_ref().map(|p| format!("{}/{}", p.os, p.architecture)))
        .collect();
    there.sort();
    there.dedup();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    ImageError::Archive(format!("no image for {}/{}: it has {there}", host.os, host.architecture))
}

fn json<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| ImageError::Json { what: what.to_owned(), source })
}
