//! Several who edit at once, and edits that fail half way.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::*;

#[test]
fn modes_stay() {
    let root = Root::usual();
    let path = |file| root.etc().folder().join(file);
    std::fs::set_permissions(path("subuid"), PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::set_permissions(path("subgid"), PermissionsExt::from_mode(0o664)).unwrap();
    root.etc().record("a", range(1, 1)).unwrap();
    assert_eq!((root.mode("subuid"), root.mode("subgid")), (0o600, 0o664));
    assert_eq!(root.all().len(), 4);
}

/// With such a list the group's bits of the mode are its mask: without the list they would be the group's
/// rights.
#[test]
fn access_control_lists_stay() {
    let root = Root::usual();
    let path = root.etc().folder().join("subuid");
    let mut list = 2u32.to_le_bytes().to_vec();
    // The owner, user 1000, the group, the mask, others (acl(5)).
    for (tag, rights, id) in
        [(1u16, 6u16, u32::MAX), (2, 4, 1000), (4, 0, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)]
    {
        list.extend(tag.to_le_bytes().into_iter().chain(rights.to_le_bytes()).chain(id.to_le_bytes()));
    }
    let name = "system.posix_acl_access";
    match rustix::fs::setxattr(&path, name, &list, rustix::fs::XattrFlags::empty()) {
        // Not every file system has them.
        Err(rustix::io::Errno::OPNOTSUPP) => return,
        set => set.unwrap(),
    }
    assert_eq!(root.mode("subuid"), 0o640);
    root.etc().record("a", range(1, 1)).unwrap();
    let mut now = vec![0; 1000];
    let length = rustix::fs::getxattr(&path, name, &mut now[..]).unwrap();
    assert_eq!((&now[..length], root.mode("subuid")), (&list[..], 0o640));
    assert!(root.text("subuid").ends_with("\na:1:1\n"));
}

#[test]
fn links_stay_and_what_they_lead_to_changes() {
    let root = Root::usual();
    let elsewhere = root.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("ids"), "docker:100000:65536").unwrap();
    let link = root.etc().folder().join("subuid");
    std::fs::remove_file(&link).unwrap();
    symlink("../elsewhere/ids", &link).unwrap();
    root.etc().ensure_ranges("bulkhead", 65536).unwrap();
    assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("../elsewhere/ids"));
    let ids = std::fs::read_to_string(elsewhere.join("ids")).unwrap();
    assert_eq!(ids, "docker:100000:65536\nbulkhead:165536:65536\n");
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 1);

    std::fs::remove_file(elsewhere.join("ids")).unwrap();
    let error = root.refused(|etc| etc.ensure_ranges("other", 65536));
    assert!(error.contains("symbolic link"), "{error}");
    assert!(!elsewhere.join("ids").exists());
}

#[test]
fn what_is_no_file_is_refused() {
    let root = Root::usual();
    std::fs::remove_file(root.etc().folder().join("subgid")).unwrap();
    std::fs::create_dir(root.etc().folder().join("subgid")).unwrap();
    root.refused(|etc| etc.ensure_ranges("bulkhead", 65536));
    root.refused(|etc| etc.record("bulkhead", range(1, 1)));
}

#[test]
fn what_a_killed_edit_left_is_no_hindrance() {
    let root = Root::usual();
    root.write(".subuid.bulkhead-new", "half of it");
    symlink("/nonexistent/elsewhere", root.etc().folder().join(".subgid.bulkhead-new")).unwrap();
    root.etc().ensure_ranges("bulkhead", 65536).unwrap();
    assert_eq!(root.all().len(), 4);
    assert!(root.text("subuid").ends_with("\nbulkhead:165536:65536\n"));
}

/// Threads and processes: each adds lines of its own and asks for a range.
#[test]
fn editors_at_once_lose_nothing_and_overlap_nowhere() {
    let root = Root::usual();
    let folder = root.etc().folder().to_owned();
    let mut children: Vec<_> =
        (0..3).map(|_| again("editors::child_adds", folder.as_os_str()).spawn().unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let etc = root.etc();
            scope.spawn(move || add(&etc, &format!("thread{thread}")));
        }
    });
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    for kind in [crate::accounts::Kind::Users, crate::accounts::Kind::Groups] {
        let entries = root.etc().subordinate(kind).unwrap();
        assert_eq!(entries.len(), 1 + 6 * 8);
        let ensured = || entries.iter().filter(|entry| entry.owner.ends_with('r'));
        assert_eq!(ensured().count(), 1 + 6 * 4);
        for (position, entry) in ensured().enumerate() {
            assert!(ensured().skip(position + 1).all(|other| !entry.range.overlaps(other.range)));
        }
    }
    assert_eq!(root.all().len(), 4);
}

fn add(etc: &Etc, who: &str) {
    for turn in 0..4 {
        etc.record(&format!("{who}-{turn}-recorded"), range(turn + 1, 1)).unwrap();
        etc.ensure_ranges(&format!("{who}-{turn}-r"), 65536).unwrap();
    }
}

#[test]
#[ignore = "a part of another test, in a process of its own"]
fn child_adds() {
    if let Some(folder) = std::env::var_os("ACCOUNTS_TEST") {
        add(&Etc::at(folder), &format!("process{}", std::process::id()));
    }
}

/// Several at once who all want the same: it is made once.
#[test]
fn the_same_wish_at_once_is_fulfilled_once() {
    let root = Root::usual();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let etc = root.etc();
            scope.spawn(move || crate::accounts::remap::resolve(&etc, "default").unwrap());
        }
    });
    for file in ["passwd", "group", "subuid", "subgid"] {
        assert_eq!(root.text(file).matches("bulkhead").count(), 1, "{file}");
    }
}

/// A program in a mount namespace of its own; `None` where one cannot be had.
fn in_own_mounts(script: &str, test: &str, root: &Root) -> Option<std::process::Output> {
    let possible = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let program = again(test, root.etc().folder().as_os_str());
    let mut outer = Command::new("unshare");
    outer.args([
        "--map-root-user",
        "--mount",
        "sh",
        "-ec",
        &format!("cd \"$ACCOUNTS_TEST\"; {script}; exec \"$@\""),
    ]);
    outer.arg("sh").arg(program.get_program()).args(program.get_args());
    outer.env("ACCOUNTS_TEST", root.etc().folder());
    Some(outer.output().unwrap())
}

/// A file that is a mount point cannot be renamed over: by then the first one has been replaced.
#[test]
fn the_first_file_is_put_back_if_the_second_cannot_be_replaced() {
    let root = Root::usual();
    std::fs::set_permissions(root.etc().folder().join("subuid"), PermissionsExt::from_mode(0o640)).unwrap();
    let before = root.all();
    if let Some(output) = in_own_mounts("mount --bind subgid subgid", "editors::child_is_refused", &root) {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("replace ") && said.contains("subgid"), "{said}");
        assert_eq!(root.all(), before);
        assert_eq!(root.mode("subuid"), 0o640);
        std::fs::remove_file(root.etc().folder().join("subuid")).unwrap();
        in_own_mounts("mount --bind subgid subgid", "editors::child_is_refused", &root).unwrap();
        assert!(!root.etc().folder().join("subuid").exists());
    }
}

#[test]
fn a_read_only_etc_is_refused_if_there_is_something_to_do() {
    let root = Root::usual();
    let before = root.all();
    let read_only = "mount --bind . . && mount -o remount,bind,ro . && cd \"$PWD\"";
    if let Some(output) = in_own_mounts(read_only, "editors::child_is_refused", &root) {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.to_lowercase().contains("read-only"), "{said}");
        assert_eq!(root.all(), before);
        root.etc().ensure_ranges("bulkhead", 65536).unwrap();
        let output = in_own_mounts(read_only, "editors::child_is_served", &root).unwrap();
        assert!(output.status.success());
    }
}

#[test]
#[ignore = "a part of other tests, in a process of its own"]
fn child_is_refused() {
    if let Some(folder) = std::env::var_os("ACCOUNTS_TEST") {
        let error = Etc::at(folder).ensure_ranges("bulkhead", 65536).unwrap_err();
        // Not captured by the test harness, as print would be.
        use std::io::Write;
        std::io::stderr().write_all(error.to_string().as_bytes()).unwrap();
    }
}

#[test]
#[ignore = "a part of another test, in a process of its own"]
fn child_is_served() {
    if let Some(folder) = std::env::var_os("ACCOUNTS_TEST") {
        Etc::at(folder).ensure_ranges("bulkhead", 65536).unwrap();
    }
}
