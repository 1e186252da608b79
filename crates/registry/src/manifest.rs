//! Manifests: what a name leads to, through indexes to the one for a platform; each verified by its digest.

use bulkhead_image::{Descriptor, Digest, Index, Manifest, Platform, Reference};
use serde::Deserialize;
use ureq::http::{HeaderName, Method, StatusCode, header};

use crate::client::{Answer, Client, content, header as text_of};
use crate::session::{of_repository, scope};
use crate::{RegistryError, Result, address, failure};

/// No manifest, index or config is larger.
pub(crate) const DOCUMENT: u64 = 4 << 20;
/// How deep indexes may nest.
const DEPTH: usize = 4;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";
const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// An image's manifest, verified.
pub(crate) struct Found {
    /// The digest that the name leads to: of the index, if it is one.
    pub(crate) digest: Digest,
    /// The manifest's own bytes.
    pub(crate) bytes: Vec<u8>,
    pub(crate) manifest: Manifest,
}

/// The manifest that a name leads to on `platform`.
pub(crate) fn find(client: &Client, reference: &Reference, platform: &Platform) -> Result<Found> {
    let wanted = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    let (mut media_type, mut bytes) = fetch(client, reference, &wanted, reference.digest())?;
    let digest = Digest::of(&bytes);
    for _ in 0..DEPTH {
        let this =
            Descriptor { media_type: media_type.clone(), digest, size: 0, platform: None, annotations: None };
        if this.is_manifest() {
            let manifest: Manifest = serde_json::from_slice(&bytes)
                .map_err(|error| client.broken(&format!("has a manifest that does not read: {error}")))?;
            return Ok(Found { digest, bytes, manifest });
        }
        if !this.is_index() {
            return Err(unknown(&media_type, reference));
        }
        let index: Index = serde_json::from_slice(&bytes)
            .map_err(|error| client.broken(&format!("has an index that does not read: {error}")))?;
        let fitting = index.manifests.iter().filter(|d| !d.is_attestation() && d.fits(platform).is_some());
        // The wanted variant first, the index's order otherwise.
        let Some(best) = fitting.min_by_key(|d| d.fits(platform) != Some(true)) else {
            return Err(RegistryError::NotFound(format!(
                "no matching manifest for {platform} in the manifest list entries: {} is there for {}",
                reference.familiar(),
                listed(&index)
            )));
        };
        let (stated, found) = fetch(client, reference, &best.digest.to_string(), Some(&best.digest))?;
        if found.len() as u64 != best.size {
            return Err(client.broken(&format!(
                "says that the manifest {} has {} bytes, and it has {}",
                best.digest,
                best.size,
                found.len()
            )));
        }
        media_type = if best.media_type.is_empty() { stated } else { best.media_type.clone() };
        bytes = found;
    }
    Err(client.broken("has indexes in indexes without end"))
}

fn listed(index: &Index) -> String {
    let platforms =
        index.manifests.iter().filter(|d| !d.is_attestation()).filter_map(|d| d.platform.as_ref());
    let mut all: Vec<String> = platforms.map(|p| format!("{}/{}", p.os, p.architecture)).collect();
    all.sort();
    all.dedup();
    if all.is_empty() { "no platform".into() } else { address::shown(&all.join(", ")) }
}

fn unknown(media_type: &str, reference: &Reference) -> RegistryError {
    let name = reference.familiar();
    if media_type.starts_with(SCHEMA_1) {
        return RegistryError::Invalid(format!(
            "{name} has a manifest of Docker's schema 1, which was given up in 2017 and is not supported: push the image again with a newer tool"
        ));
    }
    let media_type = address::shown(media_type);
    RegistryError::Invalid(format!(
        "{name} is no container image: its manifest is of the type \"{media_type}\""
    ))
}

/// A manifest or index; gives its type and its bytes. If `expected` is given, they have that digest.
pub(crate) fn fetch(
    client: &Client,
    reference: &Reference,
    wanted: &str,
    expected: Option<&Digest>,
) -> Result<(String, Vec<u8>)> {
    let scopes = [scope(reference.path(), "pull")];
    let path = format!("/v2/{}/manifests/{wanted}", reference.path());
    let mut request = client.request(Method::GET, path, &scopes);
    request.headers.push((header::ACCEPT, ACCEPTED.to_owned()));
    let answer = client.send(request).map_err(|error| of_repository(error, reference))?;
    if answer.response.status() != StatusCode::OK {
        return Err(match failure::of_answer(answer, &client.endpoint.origin) {
            RegistryError::NotFound(said) if !said.starts_with("name unknown") => {
                let said = match said.starts_with("manifest unknown") {
                    true => said,
                    false => format!("manifest unknown: {said}"),
                };
                RegistryError::NotFound(format!("manifest for {} not found: {said}", reference.familiar()))
            }
            other => of_repository(other, reference),
        });
    }
    let stated = text_of(answer.response.headers(), &header::CONTENT_TYPE).unwrap_or_default();
    let stated = stated.split(';').next().unwrap_or_default().trim().to_owned();
    let by_header = stated_digest(&answer);
    let bytes = content(answer, DOCUMENT, "a manifest", client)?;
    let found = Digest::of(&bytes);
    // Of schema 1 it is the digest of something else, and it is refused anyway.
    let media_type = media_type(&stated, &bytes);
    let by_header = by_header.filter(|_| !media_type.starts_with(SCHEMA_1));
    for expected in expected.copied().into_iter().chain(by_header) {
        if found != expected {
            return Err(
                client.broken(&format!("gives a manifest with the digest {found} where it is {expected}"))
            );
        }
    }
    Ok((media_type, bytes))
}

/// The digest that the registry says it answers with, if it is one.
pub(crate) fn stated_digest(answer: &Answer) -> Option<Digest> {
    let name = HeaderName::from_static("docker-content-digest");
    text_of(answer.response.headers(), &name)?.parse().ok()
}

/// What a document is: what it says itself counts for more than what the server says, which may serve plain files.
pub(crate) fn media_type(stated: &str, bytes: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Head {
        schema_version: Option<u64>,
        media_type: Option<String>,
        config: Option<serde::de::IgnoredAny>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    match serde_json::from_slice::<Head>(bytes).unwrap_or_default() {
        Head { schema_version: Some(1), .. } => format!("{SCHEMA_1}+json"),
        Head { media_type: Some(own), .. } => own,
        _ if stated.starts_with("application/vnd.") => stated.to_owned(),
        Head { config: Some(_), .. } => OCI_MANIFEST.into(),
        Head { manifests: Some(_), .. } => OCI_INDEX.into(),
        _ => stated.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{OCI_MANIFEST, SCHEMA_1, media_type};

    #[test]
    fn types_are_told() {
        assert_eq!(media_type("text/plain", br#"{"config":{}}"#), OCI_MANIFEST);
        assert!(media_type("application/json", br#"{"schemaVersion":1}"#).starts_with(SCHEMA_1));
        assert_eq!(media_type("application/json", br#"{"mediaType":"x"}"#), "x");
        assert_eq!(media_type("application/json", b"rubbish"), "application/json");
    }
}
