//! Image archives of every form, whole and damaged.

#![allow(clippy::unwrap_used, reason = "tests fail by it")]

mod support;

use bulkhead_image::{Digest, ImageError, ImportOptions, Progress, Store};
use serde_json::json;
use support::{
    CONFIG, INDEX, LAYER, LAYER_GZIP, LAYER_ZSTD, Layout, MANIFEST, Tar, assert_empty, assert_no_work,
    config, docker_archive, gzip, store, zstd,
};

fn layer(content: &str) -> Vec<u8> {
    Tar::new().directory("etc/", 0o755).file("etc/name", content.as_bytes()).bytes()
}

fn load(store: &Store, archive: &[u8]) -> Result<Vec<bulkhead_image::Loaded>, ImageError> {
    store.load(archive, &mut |_| {})
}

fn refused(archive: &[u8]) -> String {
    let (_folder, store) = store();
    let error = load(&store, archive).unwrap_err().to_string();
    assert_empty(&store);
    error
}

/// That the store gives back the very tar.
fn assert_same_tar(store: &Store, layer: &[u8]) {
    let mut out = Vec::new();
    store.layer_tar(&Digest::of(layer), &mut out).unwrap();
    assert!(out == layer);
}

#[test]
fn a_docker_archive_loads_whole() {
    let (_folder, store) = store();
    let (base, top) = (layer("base"), gzip(&layer("top")));
    let config = config(&[&base, &layer("top"), &[0; 1024]]);
    let archive = docker_archive(&config, &[&base, &top, &[0; 1024]], &["app:1", "localhost:5000/app:2"]);
    let mut done = Vec::new();
    let mut progress = |progress| {
        if let Progress::LayerDone { diff_id, .. } = progress {
            done.push(diff_id);
        }
    };
    let images = store.load(&archive[..], &mut progress).unwrap();
    let [image] = &images[..] else { panic!("{images:?}") };
    assert_eq!(image.id, Digest::of(&config));
    assert_eq!(
        image.references.iter().map(|r| r.familiar()).collect::<Vec<_>>(),
        ["app:1", "localhost:5000/app:2"]
    );
    assert_eq!(image.layers, [Digest::of(&base), Digest::of(&layer("top")), Digest::of(&[0; 1024])]);
    assert_eq!((image.size, done.len()), (7, 3));
    assert_eq!(store.read_config(&image.id).unwrap(), image.config);
    assert_eq!(store.read_blob(&image.id).unwrap(), config);
    let folder = store.layer_folder(&image.layers[1]).unwrap();
    assert_eq!(std::fs::read(folder.join("etc/name")).unwrap(), b"top");
    assert_eq!(store.layer_meta(&image.layers[0]).unwrap().size, 4);
    assert_same_tar(&store, &base);
    assert_same_tar(&store, &[0; 1024]);
    assert_no_work(&store);
    // Once more changes nothing.
    assert_eq!(load(&store, &archive).unwrap(), images);
    assert_eq!(store.layers().unwrap().len(), 3);
    store.remove_layer(&image.layers[1]).unwrap();
    store.remove_layer(&image.layers[1]).unwrap();
    store.remove_blob(&image.id).unwrap();
    assert!(!store.has_layer(&image.layers[1]));
    assert!(matches!(store.layer_folder(&image.layers[1]), Err(ImageError::NotFound { .. })));
    assert!(matches!(store.read_config(&image.id), Err(ImageError::NotFound { .. })));
    assert_no_work(&store);
}

#[test]
fn archives_may_be_compressed() {
    let base = layer("base");
    let archive = docker_archive(&config(&[&base]), &[&base], &["a"]);
    for compressed in
        [gzip(&archive), zstd(&archive), [gzip(&archive[..1000]), gzip(&archive[1000..])].concat()]
    {
        let (_folder, store) = store();
        assert_eq!(load(&store, &compressed).unwrap().len(), 1);
        assert!(matches!(load(&store, &compressed[..compressed.len() - 20]), Err(ImageError::Truncated(_))));
        assert_no_work(&store);
    }
    let mut damaged = gzip(&archive);
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8].fill(0xff);
    refused(&damaged);
    assert!(refused(b"BZh91AY").contains("bzip2"));
}

#[test]
fn layers_may_be_links_and_images_may_share_them() {
    let (_folder, store) = store();
    let base = layer("base");
    let config = config(&[&base, &base]);
    let manifest = json!([
        {"Config": "c.json", "RepoTags": null, "Layers": ["a/layer.tar", "b/layer.tar"]},
        {"Config": "./c.json", "RepoTags": ["x"], "Layers": ["h", "b/layer.tar"]},
    ]);
    let archive = Tar::new()
        .directory("a/", 0o755)
        .file("a/VERSION", b"1.0")
        .file("a/json", b"{}")
        .file("a/layer.tar", &base)
        .symlink("b/layer.tar", "../a/layer.tar")
        .hard_link("h", "a/layer.tar")
        .file("c.json", &config)
        .file("manifest.json", manifest.to_string().as_bytes())
        .file("repositories", b"{}")
        .bytes();
    let images = load(&store, &archive).unwrap();
    assert_eq!(images.len(), 2);
    assert_eq!(images[0].layers, [Digest::of(&base), Digest::of(&base)]);
    assert_eq!(images[1].references[0].familiar(), "x:latest");
}

#[test]
fn an_oci_layout_loads_with_every_compression() {
    let (_folder, store) = store();
    let (a, b, c) = (layer("a"), layer("b"), layer("c"));
    let config = config(&[&a, &b, &c]);
    let mut layout = Layout::new();
    let mut manifest =
        layout.image(&config, &[(LAYER, &a), (LAYER_GZIP, &gzip(&b)), (LAYER_ZSTD, &zstd(&c))]);
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest",
        "io.containerd.image.name": "docker.io/library/app:1"});
    let archive = layout.finish(&[manifest]);
    let images = load(&store, &archive).unwrap();
    assert_eq!(images[0].id, Digest::of(&config));
    assert_eq!(images[0].references[0].familiar(), "app:1");
    // The config and the manifest, which has a digest of its own.
    assert_eq!(store.blobs().unwrap().len(), 2);
    for layer in [&a, &b, &c] {
        assert_same_tar(&store, layer);
    }
    assert_eq!(load(&store, &archive).unwrap(), images);
}

#[test]
fn of_many_platforms_the_hosts_is_taken() {
    let host = bulkhead_image::Platform::host();
    let (ours, other) = (layer("ours"), layer("other"));
    let mut layout = Layout::new();
    let mut manifest = |content: &[u8], os: &str, architecture: &str| {
        let mut manifest = layout.image(&config(&[content]), &[(LAYER, content)]);
        manifest["platform"] = json!({"os": os, "architecture": architecture});
        manifest
    };
    let manifests = [
        manifest(&other, "linux", "mips64"),
        manifest(b"", "unknown", "unknown"),
        manifest(&ours, "linux", &host.architecture),
    ];
    let nested = layout.json(INDEX, &json!({"schemaVersion": 2, "manifests": &manifests}));
    let mut named = layout.json(INDEX, &json!({"schemaVersion": 2, "manifests": [nested]}));
    named["annotations"] = json!({"org.opencontainers.image.ref.name": "quay.io/a/b:c"});
    let archive = layout.finish(&[named]);
    let (_folder, store) = store();
    let images = load(&store, &archive).unwrap();
    assert_eq!(images[0].layers, [Digest::of(&ours)]);
    assert_eq!(images[0].references[0].to_string(), "quay.io/a/b:c");
    assert_eq!(store.layers().unwrap(), [Digest::of(&ours)]);

    let mut layout = Layout::new();
    let mut only = layout.image(&config(&[&other]), &[(LAYER, &other)]);
    only["platform"] = json!({"os": "linux", "architecture": "mips64"});
    let nested = layout.json(INDEX, &json!({"manifests": [only]}));
    assert!(refused(&layout.finish(&[nested])).contains("mips64"));
}

#[test]
fn damaged_and_forged_images_leave_nothing() {
    let (a, b) = (layer("a"), layer("b"));
    // The config names another layer.
    assert!(refused(&docker_archive(&config(&[&a]), &[&b], &["x"])).contains("expected sha256"));
    assert!(refused(&docker_archive(&config(&[&a, &b]), &[&a], &["x"])).contains("names 2 layers"));
    assert!(refused(&docker_archive(&config(&[&a]), &[&a], &["X"])).contains("lowercase"));
    assert!(refused(&docker_archive(b"{", &[], &["x"])).contains("JSON"));
    assert!(
        refused(&docker_archive(&config(&[&gzip(&a)]), &[&gzip(&a)], &["x"])).contains("expected sha256")
    );
    let cut = gzip(&layer(&"long".repeat(5000)));
    assert!(refused(&docker_archive(&config(&[&a]), &[&cut[..cut.len() - 9]], &["x"])).contains("cut off"));
    let out = Tar::new().file("../x", b"").bytes();
    assert!(refused(&docker_archive(&config(&[&out]), &[&out], &["x"])).contains("\"../x\""));
    assert!(refused(&docker_archive(&config(&[b"text"]), &[b"text"], &["x"])).contains("no tar"));
    assert!(refused(&a).contains("manifest.json"));
    assert!(refused(b"").contains("empty"));
    assert!(refused(b"hello").contains("ends early"));
    let missing = json!([{"Config": "c", "RepoTags": [], "Layers": ["l"]}]).to_string();
    assert!(refused(&Tar::new().file("manifest.json", missing.as_bytes()).bytes()).contains("\"c\""));
    let whole = docker_archive(&config(&[&a]), &[&a], &["x"]);
    assert!(refused(&whole[..1500]).contains("ends early"));
    let looped = Tar::new().symlink("manifest.json", "b").symlink("b", "manifest.json").bytes();
    assert!(refused(&looped).contains("loop"));
    assert!(refused(&Tar::new().symlink("a", "/etc/passwd").bytes()).contains("out of the archive"));
    assert!(refused(&Tar::new().file("../a", b"").bytes()).contains("out of the archive"));
    let windows = br#"{"os":"windows","rootfs":{"type":"layers","diff_ids":[]}}"#;
    assert!(refused(&docker_archive(windows, &[], &["x"])).contains("windows"));
}

#[test]
fn an_oci_layouts_promises_are_checked() {
    let a = layer("a");
    let good = config(&[&a]);
    let with = |edit: &dyn Fn(&mut serde_json::Value), kind: &str, bytes: &[u8]| {
        let mut layout = Layout::new();
        let mut layer = layout.blob(kind, bytes);
        edit(&mut layer);
        let config = layout.blob(CONFIG, &good);
        let manifest = layout.json(MANIFEST, &json!({"config": config, "layers": [layer]}));
        layout.finish(&[manifest])
    };
    assert!(refused(&with(&|d| d["size"] = json!(5), LAYER, &a)).contains("should have 5 bytes"));
    assert!(refused(&with(&|_| {}, "application/x-other", &a)).contains("unknown media type"));
    assert!(refused(&with(&|_| {}, LAYER_GZIP, &a)).contains("says gzip"));
    assert!(
        refused(&with(&|d| d["digest"] = json!(Digest::of(b"x")), LAYER, &a)).contains("doesn't contain")
    );
    assert!(refused(&with(&|d| d["digest"] = json!("sha256:../../x"), LAYER, &a)).contains("digest"));
    // A blob that isn't what its name says.
    let name = format!("blobs/sha256/{}", Digest::of(&a).hex());
    let manifest = json!([{"Config": "c.json", "Layers": [name]}]).to_string();
    let forged = |bytes: &[u8]| {
        Tar::new().long(&name, bytes).file("c.json", &good).file("manifest.json", manifest.as_bytes()).bytes()
    };
    assert!(refused(&forged(&layer("b"))).contains("damaged or forged"));
    // Also where the store has the layer already and needs only the digest.
    let (_folder, store) = store();
    load(&store, &forged(&a)).unwrap();
    load(&store, &forged(&a)).unwrap();
    assert!(load(&store, &forged(&layer("b"))).is_err());
    assert_no_work(&store);
}

#[test]
fn a_root_file_system_is_imported() {
    let (_folder, store) = store();
    let plain = layer("root");
    let options = ImportOptions {
        changes: vec!["CMD [\"sh\"]".to_owned(), "ENV A=b".to_owned()],
        message: "mine".to_owned(),
        ..ImportOptions::default()
    };
    let image = store.import(&plain[..], &options).unwrap();
    assert_eq!(image.layers, [Digest::of(&plain)]);
    assert_eq!(image.config.config.cmd, Some(vec!["sh".to_owned()]));
    assert_eq!(image.config.history[0].comment.as_deref(), Some("mine"));
    assert_eq!(store.read_config(&image.id).unwrap(), image.config);
    assert_same_tar(&store, &plain);
    let zipped = store.import(&gzip(&plain)[..], &ImportOptions::default()).unwrap();
    assert_eq!(zipped.layers, image.layers);
    let invalid = ImportOptions { changes: vec!["RUN x".to_owned()], ..ImportOptions::default() };
    assert!(matches!(store.import(&plain[..], &invalid), Err(ImageError::Change { .. })));
    assert!(store.import(&b"no tar at all"[..], &ImportOptions::default()).is_err());
    assert_no_work(&store);
}
