//! Image archives made by hand, entry by entry, so that a test can make every good and every hostile one.
//!
//! The shapes are those of `docker save` (docker-archive) and of the OCI image layout.

use std::io::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

/// A layer in the making: an uncompressed tar, with exactly the entries that were asked for, in that order.
pub struct Layer {
    tar: tar::Builder<Vec<u8>>,
    /// User and group of the entries that follow.
    owner: (u32, u32),
}

impl Default for Layer {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer {
    /// An empty layer.
    #[must_use]
    pub fn new() -> Self {
        Self { tar: tar::Builder::new(Vec::new()), owner: (0, 0) }
    }

    /// Lets the entries that follow belong to this user and group.
    #[must_use]
    pub fn owned_by(mut self, uid: u32, gid: u32) -> Self {
        self.owner = (uid, gid);
        self
    }

    /// Adds a folder.
    #[must_use]
    pub fn dir(self, path: &str, mode: u32) -> Self {
        self.entry(path, EntryType::Directory, mode, "", (0, 0), &[])
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Self {
        self.entry(path, EntryType::Regular, mode, "", (0, 0), content.as_ref())
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryType::Symlink, 0o777, target, (0, 0), &[])
    }

    /// Adds a hard link to the entry `target`.
    #[must_use]
    pub fn hardlink(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryType::Link, 0o644, target, (0, 0), &[])
    }

    /// Adds a device node.
    #[must_use]
    pub fn device(self, path: &str, kind: EntryType, major: u32, minor: u32) -> Self {
        self.entry(path, kind, 0o666, "", (major, minor), &[])
    }

    /// Gives the next entry extended attributes or other PAX records, as `SCHILY.xattr.user.name`.
    ///
    /// # Panics
    /// Never: the tar is in memory.
    #[must_use]
    pub fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        self.tar.append_pax_extensions(records.iter().copied()).unwrap();
        self
    }

    /// Adds an entry of any kind. Names go in as they are, `..` and all, which the tar crate's own paths refuse.
    ///
    /// # Panics
    /// When a name is longer than the 100 bytes of a classic header.
    #[must_use]
    pub fn entry(
        mut self,
        path: &str,
        kind: EntryType,
        mode: u32,
        target: &str,
        (major, minor): (u32, u32),
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(self.owner.0.into());
        header.set_gid(self.owner.1.into());
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        if kind.is_character_special() || kind.is_block_special() {
            header.set_device_major(major).unwrap();
            header.set_device_minor(minor).unwrap();
        }
        header.set_cksum();
        self.tar.append(&header, content).unwrap();
        self
    }

    /// The tar.
    ///
    /// # Panics
    /// Never: it is in memory.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.tar.into_inner().unwrap()
    }
}

/// `sha256:` and the digest of `bytes`.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("sha256:{hex}")
}

/// This machine's processor, as images name it.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// An image's configuration: `config` is what a Dockerfile says (`Cmd`, `Env`, …), `diffs` the layers' digests.
#[must_use]
pub fn image_config(config: &Value, diffs: &[String]) -> Vec<u8> {
    let image = json!({
        "architecture": architecture(), "os": "linux", "created": "2024-01-01T00:00:00Z",
        "config": config, "rootfs": { "type": "layers", "diff_ids": diffs },
        "history": diffs.iter().map(|_| json!({ "created_by": "test" })).collect::<Vec<_>>(),
    });
    serde_json::to_vec(&image).unwrap()
}

/// An image as `docker save` writes it: `manifest.json`, the configuration, and a plain tar for each layer.
#[must_use]
pub fn docker_archive(tag: &str, config: &Value, layers: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = Vec::new();
    write_docker_archive(&mut archive, tag, config, layers);
    archive
}

/// As [`docker_archive`], into a file.
///
/// # Panics
/// When it cannot be written.
pub fn write_docker_archive(out: impl Write, tag: &str, config: &Value, layers: &[Vec<u8>]) {
    let diffs: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let config = image_config(config, &diffs);
    let hex = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
    let config_name = format!("{}.json", hex(&digest(&config)));
    let names: Vec<String> = diffs.iter().map(|diff| format!("{}/layer.tar", hex(diff))).collect();
    let manifest = json!([{ "Config": config_name, "RepoTags": [tag], "Layers": names }]);
    let mut archive = tar::Builder::new(out);
    let mut written = std::collections::BTreeSet::new();
    for (name, layer) in names.iter().zip(layers) {
        if written.insert(name) {
            add(&mut archive, name, layer);
        }
    }
    add(&mut archive, &config_name, &config);
    add(&mut archive, "manifest.json", &serde_json::to_vec(&manifest).unwrap());
    archive.into_inner().unwrap().flush().unwrap();
}

/// How the layers of an OCI layout are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    Plain,
    /// By gzip.
    Gzip,
    /// By zstd.
    Zstd,
}

/// An image as an OCI image layout in a tar. `tag` is the reference name in its index.
///
/// # Panics
/// Never: everything is in memory.
#[must_use]
pub fn oci_archive(tag: &str, config: &Value, layers: &[Vec<u8>], packing: Packing) -> Vec<u8> {
    let diffs: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let config = image_config(config, &diffs);
    let (suffix, packed): (&str, Vec<Vec<u8>>) = match packing {
        Packing::Plain => ("", layers.to_vec()),
        Packing::Gzip => ("+gzip", layers.iter().map(|layer| gzip(layer)).collect()),
        Packing::Zstd => {
            ("+zstd", layers.iter().map(|layer| zstd::encode_all(layer.as_slice(), 1).unwrap()).collect())
        }
    };
    let kind = |name: &str| format!("application/vnd.oci.image.{name}");
    let describe = |media: String, blob: &[u8]| json!({ "mediaType": media, "digest": digest(blob), "size": blob.len() });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind("manifest.v1+json"),
        "config": describe(kind("config.v1+json"), &config),
        "layers": packed.iter().map(|blob| describe(kind(&format!("layer.v1.tar{suffix}")), blob)).collect::<Vec<_>>(),
    });
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let mut entry = describe(kind("manifest.v1+json"), &manifest);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    add(&mut archive, "index.json", &serde_json::to_vec(&index).unwrap());
    for blob in packed.iter().chain([&config, &manifest]) {
        add(&mut archive, &digest(blob).replace("sha256:", "blobs/sha256/"), blob);
    }
    archive.into_inner().unwrap()
}

/// `bytes` packed by gzip.
///
/// # Panics
/// Never: everything is in memory.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn add(archive: &mut tar::Builder<impl Write>, name: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, name, content).unwrap();
}
