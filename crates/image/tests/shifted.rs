//! Copies of layers in the store: one for each mapping and layer, whole or not there, and nothing of a dead process.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use bulkhead_image::{Digest, Ids, Store};

const FIRST: u32 = 700_000;

fn ids() -> Ids<'static> {
    let map: &'static dyn Fn(u32) -> Option<u32> = &|id| (id < 1000).then(|| FIRST + id);
    Ids { user: map, group: map }
}

/// A store with a made-up layer in it that has one file; `None` where files cannot be given away.
fn store(folder: &Path, owner: u32) -> Option<(Store, Digest)> {
    let store = Store::open(folder).unwrap();
    let layer = Digest::of(b"layer");
    let diff = folder.join("layers").join(layer.hex()).join("diff");
    fs::create_dir_all(&diff).unwrap();
    fs::write(diff.join("file"), "content").unwrap();
    fs::set_permissions(diff.join("file"), fs::Permissions::from_mode(0o4711)).unwrap();
    std::os::unix::fs::chown(diff.join("file"), Some(owner), Some(owner)).ok()?;
    Some((store, layer))
}

#[test]
fn a_copy_is_made_once_and_kept_while_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!Store::may_have_shifted(folder.path()));
    let Some((store, layer)) = store(folder.path(), 5) else { return };
    let (place, name) = store.shifted("key").unwrap().layer(&layer, ids()).unwrap();
    let copy = fs::metadata(place.join(&name).join("file")).unwrap();
    assert_eq!((copy.uid(), copy.gid()), (FIRST + 5, FIRST + 5));
    store.shifted("key").unwrap().layer(&layer, ids()).unwrap();
    assert_eq!(fs::metadata(place.join(&name).join("file")).unwrap().ino(), copy.ino());
    let names = store.shifted_names().unwrap();
    assert_eq!((names.len(), names[0].unfinished), (1, false));
    assert_eq!(names[0].layers, [layer]);
    store.shifted("key").unwrap().keep(&[layer]).unwrap();
    assert!(place.join(&name).is_dir());
    store.shifted("key").unwrap().keep(&[]).unwrap();
    assert_eq!(store.shifted_names().unwrap(), []);
    assert!(store.shifted_if_free("key").unwrap().is_none());
}

#[test]
fn a_copy_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some((store, layer)) = store(folder.path(), 1000) else { return };
    let copies = store.shifted("key").unwrap();
    let said = copies.layer(&layer, ids()).unwrap_err().to_string();
    assert!(said.contains("/file: it belongs to user 1000"), "{said}");
    assert_eq!(fs::read_dir(folder.path().join("shifted/key")).unwrap().count(), 0);
    assert!(copies.layer(&Digest::of(b"no such"), ids()).is_err());
}

#[test]
fn who_holds_the_lock_is_alone() {
    let folder = tempfile::tempdir().unwrap();
    let Some((store, layer)) = store(folder.path(), 0) else { return };
    let held = store.shifted("key").unwrap();
    assert!(store.shifted_if_free("key").unwrap().is_none());
    let path = folder.path().to_owned();
    let waiting = std::thread::spawn(move || {
        let store = Store::open(&path).unwrap();
        // The folder that it waits for goes: it must not take that for the one of the name.
        store.shifted("key").unwrap().layer(&layer, ids()).map(|(place, name)| place.join(name).join("file"))
    });
    held.layer(&layer, ids()).unwrap();
    held.keep(&[]).unwrap();
    assert!(waiting.join().unwrap().unwrap().is_file());
}

#[test]
fn what_a_dead_process_left_is_found_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let Some((store, layer)) = store(folder.path(), 0) else { return };
    let key = folder.path().join("shifted/key");
    for left in [".new/deep", ".links", ".gone/deep"] {
        fs::create_dir_all(key.join(left)).unwrap();
    }
    assert!(store.shifted_names().unwrap()[0].unfinished);
    store.shifted("key").unwrap().layer(&layer, ids()).unwrap();
    store.shifted_if_free("key").unwrap().unwrap().keep(&[layer]).unwrap();
    let names: Vec<_> = fs::read_dir(&key).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, [layer.hex().as_str()]);
}
