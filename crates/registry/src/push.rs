//! `push`: the layers, several at a time, then the config, then the manifest that names them.
//!
//! Before a layer is sent, the registry is asked whether it has it: under the digests that it is known by (from pulls and
//! pushes before), in this repository, then in others of the same registry, from which it can be mounted. Only then is it
//! compressed and sent. If every layer turns out to be the very blob that the image was pulled with, the manifest is the one
//! that came, byte for byte, and so keeps its digest; otherwise an OCI manifest is written.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;

use bulkhead_image::{Descriptor, Digest, ImageConfig, KnownBlob, Manifest, Reference, Store};
use serde_json::json;
use ureq::http::{Method, StatusCode, header};

use crate::client::{Client, Content};
use crate::manifest::{OCI_MANIFEST, media_type, stated_digest};
use crate::progress::{Progress, Pushed, Teller};
use crate::session::{Session, scope};
use crate::upload::{self, Place, Upload};
use crate::{RegistryError, Result, address, failure};

/// How many layers are sent at the same time. Compressing is what takes long.
const AT_ONCE: usize = 3;
/// How many digests of a layer are asked for, and how many repositories to mount from.
const QUESTIONS: usize = 5;
const MOUNTS: usize = 3;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What is to be pushed.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where to: a name with a tag.
    pub reference: Reference,
    /// Which image.
    pub image: Digest,
    /// The manifest that it was pulled with, if it was.
    pub manifest: Option<Digest>,
}

/// Where layers go.
struct Target<'a> {
    client: &'a Client,
    store: &'a Store,
    reference: &'a Reference,
    scopes: [String; 1],
    stop: AtomicBool,
}

impl Session {
    /// Pushes one image.
    ///
    /// # Errors
    /// The registry has no manifest after one that it did not have before; layers may be there.
    pub fn push(
        &self,
        store: &Store,
        outgoing: &Outgoing,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Pushed> {
        let reference = &outgoing.reference;
        let client = self.own()?;
        let scopes = [scope(reference.path(), "pull,push")];
        let target = Target { client, store, reference, scopes, stop: AtomicBool::new(false) };
        let config_bytes = store.read_blob(&outgoing.image)?;
        let config = ImageConfig::from_json(&config_bytes)?;
        let layers = target.place_all(&config.rootfs.diff_ids, progress)?;
        client.insist(|| target.document(&outgoing.image, &config_bytes))?;
        let (media_type, bytes) = target.manifest(outgoing, &config_bytes, &config, &layers)?;
        let tag = reference.tag().unwrap_or("latest");
        let digest = client.insist(|| target.put_manifest(tag, &media_type, &bytes))?;
        let pushed = Pushed { tag: tag.to_owned(), digest: digest.to_string(), size: bytes.len() as u64 };
        progress(Progress::message(format!("{tag}: digest: {digest} size: {}", pushed.size)));
        progress(Progress { pushed: Some(pushed.clone()), ..Progress::message("") });
        Ok(pushed)
    }
}

impl Target<'_> {
    fn place_all(
        &self,
        diff_ids: &[Digest],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<HashMap<Digest, Descriptor>> {
        let mut unique: Vec<Digest> = Vec::new();
        for diff_id in diff_ids.iter().rev() {
            if !unique.contains(diff_id) {
                unique.push(*diff_id);
                progress(Progress::of(&diff_id.short(), "Preparing"));
            }
        }
        for diff_id in unique.iter().skip(AT_ONCE) {
            progress(Progress::of(&diff_id.short(), "Waiting"));
        }
        let (to, told) = channel();
        let queue = Mutex::new(unique.iter());
        let outcome: Mutex<(HashMap<Digest, Descriptor>, Option<RegistryError>)> = Mutex::default();
        thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(unique.len()) {
                let (to, queue, outcome) = (to.clone(), &queue, &outcome);
                scope.spawn(move || {
                    while !self.stop.load(Ordering::Relaxed) {
                        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some(diff_id) = next else { return };
                        let placed = self.place(diff_id, Teller::new(diff_id.short(), to.clone()));
                        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                        match placed {
                            Ok(descriptor) => drop(outcome.0.insert(*diff_id, descriptor)),
                            Err(error) => {
                                // The first is the cause.
                                outcome.1.get_or_insert(error);
                                self.stop.store(true, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
            drop(to);
            for line in told {
                progress(line);
            }
        });
        match outcome.into_inner().unwrap_or_else(PoisonError::into_inner) {
            (_, Some(error)) => Err(error),
            (placed, None) => Ok(placed),
        }
    }

    /// Sees to it that the repository has a layer; gives what it is there.
    fn place(&self, diff_id: &Digest, mut teller: Teller) -> Result<Descriptor> {
        let known = self.store.known_blobs(diff_id)?;
        let here = self.reference.name();
        // Those of this very repository first.
        let (own, others): (Vec<_>, Vec<_>) = known.iter().partition(|blob| blob.repository == here);
        let mut asked: Vec<Digest> = Vec::new();
        for blob in own.iter().chain(&others) {
            if asked.len() >= QUESTIONS || asked.contains(&blob.digest) {
                continue;
            }
            asked.push(blob.digest);
            if self.client.insist(|| self.has(&blob.digest))? {
                teller.say("Layer already exists");
                return self.found(diff_id, blob);
            }
        }
        let domain = format!("{}/", self.reference.domain());
        let mut begun = None;
        let neighbours =
            others.iter().filter_map(|blob| Some((blob, blob.repository.strip_prefix(&domain)?)));
        for (blob, from) in neighbours.take(MOUNTS) {
            match self.client.insist(|| self.mount(&blob.digest, from)) {
                Ok(None) => {
                    teller.say(format!("Mounted from {from}"));
                    return self.found(diff_id, blob);
                }
                Ok(Some(place)) => begun = Some(place),
                // It may be nobody's to read any more; it can be sent.
                Err(
                    RegistryError::Denied(_) | RegistryError::Unauthorized(_) | RegistryError::NotFound(_),
                ) => {}
                Err(error) => return Err(error),
            }
        }
        let total = self.store.layer_meta(diff_id)?.tar_size;
        let upload = Upload {
            client: self.client,
            store: self.store,
            diff_id: *diff_id,
            repository: self.reference.path(),
            scopes: &self.scopes,
            stop: &self.stop,
        };
        let (digest, size) = upload.send(begun, &mut |at| teller.count("Pushing", at, total))?;
        teller.say("Pushed");
        self.found(
            diff_id,
            &KnownBlob { repository: here, digest, size, media_type: format!("{LAYER}+gzip") },
        )
    }

    /// The layer's descriptor, after it is remembered that it is here.
    fn found(&self, diff_id: &Digest, blob: &KnownBlob) -> Result<Descriptor> {
        let media_type = blob.media_type.clone();
        let (digest, size) = (blob.digest, blob.size);
        let descriptor = Descriptor { media_type, digest, size, platform: None, annotations: None };
        crate::pull::note(self.store, self.reference, diff_id, &descriptor)?;
        Ok(descriptor)
    }

    fn has(&self, digest: &Digest) -> Result<bool> {
        let path = format!("/v2/{}/blobs/{digest}", self.reference.path());
        let answer = self.client.send(self.client.request(Method::HEAD, path, &self.scopes))?;
        match answer.response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(failure::of_answer(answer, &self.client.endpoint.origin)),
        }
    }

    /// Mounts a blob of another repository; if that is not done, an upload has begun.
    fn mount(&self, digest: &Digest, from: &str) -> Result<Option<Place>> {
        let query =
            format!("mount={}&from={}", address::encoded(&digest.to_string()), address::encoded(from));
        let path = format!("/v2/{}/blobs/uploads/?{query}", self.reference.path());
        let [own] = self.scopes.clone();
        let scopes = [own, scope(from, "pull")];
        let mut request = self.client.request(Method::POST, path, &scopes);
        request.content = Content::Bytes(b"");
        let answer = self.client.send(request)?;
        match answer.response.status() {
            StatusCode::CREATED => Ok(None),
            StatusCode::ACCEPTED => upload::location(self.client, &answer).map(Some),
            _ => Err(failure::of_answer(answer, &self.client.endpoint.origin)),
        }
    }

    /// Sends the config, if the repository has it not.
    fn document(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        if self.has(digest)? {
            return Ok(());
        }
        let place = upload::begin(self.client, self.reference.path(), &self.scopes)?;
        upload::finish(self.client, place, digest, bytes, &self.scopes)
    }

    /// The manifest, and its type.
    fn manifest(
        &self,
        outgoing: &Outgoing,
        config_bytes: &[u8],
        config: &ImageConfig,
        layers: &HashMap<Digest, Descriptor>,
    ) -> Result<(String, Vec<u8>)> {
        let placed: Vec<&Descriptor> =
            config.rootfs.diff_ids.iter().filter_map(|diff_id| layers.get(diff_id)).collect();
        // It is a convenience: one that is gone or does not read is made anew.
        if let Some(bytes) = outgoing.manifest.and_then(|digest| self.store.read_blob(&digest).ok())
            && let Ok(old) = serde_json::from_slice::<Manifest>(&bytes)
            && old.config.digest == outgoing.image
            && old.layers.iter().map(|layer| layer.digest).eq(placed.iter().map(|layer| layer.digest))
        {
            return Ok((media_type(OCI_MANIFEST, &bytes), bytes));
        }
        let described = placed.iter().map(|layer| {
            json!({ "mediaType": oci_layer(&layer.media_type), "digest": layer.digest, "size": layer.size })
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": { "mediaType": CONFIG, "digest": outgoing.image, "size": config_bytes.len() },
            "layers": described.collect::<Vec<_>>(),
        });
        let bytes = serde_json::to_vec(&manifest)
            .map_err(|error| RegistryError::Invalid(format!("cannot write a manifest: {error}")))?;
        Ok((OCI_MANIFEST.to_owned(), bytes))
    }

    fn put_manifest(&self, tag: &str, media_type: &str, bytes: &[u8]) -> Result<Digest> {
        let path = format!("/v2/{}/manifests/{tag}", self.reference.path());
        let mut request = self.client.request(Method::PUT, path, &self.scopes);
        request.headers.push((header::CONTENT_TYPE, media_type.to_owned()));
        request.content = Content::Bytes(bytes);
        let answer = self.client.send(request)?;
        if !matches!(answer.response.status(), StatusCode::CREATED | StatusCode::OK | StatusCode::ACCEPTED) {
            return Err(failure::of_answer(answer, &self.client.endpoint.origin));
        }
        let digest = Digest::of(bytes);
        match stated_digest(&answer) {
            Some(other) if other != digest => {
                Err(self.client.broken(&format!("says that it keeps {other} where {digest} was sent")))
            }
            _ => Ok(digest),
        }
    }
}

/// A layer's type in OCI's words.
fn oci_layer(media_type: &str) -> String {
    match media_type {
        gzip if gzip.ends_with("gzip") => format!("{LAYER}+gzip"),
        zstd if zstd.ends_with("zstd") => format!("{LAYER}+zstd"),
        _ => LAYER.to_owned(),
    }
}
