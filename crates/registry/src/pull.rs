//! `pull`: manifest, config, and then the layers, several at a time, each unpacked while it comes.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;

use bulkhead_image::{
    Descriptor, Digest, ImageConfig, ImageError, Incoming, KnownBlob, Loaded, Platform, Reference, Store,
};

use crate::blob::Blob;
use crate::client::Client;
use crate::manifest::{self, DOCUMENT};
use crate::progress::{Progress, Teller};
use crate::session::{Session, scope};
use crate::{RegistryError, Result, address};

/// How many layers come at the same time: Docker's max-concurrent-downloads.
const AT_ONCE: usize = 3;
/// How often a layer is fetched whose content is not what it should be.
const TRIES: usize = 2;

/// What is to be pulled.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which image.
    pub reference: Reference,
    /// For which processor, if not for this machine's.
    pub platform: Option<Platform>,
}

/// A pulled image, all of it in the store.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The image, with the names that it was pulled by.
    pub image: Loaded,
    /// The digest of what its name led to.
    pub digest: Digest,
    /// The digest of its manifest, which is in the store.
    pub manifest: Digest,
}

/// Where layers come from.
pub(crate) struct Origin<'a> {
    client: &'a Client,
    reference: &'a Reference,
    scopes: [String; 1],
    stop: AtomicBool,
}

impl Session {
    /// Pulls one image into the store. It has no record yet.
    ///
    /// # Errors
    /// Nothing is left in the store after one.
    pub fn pull(&self, store: &Store, wanted: &Wanted, progress: &mut dyn FnMut(Progress)) -> Result<Pulled> {
        let reference = &wanted.reference;
        let named = reference.digest().map(Digest::to_string);
        let named = named.as_deref().or(reference.tag()).unwrap_or("latest");
        let platform = wanted.platform.clone().unwrap_or_else(Platform::host);
        let (client, found) = self.try_each(|client| manifest::find(client, reference, &platform))?;
        progress(Progress::of(named, format!("Pulling from {}", reference.path())));
        let manifest = &found.manifest;
        if !manifest.config.is_config() {
            return Err(RegistryError::Invalid(format!(
                "{} is no container image: its config is of the type \"{}\"",
                reference.familiar(),
                address::shown(&manifest.config.media_type)
            )));
        }
        let origin = Origin::new(client, reference);
        let config_bytes = origin.document(&manifest.config)?;
        let config = ImageConfig::from_json(&config_bytes)?;
        check(&config, manifest.layers.len(), wanted)?;
        let layers: Vec<(Digest, &Descriptor)> =
            config.rootfs.diff_ids.iter().copied().zip(&manifest.layers).collect();
        let incoming = store.incoming()?;
        origin.fetch_all(store, &incoming, &layers, progress)?;
        let mut names = vec![reference.with_digest(found.digest)];
        if reference.digest().is_none() {
            names.insert(0, reference.clone());
        }
        let image = incoming.finish(&config_bytes, &found.bytes, names)?;
        for (diff_id, descriptor) in &layers {
            note(store, reference, diff_id, descriptor)?;
        }
        progress(Progress::message(format!("Digest: {}", found.digest)));
        Ok(Pulled { image, digest: found.digest, manifest: Digest::of(&found.bytes) })
    }
}

/// Remembers where a layer's blob can be had.
pub(crate) fn note(
    store: &Store,
    reference: &Reference,
    diff_id: &Digest,
    descriptor: &Descriptor,
) -> Result<()> {
    let blob = KnownBlob {
        repository: reference.name(),
        digest: descriptor.digest,
        size: descriptor.size,
        media_type: descriptor.media_type.clone(),
    };
    Ok(store.note_blob(diff_id, &blob)?)
}

/// Refuses what cannot be an image for whoever asks, before any layer comes.
fn check(config: &ImageConfig, layers: usize, wanted: &Wanted) -> Result<()> {
    let name = wanted.reference.familiar();
    if config.rootfs.diff_ids.len() != layers {
        return Err(RegistryError::Broken(format!(
            "the config of {name} names {} layers, and its manifest {layers}",
            config.rootfs.diff_ids.len()
        )));
    }
    if !matches!(config.os.as_str(), "" | "linux") {
        let os = address::shown(&config.os);
        return Err(RegistryError::Invalid(format!(
            "{name} is an image for {os}, and only linux images run here"
        )));
    }
    match &wanted.platform {
        Some(platform) if platform.architecture != config.architecture => {
            Err(RegistryError::NotFound(format!(
                "image with reference {name} was found but does not match the specified platform: wanted {platform}, actual: {}/{}",
                address::shown(&config.os),
                address::shown(&config.architecture)
            )))
        }
        _ => Ok(()),
    }
}

impl<'a> Origin<'a> {
    pub(crate) fn new(client: &'a Client, reference: &'a Reference) -> Origin<'a> {
        let scopes = [scope(reference.path(), "pull")];
        Origin { client, reference, scopes, stop: AtomicBool::new(false) }
    }

    fn path(&self, descriptor: &Descriptor) -> String {
        format!("/v2/{}/blobs/{}", self.reference.path(), descriptor.digest)
    }

    /// A small blob, verified.
    pub(crate) fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let name = self.reference.familiar();
        if descriptor.size > DOCUMENT {
            return Err(RegistryError::Broken(format!(
                "the config of {name} has {} bytes, and at most {DOCUMENT} are taken",
                descriptor.size
            )));
        }
        let mut tries = 0;
        loop {
            let path = self.path(descriptor);
            let told = Box::new(|_| {});
            let mut blob = Blob::new(self.client, path, &self.scopes, descriptor.size, &self.stop, told);
            let mut bytes = Vec::new();
            if let Err(error) = std::io::Read::read_to_end(&mut blob, &mut bytes) {
                return Err(blob
                    .failure
                    .take()
                    .unwrap_or_else(|| RegistryError::Unavailable(error.to_string())));
            }
            let found = Digest::of(&bytes);
            tries += 1;
            if found == descriptor.digest {
                return Ok(bytes);
            }
            if tries >= TRIES {
                let what = format!("the config of {name}");
                return Err(ImageError::DigestMismatch { what, expected: descriptor.digest, found }.into());
            }
        }
    }

    fn fetch_all(
        &self,
        store: &Store,
        incoming: &Incoming<'_>,
        layers: &[(Digest, &Descriptor)],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let (mut seen, mut missing) = (HashSet::new(), Vec::new());
        for layer in layers {
            let id = layer.1.digest.short();
            if !seen.insert(layer.0) {
                continue;
            }
            if store.has_layer(&layer.0) {
                progress(Progress::of(&id, "Already exists"));
            } else {
                progress(Progress::of(&id, "Pulling fs layer"));
                missing.push(layer);
            }
        }
        for layer in missing.iter().skip(AT_ONCE) {
            progress(Progress::of(&layer.1.digest.short(), "Waiting"));
        }
        let (to, told) = channel();
        let queue = Mutex::new(missing.iter());
        let failure: Mutex<Option<RegistryError>> = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(missing.len()) {
                let (to, queue, failure) = (to.clone(), &queue, &failure);
                scope.spawn(move || {
                    loop {
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some((diff_id, descriptor)) = next else { return };
                        let teller = Teller::new(descriptor.digest.short(), to.clone());
                        if let Err(error) = self.fetch(incoming, diff_id, descriptor, teller) {
                            // The first is the cause. It is noted before the others are stopped.
                            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                            self.stop.store(true, Ordering::Relaxed);
                            return;
                        }
                        if self.stop.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                });
            }
            drop(to);
            for line in told {
                progress(line);
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn fetch(
        &self,
        incoming: &Incoming<'_>,
        diff_id: &Digest,
        descriptor: &Descriptor,
        mut teller: Teller,
    ) -> Result<()> {
        let size = descriptor.size;
        let mut tries = 0;
        loop {
            let mut told_end = false;
            let told = |at: u64| {
                if at < size {
                    teller.count("Downloading", at, size);
                } else if !told_end {
                    told_end = true;
                    teller.say("Download complete");
                    teller.say("Extracting");
                }
            };
            let path = self.path(descriptor);
            let mut blob = Blob::new(self.client, path, &self.scopes, size, &self.stop, Box::new(told));
            let outcome = incoming.layer(diff_id, descriptor, &mut blob);
            let failure = blob.failure.take();
            drop(blob);
            tries += 1;
            match (outcome, failure) {
                (Ok(()), _) => {
                    teller.say("Pull complete");
                    return Ok(());
                }
                (Err(_), Some(failure)) => return Err(failure),
                (Err(error), None) if tries < TRIES && is_damage(&error) => teller.say("Retrying"),
                (Err(error), None) => return Err(error.into()),
            }
        }
    }
}

/// Whether other bytes came than should have.
fn is_damage(error: &ImageError) -> bool {
    matches!(
        error,
        ImageError::DigestMismatch { .. }
            | ImageError::Decompress { .. }
            | ImageError::Truncated(_)
            | ImageError::Tar(_)
    )
}
