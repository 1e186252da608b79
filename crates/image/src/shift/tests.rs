//! As root, which alone may give files away.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, XattrFlags, getxattr, mkdirat, mknodat, openat, setxattr};

use super::{FOLDER, Ids, copy};

const FIRST: u32 = 700_000;

fn user(id: u32) -> Option<u32> {
    (id < 1000).then(|| FIRST + id)
}

fn group(id: u32) -> Option<u32> {
    (id < 2000).then(|| FIRST + 100_000 + id)
}

/// A scratch folder with the empty folder `from`; `None` where files cannot be given away.
fn scratch() -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("from")).unwrap();
    std::os::unix::fs::chown(folder.path().join("from"), Some(1), Some(2)).is_ok().then_some(folder)
}

fn run(folder: &Path) -> std::io::Result<()> {
    for name in ["to", "links"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let open = |name: &str| OwnedFd::from(File::open(folder.join(name)).unwrap());
    let ids = Ids { user: &user, group: &group };
    copy(open("from").as_fd(), open("to").as_fd(), open("links").as_fd(), ids)
}

fn own(path: &Path, uid: u32, gid: u32, mode: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).unwrap();
    if !path.is_symlink() {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1000];
    let length = getxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

#[test]
fn every_kind_of_file_is_copied_with_its_attributes() {
    let Some(folder) = scratch() else { return };
    let from = folder.path().join("from");
    fs::create_dir_all(from.join("a/b")).unwrap();
    fs::write(from.join("a/b/file"), "content").unwrap();
    fs::write(from.join("set-id"), "x").unwrap();
    symlink("/etc/passwd", from.join("link")).unwrap();
    for (name, kind, device) in [
        ("whiteout", FileType::CharacterDevice, rustix::fs::makedev(0, 0)),
        ("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        ("fifo", FileType::Fifo, 0),
        ("socket", FileType::Socket, 0),
    ] {
        let mode = Mode::from_raw_mode(0o640);
        mknodat(CWD, from.join(name), kind, mode, device).unwrap();
    }
    setxattr(from.join("a/b/file"), "user.colour", b"red", XattrFlags::empty()).unwrap();
    let opaque = setxattr(from.join("a"), "trusted.overlay.opaque", b"y", XattrFlags::empty()).is_ok();
    own(&from.join("a/b/file"), 33, 34, 0o640);
    own(&from.join("set-id"), 0, 0, 0o6755);
    own(&from.join("link"), 5, 6, 0);
    own(&from.join("fifo"), 7, 8, 0o620);
    own(&from.join("a/b"), 9, 10, 0o3777);
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    for name in ["a/b/file", "a/b", "a", "."] {
        File::open(from.join(name)).unwrap().set_modified(long_ago).unwrap();
    }
    let before = fs::metadata("/etc/passwd").unwrap().uid();
    run(folder.path()).unwrap();

    let to = folder.path().join("to");
    let owner = |name: &str| {
        let metadata = fs::symlink_metadata(to.join(name)).unwrap();
        (metadata.uid() - FIRST, metadata.gid() - FIRST - 100_000, metadata.mode() & 0o7777)
    };
    assert_eq!(owner("."), (1, 2, fs::metadata(&from).unwrap().mode() & 0o7777));
    assert_eq!(owner("a/b/file"), (33, 34, 0o640));
    assert_eq!(owner("set-id"), (0, 0, 0o6755));
    assert_eq!((owner("link").0, owner("link").1), (5, 6));
    assert_eq!(owner("fifo"), (7, 8, 0o620));
    assert_eq!(owner("a/b"), (9, 10, 0o3777));
    assert_eq!(fs::metadata("/etc/passwd").unwrap().uid(), before, "no link is followed");
    assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(fs::read_to_string(to.join("a/b/file")).unwrap(), "content");
    assert_eq!(xattr(&to.join("a/b/file"), "user.colour").unwrap(), b"red");
    if opaque {
        assert_eq!(xattr(&to.join("a"), "trusted.overlay.opaque").unwrap(), b"y");
    }
    for (name, device) in [("whiteout", (0, 0)), ("null", (1, 3))] {
        let metadata = fs::symlink_metadata(to.join(name)).unwrap();
        assert!(metadata.file_type().is_char_device(), "{name}");
        let found = metadata.rdev();
        assert_eq!((rustix::fs::major(found), rustix::fs::minor(found)), device);
    }
    assert!(fs::symlink_metadata(to.join("fifo")).unwrap().file_type().is_fifo());
    assert!(fs::symlink_metadata(to.join("socket")).unwrap().file_type().is_socket());
    for name in ["a/b/file", "a/b", "a", "."] {
        assert_eq!(fs::metadata(to.join(name)).unwrap().modified().unwrap(), long_ago, "{name}");
    }
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let Some(folder) = scratch() else { return };
    let from = folder.path().join("from");
    fs::create_dir(from.join("d")).unwrap();
    fs::write(from.join("one"), "x").unwrap();
    fs::hard_link(from.join("one"), from.join("d/two")).unwrap();
    fs::hard_link(from.join("one"), folder.path().join("elsewhere")).unwrap();
    symlink("nowhere", from.join("link")).unwrap();
    fs::hard_link(from.join("link"), from.join("d/link")).unwrap();
    run(folder.path()).unwrap();
    let number = |name: &str| fs::symlink_metadata(folder.path().join("to").join(name)).unwrap().ino();
    assert_eq!(number("one"), number("d/two"));
    assert_eq!(number("link"), number("d/link"));
    assert_ne!(number("one"), fs::metadata(folder.path().join("elsewhere")).unwrap().ino());
}

#[test]
fn file_capabilities_count_for_the_container_s_root() {
    let Some(folder) = scratch() else { return };
    let from = folder.path().join("from");
    // CAP_NET_RAW, permitted and effective: of version 2, and of version 3 for a root of the image's own.
    let second = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let third = |root: u32| -> Vec<u8> {
        let mut value = second.to_vec();
        value[3] = 3;
        value.extend_from_slice(&root.to_le_bytes());
        value
    };
    for (name, value) in [("two", second.to_vec()), ("three", third(5)), ("lost", third(5000))] {
        fs::write(from.join(name), name).unwrap();
        if setxattr(from.join(name), "security.capability", &value, XattrFlags::empty()).is_err() {
            return;
        }
    }
    run(folder.path()).unwrap();
    let found = |name: &str| xattr(&folder.path().join("to").join(name), "security.capability");
    assert_eq!(found("two"), Some(third(FIRST)));
    assert_eq!(found("three"), Some(third(FIRST + 5)));
    assert_eq!(found("lost"), None);
}

#[test]
fn acls_name_the_container_s_users_and_groups() {
    let Some(folder) = scratch() else { return };
    let file = folder.path().join("from/file");
    fs::write(&file, "x").unwrap();
    let entry = |tag: u16, rights: u16, id: u32| {
        [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let none = u32::MAX;
    let acl = |user: u32, group: u32, stranger: Option<u32>| {
        let mut value = vec![2, 0, 0, 0];
        value.extend(entry(0x01, 6, none));
        value.extend(entry(0x02, 4, user));
        value.extend(stranger.map(|id| entry(0x02, 4, id)).unwrap_or_default());
        value.extend(entry(0x04, 4, none));
        value.extend(entry(0x08, 6, group));
        value.extend(entry(0x10, 6, none));
        value.extend(entry(0x20, 0, none));
        value
    };
    let name = "system.posix_acl_access";
    if setxattr(&file, name, &acl(20, 1500, Some(3000)), XattrFlags::empty()).is_err() {
        return;
    }
    run(folder.path()).unwrap();
    let found = xattr(&folder.path().join("to/file"), name);
    assert_eq!(found, Some(acl(FIRST + 20, FIRST + 101_500, None)));
    assert_eq!(fs::metadata(folder.path().join("to/file")).unwrap().mode() & 0o777, 0o660);
}

#[test]
fn holes_stay_holes() {
    let Some(folder) = scratch() else { return };
    let file = File::create(folder.path().join("from/sparse")).unwrap();
    file.set_len(64 << 20).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(b"middle", 32 << 20).unwrap();
    run(folder.path()).unwrap();
    let copy = File::open(folder.path().join("to/sparse")).unwrap();
    let metadata = copy.metadata().unwrap();
    assert_eq!(metadata.len(), 64 << 20);
    assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
    let mut found = [0; 6];
    copy.read_exact_at(&mut found, 32 << 20).unwrap();
    assert_eq!(&found, b"middle");
}

#[test]
fn an_owner_whom_the_container_does_not_know_is_named() {
    let Some(folder) = scratch() else { return };
    let from = folder.path().join("from");
    fs::create_dir(from.join("deep")).unwrap();
    fs::write(from.join("deep/file"), "x").unwrap();
    own(&from.join("deep/file"), 1000, 0, 0o644);
    let said = run(folder.path()).unwrap_err().to_string();
    assert!(said.contains("/deep/file: it belongs to user 1000"), "{said}");
}

#[test]
fn a_very_deep_folder_takes_no_more_descriptors_than_a_flat_one() {
    let Some(folder) = scratch() else { return };
    let from = folder.path().join("from");
    let mut here: OwnedFd = File::open(&from).unwrap().into();
    let name = CString::new("d").unwrap();
    for _ in 0..3000 {
        mkdirat(&here, &name, Mode::from_raw_mode(0o700)).unwrap();
        here = openat(&here, &name, FOLDER, Mode::empty()).unwrap();
    }
    let highest = here.as_raw_fd();
    run(folder.path()).unwrap();
    let mut here: OwnedFd = File::open(folder.path().join("to")).unwrap().into();
    for _ in 0..3000 {
        here = openat(&here, &name, FOLDER, Mode::empty()).unwrap();
    }
    assert!(here.as_raw_fd() < highest + 100);
    drop(here);
    for name in ["from", "to"] {
        let top: OwnedFd = File::open(folder.path()).unwrap().into();
        crate::unpack::remove::tree(top.as_fd(), name.as_bytes()).unwrap();
    }
}
