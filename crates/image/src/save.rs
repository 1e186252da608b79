//! `save`: images as an archive that `bulkhead load`, `docker load` and OCI tools take: an OCI image layout
//! (image-spec, `image-layout.md`) with Docker's `manifest.json` beside its index, as Docker writes them since version 25.
//!
//! Every blob has the digest that it is named by: the config's bytes are those that came, and each layer's tar is written
//! again exactly as it was (see [`Store::layer_tar`]). So an image keeps its ID wherever it is loaded. Two saves of the same
//! images give the same bytes.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};

use serde_json::json;

use crate::tar::{Entry, Kind, TarWriter};
use crate::{Digest, ImageConfig, ImageError, Reference, Result, Store};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl Store {
    /// Writes the images, each with its names, to `out`.
    ///
    /// # Errors
    /// A layer that is not what its digest says any more, or `out`'s.
    pub fn save(&self, images: &[(Digest, Vec<Reference>)], out: impl Write) -> Result<()> {
        let mut archive = Archive { tar: TarWriter::new(BufWriter::with_capacity(256 * 1024, out)) };
        archive.folder("blobs/")?;
        archive.folder("blobs/sha256/")?;
        let mut written = BTreeSet::new();
        let (mut manifests, mut docker) = (Vec::new(), Vec::new());
        for (id, names) in images {
            let bytes = self.read_blob(id)?;
            let config = ImageConfig::from_json(&bytes)?;
            let mut layers = Vec::new();
            for layer in &config.rootfs.diff_ids {
                let size = self.layer_meta(layer)?.tar_size;
                if written.insert(*layer) {
                    self.layer_into(layer, size, &mut archive)?;
                }
                layers.push(json!({ "mediaType": LAYER, "digest": layer.to_string(), "size": size }));
            }
            if written.insert(*id) {
                archive.file(&blob(id), &bytes)?;
            }
            let manifest = text(&json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": { "mediaType": CONFIG, "digest": id.to_string(), "size": bytes.len() },
                "layers": layers,
            }))?;
            let digest = Digest::of(&manifest);
            if written.insert(digest) {
                archive.file(&blob(&digest), &manifest)?;
            }
            let described =
                json!({ "mediaType": MANIFEST, "digest": digest.to_string(), "size": manifest.len() });
            if names.is_empty() {
                manifests.push(described.clone());
            }
            for name in names {
                let mut described = described.clone();
                let annotations = json!({
                    "io.containerd.image.name": name.to_string(),
                    "org.opencontainers.image.ref.name": name.tag().unwrap_or("latest"),
                });
                if let Some(object) = described.as_object_mut() {
                    object.insert("annotations".to_owned(), annotations);
                }
                manifests.push(described);
            }
            docker.push(json!({
                "Config": blob(id),
                "RepoTags": names.iter().map(Reference::familiar).collect::<Vec<_>>(),
                "Layers": config.rootfs.diff_ids.iter().map(blob).collect::<Vec<_>>(),
            }));
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        archive.file("index.json", &text(&index)?)?;
        archive.file("manifest.json", &text(&docker.into())?)?;
        archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        archive.tar.finish().map_err(failed)?;
        Ok(())
    }

    fn layer_into<W: Write>(&self, layer: &Digest, size: u64, archive: &mut Archive<W>) -> Result<()> {
        archive.tar.entry(&entry(&blob(layer), Kind::File, size)).map_err(failed)?;
        let length = self.layer_tar(layer, Content { tar: &mut archive.tar })?;
        if length != size {
            return Err(ImageError::Archive(format!(
                "layer {layer} has {length} bytes and was recorded with {size}: load the image again"
            )));
        }
        Ok(())
    }
}

struct Archive<W: Write> {
    tar: TarWriter<BufWriter<W>>,
}

impl<W: Write> Archive<W> {
    fn folder(&mut self, name: &str) -> Result<()> {
        self.tar.entry(&Entry { mode: 0o755, ..entry(name, Kind::Directory, 0) }).map_err(failed)
    }

    fn file(&mut self, name: &str, content: &[u8]) -> Result<()> {
        self.tar
            .entry(&entry(name, Kind::File, content.len() as u64))
            .and_then(|()| self.tar.content(content))
            .map_err(failed)
    }
}

/// The content of the entry that was begun last.
struct Content<'a, W: Write> {
    tar: &'a mut TarWriter<BufWriter<W>>,
}

impl<W: Write> Write for Content<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tar.content(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn entry(name: &str, kind: Kind, size: u64) -> Entry {
    Entry {
        kind,
        name: name.as_bytes().to_vec(),
        link: Vec::new(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: (0, 0),
        size,
        device: (0, 0),
        xattrs: Vec::new(),
        sparse: None,
    }
}

fn text(value: &serde_json::Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|source| ImageError::Json { what: "an image archive".to_owned(), source })
}

fn failed(error: io::Error) -> ImageError {
    ImageError::io("write the image archive", error)
}
