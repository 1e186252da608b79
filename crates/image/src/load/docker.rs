//! Docker archives: `manifest.json` lists, for each image, the file of its config, its names and its layers' files
//! (moby's image specification, v1.2, "Combined Image JSON + Filesystem Changeset Format").

use serde::Deserialize;

use super::contents::Contents;
use super::{Verified, verify};
use crate::{ImageError, Reference, Result};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images of a Docker archive.
pub(super) fn images(contents: &mut Contents) -> Result<Vec<Verified>> {
    let manifest = contents.document("manifest.json")?;
    let images: Vec<Image> = serde_json::from_slice(&manifest)
        .map_err(|source| ImageError::Json { what: "manifest.json".to_owned(), source })?;
    images
        .into_iter()
        .map(|image| {
            let config = contents.document(&image.config)?;
            let layers = image.layers.unwrap_or_default();
            let layers = layers.iter().map(|name| contents.layer(name)).collect::<Result<_>>()?;
            let tags = image.repo_tags.unwrap_or_default();
            let references = tags.iter().map(|tag| Reference::parse(tag)).collect::<Result<_>>()?;
            verify(config, layers, references, None)
        })
        .collect()
}
