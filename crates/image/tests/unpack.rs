//! What well-meant archives become on disk.

#![allow(clippy::unwrap_used, reason = "tests fail by it")]

mod support;

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use bulkhead_image::Limits;
use support::{Jail, Tar, xattr};
use tar::EntryType;

#[test]
fn files_links_and_folders_keep_what_the_archive_says() {
    let jail = Jail::new();
    let archive = Tar::new()
        .directory("./", 0o751)
        .directory("ro/", 0o555)
        .file("ro/inside", b"hello")
        .entry(EntryType::Regular, "suid", "", b"x", |header| {
            header.set_mode(0o104_755);
            header.set_uid(1000);
            header.set_gid(2000);
        })
        .symlink("link", "/etc/../../anything")
        .hard_link("hard", "/ro/inside")
        .entry(EntryType::Fifo, "fifo", "", b"", |_| {})
        .file("implied/deeper/file", b"")
        .bytes();
    let unpacked = jail.unpack(&archive).unwrap();
    assert_eq!((unpacked.size, unpacked.entries), (6, 10));
    assert_eq!(unpacked.highest.id, 2000);
    assert_eq!(unpacked.tar_size, archive.len() as u64);
    let stat = |name: &str| jail.path().join(name).symlink_metadata().unwrap();
    assert_eq!(stat("").mode() & 0o7777, 0o751);
    assert_eq!(stat("ro").mode() & 0o7777, 0o555);
    assert_eq!(stat("ro").mtime(), 1000);
    let suid = stat("suid");
    assert_eq!((suid.mode() & 0o7777, suid.uid(), suid.gid(), suid.mtime()), (0o4755, 1000, 2000, 1000));
    assert_eq!(jail.path().join("link").read_link().unwrap().as_os_str(), "/etc/../../anything");
    assert_eq!(stat("hard").ino(), stat("ro/inside").ino());
    assert_eq!(std::fs::read(jail.path().join("hard")).unwrap(), b"hello");
    assert!(stat("fifo").file_type().is_fifo());
    assert_eq!(stat("implied/deeper").mode() & 0o7777, 0o755);
}

#[test]
fn pax_records_win_over_the_header() {
    let jail = Jail::new();
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(200));
    let archive = Tar::new()
        .pax(&[
            ("path", long.as_bytes()),
            ("mtime", b"-1.5"),
            ("uid", b"4294967294"),
            ("SCHILY.xattr.user.note", b"a\0b\n"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.security.selinux", b"x"),
        ])
        .file("short", b"x")
        .long(&format!("gnu/{}", "g".repeat(180)), b"y")
        .bytes();
    let unpacked = jail.unpack(&archive).unwrap();
    let path = jail.path().join(&long);
    let stat = path.metadata().unwrap();
    assert_eq!((stat.mtime(), stat.mtime_nsec(), stat.uid()), (-2, 500_000_000, u32::MAX - 1));
    assert_eq!(xattr(&path, "user.note").unwrap(), b"a\0b\n");
    for name in ["trusted.overlay.opaque", "user.overlay.opaque", "security.selinux"] {
        assert_eq!(xattr(&path, name), None, "{name}");
    }
    assert_eq!(unpacked.skipped_xattrs, 3);
    assert!(jail.path().join("gnu").join("g".repeat(180)).exists());
}

#[test]
fn capabilities_survive_the_change_of_owner() {
    let jail = Jail::new();
    // VFS_CAP_REVISION_2, cap_net_raw permitted.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let archive = Tar::new()
        .pax(&[("SCHILY.xattr.security.capability", &capability)])
        .entry(EntryType::Regular, "ping", "", b"x", |header| header.set_uid(5))
        .bytes();
    jail.unpack(&archive).unwrap();
    assert_eq!(xattr(&jail.path().join("ping"), "security.capability").unwrap(), capability);
}

#[test]
fn removals_become_overlayfs_marks() {
    let jail = Jail::new();
    let archive = Tar::new()
        .file("a/.wh.gone", b"")
        .file("b/.wh..wh..opq", b"")
        .file("b/new", b"x")
        // The same layer's own files stay; a directory that is removed and made anew hides what was in it.
        .file("c/file", b"kept")
        .file("c/.wh.file", b"")
        .file(".wh.d1", b"")
        .directory("d1/", 0o755)
        .directory("d2/", 0o755)
        .file(".wh.d2", b"")
        .file(".wh.d3", b"")
        .file("d3/implied", b"")
        .file(".wh.back", b"")
        .file("back", b"again")
        .file(".wh..wh.plnk/1.2", b"aufs")
        .bytes();
    jail.unpack(&archive).unwrap();
    let path = |name: &str| jail.path().join(name);
    let gone = path("a/gone").symlink_metadata().unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    for name in ["b", "d1", "d2", "d3"] {
        assert_eq!(xattr(&path(name), "trusted.overlay.opaque").as_deref(), Some(&b"y"[..]), "{name}");
    }
    assert_eq!(xattr(&path("a"), "trusted.overlay.opaque"), None);
    assert_eq!(std::fs::read(path("c/file")).unwrap(), b"kept");
    assert_eq!(std::fs::read(path("back")).unwrap(), b"again");
    assert!(!path(".wh..wh.plnk").exists());
}

#[test]
fn later_entries_replace_earlier_ones() {
    let jail = Jail::new();
    let archive = Tar::new()
        .file("a", b"first")
        .file("a", b"second")
        .file("dir/x/y", b"1")
        .file("dir", b"now a file")
        .file("file", b"1")
        .directory("file/", 0o700)
        .file("file/in", b"2")
        .directory("twice/", 0o700)
        .file("twice/kept", b"3")
        .directory("twice/", 0o711)
        .symlink("link", "twice")
        .file("link", b"not through the link")
        .hard_link("self", "self2")
        .bytes();
    assert!(jail.unpack(&archive).unwrap_err().to_string().contains("doesn't hold"));
    let read = |name: &str| std::fs::read_to_string(jail.path().join(name)).unwrap();
    assert_eq!(
        (read("a"), read("dir"), read("file/in"), read("twice/kept")),
        ("second".into(), "now a file".into(), "2".into(), "3".into())
    );
    assert_eq!(read("link"), "not through the link");
}

#[test]
fn links_of_the_archive_are_followed_inside_of_it() {
    let jail = Jail::new();
    let archive = Tar::new()
        .directory("usr/", 0o755)
        .directory("usr/bin/", 0o755)
        .symlink("bin", "/usr/bin")
        .symlink("up", "../../../usr")
        .symlink("chain", "up/bin")
        .file("bin/a", b"a")
        .file("chain/b", b"b")
        .hard_link("bin/c", "up/bin/a")
        .symlink("dangling", "made/here")
        .file("dangling/d", b"d")
        .bytes();
    jail.unpack(&archive).unwrap();
    for (name, content) in [("usr/bin/a", "a"), ("usr/bin/b", "b"), ("usr/bin/c", "a"), ("made/here/d", "d")]
    {
        assert_eq!(std::fs::read_to_string(jail.path().join(name)).unwrap(), content);
    }
}

#[test]
fn devices_are_made_and_sizes_of_header_only_entries_are_read_over() {
    let jail = Jail::new();
    let archive =
        Tar::new().device(EntryType::Char, "null", 1, 3).device(EntryType::Block, "loop", 7, 0).bytes();
    match jail.unpack(&archive) {
        Ok(_) => {
            let null = jail.path().join("null").symlink_metadata().unwrap();
            assert_eq!((null.file_type().is_char_device(), null.rdev()), (true, rustix::fs::makedev(1, 3)));
        }
        // Not everywhere may root make devices.
        Err(error) => assert!(error.to_string().contains("null"), "{error}"),
    }
}

#[test]
fn no_end_mark_no_content_and_long_ends_are_fine() {
    let jail = Jail::new();
    assert_eq!(jail.unpack(b"").unwrap().entries, 0);
    assert_eq!(jail.unpack(&[0; 1024]).unwrap().tar_size, 1024);
    assert_eq!(jail.unpack(&[0; 10240]).unwrap().tar_size, 10240);
    let mut archive = Tar::new().file("a", b"x").bytes();
    archive.truncate(1024);
    assert_eq!(jail.unpack(&archive).unwrap().entries, 1);
}

/// A sparse file as GNU tar writes it, in each of its formats; skipped where there is no GNU tar.
#[test]
fn sparse_files_keep_their_holes() {
    let source = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(source.path().join("sparse")).unwrap();
    let size = 8 << 20;
    file.set_len(size).unwrap();
    // Many parts, so that the old format needs extension blocks.
    for part in 0..40u64 {
        std::os::unix::fs::FileExt::write_all_at(&file, &[7; 5000], part * 200_000).unwrap();
    }
    for format in [
        &["--format=gnu"][..],
        &["--format=pax", "--sparse-version=0.0"],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=1.0"],
    ] {
        let output = std::process::Command::new("tar")
            .args(format)
            .args(["-S", "-c", "-C"])
            .arg(source.path())
            .arg("sparse")
            .output();
        let Ok(output) = output else { return };
        assert!(output.status.success());
        assert!((output.stdout.len() as u64) < size / 2, "{format:?}");
        let jail = Jail::new();
        let unpacked = jail.unpack(&output.stdout).unwrap();
        assert_eq!(unpacked.size, size, "{format:?}");
        let (copy, original) = (jail.path().join("sparse"), source.path().join("sparse"));
        assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(original).unwrap(), "{format:?}");
        assert!(copy.metadata().unwrap().blocks() * 512 < size / 2, "{format:?}");
    }
}

#[test]
fn more_directories_than_memory_is_given_keep_their_modes() {
    let jail = Jail::new();
    let mut tar = Tar::new();
    for n in 0..12_000 {
        tar = tar.directory(&format!("{n:0>80}/"), 0o700 + n % 8);
    }
    let unpacked = jail.unpack_with(&tar.bytes(), &Limits::default()).unwrap();
    assert_eq!(unpacked.entries, 12_000);
    for n in [0u32, 1, 5_999, 11_999] {
        let stat = jail.path().join(format!("{n:0>80}")).metadata().unwrap();
        assert_eq!((stat.mode() & 0o7777, stat.mtime()), (0o700 + n % 8, 1000));
    }
}
