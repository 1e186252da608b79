//! `pull`: images from registries (see [`bulkhead_registry`]), and what is remembered of where they came from.

use bulkhead_image::{Digest, ImageError, Loaded, Platform, Reference};
use bulkhead_registry::{Credentials, Progress, Purpose, RegistryError, Session, Settings, Wanted};
use rusqlite::{Connection, Transaction};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::store::{images, settings};
use crate::{Engine, host_image};

/// What is to be pulled.
#[derive(Clone, Debug, Default)]
pub struct PullRequest {
    /// The image as a person names it. Without a tag it is `latest`.
    pub reference: String,
    /// `OS/ARCHITECTURE[/VARIANT]`, if not this machine's.
    pub platform: Option<String>,
    /// All tags of the repository.
    pub all_tags: bool,
}

/// An image that was pulled.
#[derive(Clone, Debug)]
pub struct PulledImage {
    /// The name that it was pulled by.
    pub reference: Reference,
    /// Its ID: `sha256:…`.
    pub id: String,
    /// The digest that the registry knows it by.
    pub digest: String,
    /// Whether it was not here, under this name, before.
    pub is_new: bool,
}

impl Engine {
    /// Fetches an image, or all of a repository, and records each when all of it is here. `progress` hears what Docker
    /// tells in its JSON lines.
    ///
    /// # Errors
    /// What the request names cannot be; the registry's. Of an image that failed nothing is kept.
    pub fn pull(
        &mut self,
        request: &PullRequest,
        credentials: &Credentials,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<PulledImage>> {
        let exact = Reference::parse_exact(&request.reference)?;
        if request.all_tags && (exact.tag().is_some() || exact.digest().is_some()) {
            return Err(Error::Invalid("tag can't be used with --all-tags/-a".into()));
        }
        let platform =
            request.platform.as_deref().filter(|text| !text.is_empty()).map(read_platform).transpose()?;
        let reference = match exact.digest() {
            Some(digest) => exact.with_digest(*digest),
            None => Reference::parse(&request.reference)?,
        };
        host_image::refuse_name(&reference)?;
        let settings = self.registry_settings()?;
        self.repair()?;
        self.image_store()?.clean()?;
        let session = Session::open(&settings, reference.domain(), credentials, Purpose::Pull)?;
        let references = match request.all_tags {
            false => vec![reference],
            true => {
                let tags = session.tags(&reference)?;
                tags.iter().map(|tag| reference.with_tag(tag)).collect::<std::result::Result<_, _>>()?
            }
        };
        if references.is_empty() {
            return Err(
                RegistryError::NotFound(format!("the repository {} has no tags", request.reference)).into()
            );
        }
        let mut all = Vec::new();
        for reference in references {
            let wanted = Wanted { reference, platform: platform.clone() };
            all.push(self.pull_one(&session, &wanted, progress)?);
        }
        Ok(all)
    }

    fn pull_one(
        &mut self,
        session: &Session,
        wanted: &Wanted,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PulledImage> {
        let reference = wanted.reference.clone();
        let before = images::find(self.store.read(), &reference.to_string()).ok().map(|image| image.id);
        let store = self.image_store()?;
        let pulled = session.pull(&store, wanted, progress).map_err(|error| match error {
            // It was there when it was skipped.
            RegistryError::Image(ImageError::NotFound { .. }) => {
                super::load::removed_meanwhile(&reference.familiar())
            }
            error => error.into(),
        })?;
        bulkhead_sys::fail::point("pull: stored");
        self.adopt_pulled(&pulled.image, &pulled.manifest)?;
        bulkhead_sys::fail::point("pull: recorded");
        let id = pulled.image.id.to_string();
        self.tell("image", "pull", &reference.familiar(), [("name", reference.familiar_name())]);
        let is_new = before.as_ref() != Some(&id);
        let name = reference.familiar();
        progress(Progress::message(match is_new {
            true => format!("Status: Downloaded newer image for {name}"),
            false => format!("Status: Image is up to date for {name}"),
        }));
        Ok(PulledImage { reference, id, digest: pulled.digest.to_string(), is_new })
    }

    fn adopt_pulled(&mut self, image: &Loaded, manifest: &Digest) -> Result<()> {
        self.adopt(std::slice::from_ref(image))?;
        let old = self
            .store
            .write(|transaction| remember_manifest(transaction, &image.id.to_string(), manifest))?;
        if let Some(old) = old {
            self.image_store()?.remove_blob(&old)?;
        }
        Ok(())
    }

    /// How registries are reached from here.
    pub(crate) fn registry_settings(&self) -> Result<Settings> {
        let config = Config::load()?;
        Ok(Settings::new(&config.registry_mirrors, &config.insecure_registries)?)
    }
}

fn read_platform(text: &str) -> Result<Platform> {
    Platform::parse(text).ok_or_else(|| {
        Error::Invalid(format!(
            "invalid platform {text:?}: write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, e.g. linux/arm64"
        ))
    })
}

/// The setting that holds an image's manifest, which `push` sends again if it still fits.
fn key(image: &str) -> String {
    format!("manifest of {image}")
}

/// The manifest that an image was pulled with.
pub(crate) fn manifest_of(connection: &Connection, image: &str) -> Result<Option<Digest>> {
    Ok(settings::get(connection, &key(image))?.and_then(|text| text.parse().ok()))
}

/// Gives the one before, if it was another and nobody else's.
fn remember_manifest(
    transaction: &Transaction<'_>,
    image: &str,
    manifest: &Digest,
) -> Result<Option<Digest>> {
    let old = manifest_of(transaction, image)?.filter(|old| old != manifest);
    settings::set(transaction, &key(image), &manifest.to_string())?;
    Ok(old)
}

/// Gives the one that was remembered.
pub(crate) fn forget_manifest(transaction: &Transaction<'_>, image: &str) -> Result<Option<Digest>> {
    let old = manifest_of(transaction, image)?;
    settings::unset(transaction, &key(image))?;
    Ok(old)
}
