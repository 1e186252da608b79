//! Archives that want out, or want too much: each is refused with an error that names the entry, and nothing beside the
//! folder is touched.

#![allow(clippy::unwrap_used, reason = "tests fail by it")]

mod support;

use bulkhead_image::{ImageError, Limits};
use proptest::prelude::*;
use support::{Jail, Tar};
use tar::EntryType;

#[test]
fn entries_that_point_out_are_refused_by_name() {
    for name in ["../sentinel/new", "a/../../sentinel/file", "..", "./..", "/../x"] {
        let error = Jail::new().unpack(&Tar::new().file(name, b"bad").bytes()).unwrap_err();
        assert!(matches!(&error, ImageError::Entry { entry, .. } if entry == name), "{name}: {error}");
    }
}

#[test]
fn absolute_names_stay_inside() {
    let jail = Jail::new();
    jail.unpack(&Tar::new().file("/etc/passwd", b"mine").bytes()).unwrap();
    assert_eq!(std::fs::read(jail.path().join("etc/passwd")).unwrap(), b"mine");
}

#[test]
fn nothing_is_written_through_links() {
    let jail = Jail::new();
    let outside = jail.outside.path().join("sentinel").to_str().unwrap().to_owned();
    for target in
        ["../sentinel", "../../../../../../../../tmp", outside.as_str(), "/proc/self/cwd", "/proc/self/root"]
    {
        let archive = Tar::new()
            .symlink("link", target)
            .file("link/new", b"bad")
            .file("link/file", b"bad")
            .symlink("final", &format!("{target}/file"))
            .file("final", b"bad")
            .directory("link/", 0o777)
            .bytes();
        jail.unpack(&archive).unwrap();
    }
}

#[test]
fn hard_links_reach_only_this_layers_files() {
    let jail = Jail::new();
    let outside = jail.outside.path().join("sentinel/file").to_str().unwrap().to_owned();
    for target in ["../sentinel/file", "a/../../sentinel/file", &outside, "/etc/passwd", "link/file", "", "/"]
    {
        let archive = Tar::new().symlink("link", "../sentinel").hard_link("new", target).bytes();
        let error = jail.unpack(&archive).unwrap_err().to_string();
        assert!(error.contains("\"new\"") && error.contains("hard link"), "{target}: {error}");
    }
    let through = Tar::new().symlink("s", &outside).hard_link("new", "s").file("new", b"bad").bytes();
    jail.unpack(&through).unwrap();
}

#[test]
fn marks_of_overlayfs_cannot_be_forged() {
    let refused = |tar: Tar| Jail::new().unpack(&tar.bytes()).unwrap_err().to_string();
    assert!(refused(Tar::new().device(EntryType::Char, "x", 0, 0)).contains(".wh."));
    assert!(refused(Tar::new().file(".wh.x", b"").hard_link("y", "x")).contains("doesn't hold"));
    for name in [".wh.", ".wh..", ".wh...", "a/.wh.b/c"] {
        assert!(refused(Tar::new().file(name, b"")).contains(".wh."), "{name}");
    }
}

#[test]
fn broken_entries_are_refused() {
    let refused = |tar: Tar| Jail::new().unpack(&tar.bytes()).unwrap_err().to_string();
    assert!(refused(Tar::new().directory("./", 0o755).file(".", b"x")).contains("it would replace"));
    assert!(
        refused(Tar::new().entry(EntryType::new(b'Z'), "x", "", b"", |_| {})).contains("type is unknown")
    );
    assert!(refused(Tar::new().file("f", b"").file("f/below", b"")).contains("not a directory"));
    assert!(refused(Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b"")).contains("loop"));
    assert!(refused(Tar::new().symlink("a", "")).contains("to nothing"));
    assert!(refused(Tar::new().directory("d/", 0o755).hard_link("x", "d")).contains("directory"));
    assert!(refused(Tar::new().pax(&[("uid", b"4294967295")]).file("x", b"")).contains("4294967295"));
    assert!(refused(Tar::new().pax(&[("path", &[b'a'; 5000])]).file("x", b"")).contains("4095"));
    assert!(
        refused(Tar::new().pax(&[("SCHILY.xattr.user.a", &[0; 70_000])]).file("x", b""))
            .contains("too large")
    );
    assert!(
        refused(Tar::new().entry(EntryType::Regular, "x", "", b"", |h| h.as_old_mut().uid = *b"9999999\0"))
            .contains("octal")
    );
    assert!(
        refused(Tar::new().file(&"n".repeat(90), b"").pax(&[("path", &[b'n'; 300])]).file("x", b""))
            .contains("nnn")
    );
}

#[test]
fn damaged_streams_are_refused() {
    let archive = Tar::new().file("a", &[1; 2000]).bytes();
    for length in [1, 511, 513, 1500, 2048 + 100] {
        let error = Jail::new().unpack(&archive[..length]).unwrap_err();
        assert!(matches!(error, ImageError::Truncated(_)), "{length}: {error}");
    }
    let mut flipped = archive.clone();
    flipped[10] ^= 1;
    assert!(Jail::new().unpack(&flipped).unwrap_err().to_string().contains("checksum"));
    let mut gap = vec![0; 512];
    gap.extend_from_slice(&archive);
    assert!(Jail::new().unpack(&gap).unwrap_err().to_string().contains("zeros"));
}

#[test]
fn bombs_stop_at_the_limits() {
    let refused = |tar: Tar, limits: &Limits| {
        let error = Jail::new().unpack_with(&tar.bytes(), limits).unwrap_err();
        assert!(matches!(error, ImageError::Limit(_)), "{error}");
    };
    let many = (0..20).fold(Tar::new(), |tar, n| tar.file(&n.to_string(), b""));
    refused(many, &Limits { max_entries: 10, ..Limits::default() });
    let deep = Tar::new().file(&"a/".repeat(40), b"").file(&format!("{}x", "a/".repeat(40)), b"");
    refused(deep, &Limits { max_entries: 30, ..Limits::default() });
    refused(Tar::new().file("a", &[0; 5000]), &Limits { max_bytes: 4000, ..Limits::default() });
    // A size that is only claimed costs nothing.
    let claimed = Tar::new().entry(EntryType::Regular, "x", "", b"", |h| h.set_size(1 << 50));
    refused(claimed, &Limits::default());
    let mut padded = Tar::new().file("a", b"").bytes();
    padded.resize(100_000, 0);
    let error =
        Jail::new().unpack_with(&padded, &Limits { max_bytes: 50_000, ..Limits::default() }).unwrap_err();
    assert!(matches!(error, ImageError::Limit(_)), "{error}");
}

/// Names that go up, down and through links, in every kind of entry.
fn step() -> impl Strategy<Value = (u8, String, String)> {
    let name = "(/|\\.\\./|\\./){0,2}[ab](/([ab]|\\.\\.|\\.wh\\.a|\\.wh\\.\\.wh\\.\\.opq)){0,3}";
    let target = prop_oneof![
        name.prop_map(|name| name),
        Just("../sentinel".to_owned()),
        Just("../../sentinel/file".to_owned()),
        Just("/proc/self/cwd".to_owned()),
    ];
    (0u8..6, name, target)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_sequence_of_entries_gets_out(steps in prop::collection::vec(step(), 1..14)) {
        let jail = Jail::new();
        let mut whole = Tar::new();
        for (kind, name, target) in steps {
            let add = |tar: Tar| match kind {
                0 => tar.file(&name, b"bad"),
                1 => tar.directory(&format!("{name}/"), 0o777),
                2 | 3 => tar.symlink(&name, &target),
                4 => tar.hard_link(&name, &target),
                _ => tar.entry(EntryType::Fifo, &name, "", b"", |_| {}),
            };
            // Alone, so that one refused entry doesn't hide what later ones do; and all of them in one archive.
            let _ = jail.unpack(&add(Tar::new()).bytes());
            whole = add(whole);
        }
        let _ = Jail::new().unpack(&whole.bytes());
    }

    #[test]
    fn damaged_archives_are_read_or_refused(at in 0usize..4096, value: u8) {
        let mut archive = Tar::new()
            .pax(&[("path", b"a/b"), ("SCHILY.xattr.user.x", b"y")])
            .file("x", b"content")
            .symlink("l", "a")
            .hard_link("h", "a/b")
            .bytes();
        let at = at % archive.len();
        archive[at] = value;
        let _ = Jail::new().unpack(&archive);
    }
}
