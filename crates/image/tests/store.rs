//! The store: exact tars, crashes, and several processes at once.

#![allow(clippy::unwrap_used, reason = "tests fail by it")]

mod support;

use std::os::unix::fs::PermissionsExt;

use bulkhead_image::{Digest, ImageError, ImportOptions, Store};
use proptest::prelude::*;
use support::{Tar, assert_no_work, config, docker_archive, store};

fn import(store: &Store, tar: &[u8]) -> Digest {
    store.import(tar, &ImportOptions::default()).unwrap().layers[0]
}

fn assert_same_tar(store: &Store, tar: &[u8]) {
    let id = import(store, tar);
    assert_eq!(id, Digest::of(tar));
    let mut out = Vec::new();
    assert_eq!(store.layer_tar(&id, &mut out).unwrap(), tar.len() as u64);
    assert!(out == tar);
}

#[test]
fn only_the_owner_may_look_into_the_store() {
    let (folder, store) = store();
    let mode = || store.root().metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(), 0o700);
    std::fs::set_permissions(store.root(), PermissionsExt::from_mode(0o755)).unwrap();
    Store::open(&folder.path().join("store")).unwrap();
    assert_eq!(mode(), 0o700);
}

#[test]
fn the_tar_comes_back_though_entries_replace_each_other() {
    let (_folder, store) = store();
    let tar = Tar::new()
        .file("a", b"first")
        .file("a", b"second")
        .file("dir/x/y", b"in a folder that goes")
        .file("dir/x/y", b"replaced before it goes")
        .hard_link("alias", "dir/x/y")
        .file("dir", b"file")
        .file("alias", b"no alias")
        .symlink("link", "real")
        .file("link/f", b"through a link")
        .file("link", b"link is a file now")
        .file(".wh.gone", b"whiteouts may have content")
        .file(".wh..wh.aufs", b"x")
        .file("empty", b"")
        .directory("empty/", 0o700)
        .bytes();
    assert_same_tar(&store, &tar);
    let mut odd_end = tar.clone();
    odd_end.extend_from_slice(b"something behind the end");
    assert_same_tar(&store, &odd_end);
    assert_same_tar(&store, &tar[..tar.len() - 1024]);
}

#[test]
fn a_changed_layer_is_noticed() {
    let (_folder, store) = store();
    let id = import(&store, &Tar::new().file("a", b"12345").bytes());
    store.verify_layer(&id).unwrap();
    let file = store.layer_folder(&id).unwrap().join("a");
    std::fs::write(&file, b"12346").unwrap();
    assert!(matches!(store.verify_layer(&id), Err(ImageError::DigestMismatch { .. })));
    std::fs::write(&file, b"123").unwrap();
    assert!(store.verify_layer(&id).unwrap_err().to_string().contains("shorter"));
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    assert!(store.verify_layer(&id).is_err());
}

#[test]
fn what_the_dead_leave_is_cleaned_and_the_livings_work_is_not() {
    let (_folder, store) = store();
    let left = store.root().join("tmp/1-0/layer/diff/deep");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("file"), b"x").unwrap();
    // A load that stands still in its middle.
    let (mut into, from) = std::io::pipe().map(|(from, into)| (into, from)).unwrap();
    let layer = Tar::new().file("a", &[1; 5000]).bytes();
    let archive = docker_archive(&config(&[&layer]), &[&layer], &["a"]);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| store.load(from, &mut |_| {}));
        std::io::Write::write_all(&mut into, &archive[..3000]).unwrap();
        while std::fs::read_dir(store.root().join("tmp")).unwrap().count() < 2 {
            std::thread::yield_now();
        }
        assert_eq!(store.clean().unwrap(), 1);
        std::io::Write::write_all(&mut into, &archive[3000..]).unwrap();
        drop(into);
        assert_eq!(load.join().unwrap().unwrap().len(), 1);
    });
    assert_no_work(&store);
}

#[test]
fn the_same_image_may_be_loaded_many_times_at_once() {
    let (folder, store) = store();
    let layers: Vec<Vec<u8>> = (0..5).map(|n| Tar::new().file("f", &[n; 3000]).bytes()).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let archive = docker_archive(&config(&layers), &layers, &["a"]);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let store = Store::open(&folder.path().join("store")).unwrap();
                assert_eq!(store.load(&archive[..], &mut |_| {}).unwrap()[0].layers.len(), 5);
            });
        }
    });
    assert_eq!(store.layers().unwrap().len(), 5);
    assert_no_work(&store);
    for layer in layers {
        store.verify_layer(&Digest::of(layer)).unwrap();
    }
}

#[test]
fn of_two_things_replaced_between_two_contents_the_first_counts() {
    let (_folder, store) = store();
    // The file is replaced by a link, and then the folder above it by a file.
    let tar = Tar::new().file("a/b/c", b"content").symlink("a/b/c", "elsewhere").file("a", b"a file").bytes();
    let image = store.import(&tar[..], &ImportOptions::default()).unwrap();
    store.verify_layer(&image.layers[0]).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn every_tar_comes_back_exactly(
        entries in prop::collection::vec(("[abc](/[abc]){0,2}", 0u8..5, prop::collection::vec(any::<u8>(), 0..1500)), 0..25),
    ) {
        let (_folder, store) = store();
        let mut tar = Tar::new();
        for (name, kind, content) in entries {
            tar = match kind {
                0 => tar.directory(&name, 0o755),
                1 => tar.symlink(&name, "a/b"),
                2 => tar.hard_link(&name, "a"),
                _ => tar.file(&name, &content),
            };
        }
        let tar = tar.bytes();
        if let Ok(image) = store.import(&tar[..], &ImportOptions::default()) {
            prop_assert_eq!(image.layers[0], Digest::of(&tar));
            store.verify_layer(&image.layers[0]).unwrap();
        }
        assert_no_work(&store);
    }
}
