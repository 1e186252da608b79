//! Image references: `[DOMAIN[:PORT]/]PATH[:TAG][@DIGEST]`.
//!
//! The grammar and the short forms are those of the `distribution/reference` rules that every Docker command follows:
//! no domain means `docker.io`, one path component there means `library/`, neither tag nor digest means `latest`.

mod grammar;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Digest, ImageError};

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";

/// A normalised image reference. `Display` gives the full form, [`Reference::familiar`] the one people see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads a reference as a person writes it. With neither tag nor digest, the tag is `latest`.
    pub fn parse(text: &str) -> Result<Reference, ImageError> {
        let mut reference = Reference::parse_exact(text)?;
        if reference.tag.is_none() && reference.digest.is_none() {
            reference.tag = Some("latest".to_owned());
        }
        Ok(reference)
    }

    /// Reads a reference and leaves tag and digest as they are: for filters, where `busybox` means every tag.
    pub fn parse_exact(text: &str) -> Result<Reference, ImageError> {
        let invalid = || ImageError::InvalidReference(format!("invalid reference format: \"{text}\""));
        if text.len() == 64 && grammar::is_lower_hex(text) {
            return Err(ImageError::InvalidReference(format!(
                "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(grammar::digest(digest, text)?)),
            None => (text, None),
        };
        // A colon after the last slash starts a tag; before it, a port.
        let name_start = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest.get(name_start..).and_then(|last| last.find(':')) {
            Some(colon) => {
                let (name, tag) = rest.split_at(name_start + colon);
                (name, Some(tag.strip_prefix(':').unwrap_or(tag).to_owned()))
            }
            None => (rest, None),
        };
        if tag.as_deref().is_some_and(|tag| !grammar::is_tag(tag)) {
            return Err(invalid());
        }
        let (domain, path) = split_domain(name);
        if path.chars().any(|c| c.is_ascii_uppercase()) && grammar::is_path(&path.to_lowercase()) {
            return Err(ImageError::InvalidReference(format!(
                "invalid reference format: repository name ({path}) must be lowercase"
            )));
        }
        if !grammar::is_domain(&domain) || !grammar::is_path(&path) {
            return Err(invalid());
        }
        if path.len() > grammar::MAX_PATH {
            return Err(ImageError::InvalidReference(format!(
                "repository name must not be more than {} characters",
                grammar::MAX_PATH
            )));
        }
        Ok(Reference { domain, path, tag, digest })
    }

    /// The registry's host, with its port if it has one: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository's path within its registry: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if there is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if there is one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Domain and path, without tag or digest: `docker.io/library/busybox`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The short form of [`Reference::name`]: `busybox`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(name) if !name.contains('/') => name.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The whole reference in the short form that Docker shows: `busybox:latest`.
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    /// The same repository with another tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Reference, ImageError> {
        if !grammar::is_tag(tag) {
            return Err(ImageError::InvalidReference(format!("invalid tag format: \"{tag}\"")));
        }
        Ok(Reference { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository with a digest and no tag.
    pub fn with_digest(&self, digest: Digest) -> Reference {
        Reference { tag: None, digest: Some(digest), ..self.clone() }
    }

    fn with_suffix(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text
    }
}

/// Domain and path of a name; what is no domain is part of the path.
fn split_domain(name: &str) -> (String, String) {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(|c| c.is_ascii_uppercase()) =>
        {
            (if first == LEGACY_DEFAULT_DOMAIN { DEFAULT_DOMAIN } else { first }, rest)
        }
        _ => (DEFAULT_DOMAIN, name),
    };
    if domain == DEFAULT_DOMAIN && !path.contains('/') {
        return (domain.to_owned(), format!("{OFFICIAL}{path}"));
    }
    (domain.to_owned(), path.to_owned())
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.name()))
    }
}

impl FromStr for Reference {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Reference, ImageError> {
        Reference::parse(text)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        Reference::parse_exact(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
