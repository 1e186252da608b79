//! Filling, and what a killed one leaves.

use super::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn open(path: &std::path::Path) -> OwnedFd {
    std::fs::File::open(path).unwrap().into()
}

/// A root with a folder `place`, and an empty volume.
fn scene() -> (tempfile::TempDir, OwnedFd, OwnedFd, OwnedFd) {
    let scene = tempfile::tempdir().unwrap();
    let at = |name: &str| scene.path().join(name);
    std::fs::create_dir_all(at("place/sub")).unwrap();
    std::fs::create_dir(at("volume")).unwrap();
    std::fs::write(at("place/sub/f"), "content").unwrap();
    std::fs::hard_link(at("place/sub/f"), at("place/same")).unwrap();
    symlink("../nowhere", at("place/link")).unwrap();
    std::fs::set_permissions(at("place"), std::fs::Permissions::from_mode(0o2750)).unwrap();
    let holes = std::fs::File::create(at("place/holes")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&holes, b"end", 1 << 20).unwrap();
    let (root, place, volume) = (open(scene.path()), open(&at("place")), open(&at("volume")));
    (scene, root, place, volume)
}

fn is_whole(scene: &tempfile::TempDir) {
    let at = |name: &str| scene.path().join("volume").join(name);
    assert_eq!(std::fs::read_to_string(at("sub/f")).unwrap(), "content");
    let ino = |name: &str| std::fs::symlink_metadata(at(name)).unwrap().ino();
    assert_eq!(ino("sub/f"), ino("same"));
    assert_eq!(std::fs::read_link(at("link")).unwrap().to_str(), Some("../nowhere"));
    let holes = std::fs::metadata(at("holes")).unwrap();
    assert!(holes.len() == (1 << 20) + 3 && holes.blocks() < 100);
    assert_eq!(std::fs::metadata(at(".")).unwrap().mode() & 0o7777, 0o2750);
    let mut names: Vec<_> =
        std::fs::read_dir(at(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["holes", "link", "same", "sub"]);
}

#[test]
fn an_empty_volume_is_filled_once() {
    let (scene, root, place, volume) = scene();
    fill(root.as_fd(), &place, &volume, "/place").unwrap();
    is_whole(&scene);
    std::fs::write(scene.path().join("volume/own"), "x").unwrap();
    std::fs::remove_file(scene.path().join("volume/same")).unwrap();
    fill(root.as_fd(), &place, &volume, "/place").unwrap();
    assert!(!scene.path().join("volume/same").exists());
}

#[test]
fn what_a_killed_one_left_is_begun_anew_or_finished() {
    let (scene, root, place, volume) = scene();
    std::fs::create_dir_all(scene.path().join("volume/.bulkhead-filling/half/made")).unwrap();
    fill(root.as_fd(), &place, &volume, "/place").unwrap();
    is_whole(&scene);
    // As if it had been killed when half was moved.
    let ready = scene.path().join("volume/.bulkhead-filled");
    std::fs::create_dir(&ready).unwrap();
    std::fs::rename(scene.path().join("volume/sub"), ready.join("sub")).unwrap();
    fill(root.as_fd(), &place, &volume, "/place").unwrap();
    is_whole(&scene);
}

#[test]
fn who_shares_a_volume_cannot_hinder_others_by_these_names() {
    let (scene, root, place, volume) = scene();
    let at = |name: &str| scene.path().join("volume").join(name);
    std::fs::create_dir_all(at(".bulkhead-filled/theirs")).unwrap();
    std::fs::write(at("theirs"), "x").unwrap();
    symlink("/", at(".bulkhead-filling")).unwrap();
    fill(root.as_fd(), &place, &volume, "/place").unwrap();
    assert_eq!(std::fs::read_to_string(at("theirs")).unwrap(), "x");
}
