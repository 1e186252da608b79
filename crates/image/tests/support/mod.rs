//! Archives made by hand, entry by entry, with the `tar` crate: a second, independent implementation of the format.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "tests fail by it")]

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bulkhead_image::unpack::{Unpacked, unpack};
use bulkhead_image::{Digest, ImageError, Limits, Store};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

/// An archive in the making.
pub struct Tar(Builder<Vec<u8>>);

impl Tar {
    pub fn new() -> Tar {
        Tar(Builder::new(Vec::new()))
    }

    /// Any entry: the name and the link are written as they are, whatever they hold.
    pub fn entry(
        mut self,
        kind: EntryType,
        name: &str,
        link: &str,
        content: &[u8],
        edit: impl Fn(&mut Header),
    ) -> Tar {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1000);
        header.set_size(content.len() as u64);
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        edit(&mut header);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub fn file(self, name: &str, content: &[u8]) -> Tar {
        self.entry(EntryType::Regular, name, "", content, |_| {})
    }

    pub fn directory(self, name: &str, mode: u32) -> Tar {
        self.entry(EntryType::Directory, name, "", b"", |header| header.set_mode(mode))
    }

    pub fn symlink(self, name: &str, target: &str) -> Tar {
        self.entry(EntryType::Symlink, name, target, b"", |_| {})
    }

    pub fn hard_link(self, name: &str, target: &str) -> Tar {
        self.entry(EntryType::Link, name, target, b"", |_| {})
    }

    pub fn device(self, kind: EntryType, name: &str, major: u32, minor: u32) -> Tar {
        self.entry(kind, name, "", b"", |header| {
            header.set_device_major(major).unwrap();
            header.set_device_minor(minor).unwrap();
        })
    }

    /// PAX records for the entry that follows.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        let mut bytes = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            bytes.extend_from_slice(format!("{length} {key}=").as_bytes());
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        self.entry(EntryType::XHeader, "pax", "", &bytes, |_| {})
    }

    /// An entry whose name may be long: the `tar` crate adds what is needed.
    pub fn long(mut self, name: &str, content: &[u8]) -> Tar {
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, name, content).unwrap();
        self
    }

    pub fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// A folder with a sentinel beside it, which must stay as it is.
pub struct Jail {
    pub outside: TempDir,
}

impl Jail {
    pub fn new() -> Jail {
        let outside = tempfile::tempdir().unwrap();
        std::fs::create_dir(outside.path().join("jail")).unwrap();
        std::fs::create_dir(outside.path().join("sentinel")).unwrap();
        std::fs::write(outside.path().join("sentinel/file"), b"untouched").unwrap();
        Jail { outside }
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.outside.path().join("jail")
    }

    pub fn unpack(&self, archive: &[u8]) -> Result<Unpacked, ImageError> {
        self.unpack_with(archive, &Limits::default())
    }

    pub fn unpack_with(&self, archive: &[u8], limits: &Limits) -> Result<Unpacked, ImageError> {
        let result = unpack(archive, std::fs::File::open(self.path()).unwrap(), limits);
        self.check();
        result
    }

    /// Nothing but what was there is outside, and it is as it was.
    pub fn check(&self) {
        let mut names: Vec<_> =
            std::fs::read_dir(self.outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["jail", "sentinel"]);
        let sentinel = self.outside.path().join("sentinel");
        assert_eq!(std::fs::read_dir(&sentinel).unwrap().count(), 1);
        assert_eq!(std::fs::read(sentinel.join("file")).unwrap(), b"untouched");
        let links = std::os::unix::fs::MetadataExt::nlink(&std::fs::metadata(sentinel.join("file")).unwrap());
        assert_eq!(links, 1);
    }
}

/// A store in a folder of its own.
pub fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

/// That a store holds nothing.
pub fn assert_empty(store: &Store) {
    assert_eq!(store.layers().unwrap(), []);
    assert_eq!(store.blobs().unwrap(), []);
    assert_no_work(store);
}

pub fn assert_no_work(store: &Store) {
    assert_eq!(std::fs::read_dir(store.root().join("tmp")).unwrap().count(), 0);
}

/// A config for layers, of which the tars are given.
pub fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    serde_json::to_vec(&config).unwrap()
}

/// A Docker archive in the classic form of one image.
pub fn docker_archive(config: &[u8], layers: &[&[u8]], tags: &[&str]) -> Vec<u8> {
    let name = format!("{}.json", Digest::of(config).hex());
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}/layer.tar")).collect();
    let mut tar = Tar::new();
    for (name, layer) in names.iter().zip(layers) {
        tar = tar.file(name, layer);
    }
    let manifest = json!([{"Config": name, "RepoTags": tags, "Layers": names}]);
    tar.file(&name, config).file("manifest.json", manifest.to_string().as_bytes()).bytes()
}

/// Blobs under their digests' names, and descriptors of them.
pub struct Layout {
    tar: Tar,
}

impl Layout {
    pub fn new() -> Layout {
        Layout { tar: Tar::new().file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#) }
    }

    pub fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        let tar = std::mem::replace(&mut self.tar, Tar::new());
        self.tar = tar.long(&format!("blobs/sha256/{}", digest.hex()), bytes);
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    pub fn json(&mut self, media_type: &str, value: &Value) -> Value {
        self.blob(media_type, &serde_json::to_vec(value).unwrap())
    }

    /// A whole image; `layers` are (media type, bytes) and `config` fits them.
    pub fn image(&mut self, config: &[u8], layers: &[(&str, &[u8])]) -> Value {
        let layers: Vec<Value> = layers.iter().map(|(kind, bytes)| self.blob(kind, bytes)).collect();
        let config = self.blob(CONFIG, config);
        self.json(MANIFEST, &json!({"schemaVersion": 2, "config": config, "layers": layers}))
    }

    pub fn finish(self, manifests: &[Value]) -> Vec<u8> {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        self.tar.file("index.json", index.to_string().as_bytes()).bytes()
    }
}

pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

pub fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1024];
    let length = rustix::fs::lgetxattr(path.as_os_str().as_bytes(), name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}
