//! Accounts made for services.

use super::*;

fn made(root: &Root, name: &str) -> (u32, u32) {
    let account = root.etc().ensure_system_user(name).unwrap();
    assert_eq!(account.name, name);
    (account.uid, account.gid)
}

#[test]
fn user_and_group_get_the_highest_id_that_both_have_free() {
    let root = Root::usual();
    // 999 is a group's and 998 a user's.
    assert_eq!(made(&root, "bulkhead"), (997, 997));
    assert!(root.text("passwd").ends_with("\nbulkhead:*:997:997::/nonexistent:/bin/false\n"));
    assert!(root.text("group").ends_with("\nbulkhead:*:997:\n"));
    let before = root.all();
    assert_eq!(made(&root, "bulkhead"), (997, 997));
    assert_eq!(root.all(), before);
    assert_eq!(made(&root, "bulkhead-auto"), (996, 996));
}

#[test]
fn its_password_is_locked_and_its_shell_ends_at_once() {
    let root = Root::usual();
    root.write("shadow", "root:*:19000:0:99999:7:::");
    root.write("gshadow", "root:*::\n");
    std::fs::create_dir_all(root.folder.path().join("usr/sbin")).unwrap();
    std::fs::write(root.folder.path().join("usr/sbin/nologin"), "").unwrap();
    std::fs::set_permissions(root.etc().folder().join("shadow"), PermissionsExt::from_mode(0o600)).unwrap();
    made(&root, "bulkhead");
    assert!(root.text("passwd").ends_with("\nbulkhead:x:997:997::/nonexistent:/usr/sbin/nologin\n"));
    assert!(root.text("group").ends_with("\nbulkhead:x:997:\n"));
    let shadow = root.text("shadow");
    let entry: Vec<_> = shadow.lines().nth(1).unwrap().split(':').collect();
    assert_eq!((entry[0], entry[1], entry.len()), ("bulkhead", "!*", 9));
    assert_eq!(root.text("gshadow"), "root:*::\nbulkhead:!*::\n");
    assert_eq!(root.mode("shadow"), 0o600);
}

#[test]
fn what_is_there_is_taken_as_it_is() {
    let root = Root::usual();
    root.write("passwd", "root:x:0:0::/root:/bin/sh\nbulkhead:x:1234:50::/:/bin/sh\n");
    assert_eq!(made(&root, "bulkhead"), (1234, 50));
    assert!(root.text("group").ends_with("\nbulkhead:*:998:\n"), "{}", root.text("group"));
    assert_eq!(root.text("passwd").lines().count(), 2);

    let root = Root::usual();
    root.write("group", "bulkhead:x:77:");
    assert_eq!(made(&root, "bulkhead"), (999, 77));
    assert_eq!(root.text("group"), "bulkhead:x:77:");
}

#[test]
fn it_comes_before_the_lines_of_nis() {
    let root = Root::usual();
    root.write("passwd", "root:x:0:0::/root:/bin/sh\n+::::::\n");
    root.write("group", "+:::");
    made(&root, "bulkhead");
    let passwd = root.text("passwd");
    assert!(passwd.starts_with("root:") && passwd.ends_with(":/bin/false\n+::::::\n"), "{passwd}");
    assert_eq!(root.text("group"), "bulkhead:*:999:\n+:::");
}

#[test]
fn ids_in_somebodys_range_are_not_free() {
    let root = Root::usual();
    root.write("subuid", "broken\nalice:990:100\n");
    root.write("subgid", "alice:980:3\n");
    assert_eq!(made(&root, "bulkhead"), (989, 989));
    // Whoever had 988 would have that range.
    root.write("subgid", "988:200000:5\n");
    assert_eq!(made(&root, "another"), (987, 987));
    root.write("login.defs", "SYS_UID_MIN 1\nSYS_UID_MAX 4294967294\n");
    root.write("subuid", "alice:1000:4294966295\n");
    assert_eq!(made(&root, "other"), (997, 997));
}

#[test]
fn no_free_id_is_refused() {
    let root = Root::usual();
    root.write("login.defs", "SYS_UID_MIN 998\nSYS_UID_MAX 998\n");
    let error = root.refused(|etc| etc.ensure_system_user("bulkhead"));
    assert!(error.contains("user ID from 998 to 998") && error.contains("SYS_UID_MAX"), "{error}");
    root.write("login.defs", "SYS_GID_MIN 999\nSYS_GID_MAX 999\n");
    let error = root.refused(|etc| etc.ensure_system_user("bulkhead"));
    assert!(error.contains("group ID from 999 to 999"), "{error}");
    root.write("login.defs", "SYS_UID_MIN 500\nSYS_UID_MAX 500\nSYS_GID_MIN 600\nSYS_GID_MAX 600\n");
    assert_eq!(made(&root, "bulkhead"), (500, 600));
}

#[test]
fn broken_entries_of_that_name_are_refused() {
    let root = Root::usual();
    for (file, entry) in [
        ("passwd", "bulkhead:x:zero:0::/:"),
        ("passwd", "bulkhead"),
        ("group", "bulkhead:x:\n"),
        ("group", "bulkhead:x:0:"),
        ("passwd", "bulkhead:x:0:1::/:"),
        ("shadow", "bulkhead:$6$salt$hash:1::::::\n"),
        ("shadow", "bulkhead::1::::::\n"),
    ] {
        let root = Root::usual();
        root.write(file, format!("daemon:x:1:1::/:\n{entry}"));
        let error = root.refused(|etc| etc.ensure_system_user("bulkhead"));
        assert!(error.contains(file), "{error}");
    }
    for name in ["", "-a", "0", "Bulkhead", "a:b", "a\n", "a b", &"a".repeat(33), "ä"] {
        root.refused(|etc| etc.ensure_system_user(name));
    }
}

#[test]
fn an_entry_left_in_shadow_is_used_if_it_is_locked() {
    let root = Root::usual();
    root.write("shadow", "bulkhead:!:1::::::\n");
    made(&root, "bulkhead");
    assert_eq!(root.text("shadow"), "bulkhead:!:1::::::\n");
}

#[test]
fn user_and_ranges_come_together() {
    let root = Root::usual();
    // An ID for services as high as the ranges: the user is not in its own range.
    root.write("login.defs", "SYS_UID_MIN 165536\nSYS_UID_MAX 170000\n");
    let account = root.etc().ensure_system_user_with_ranges("bulkhead", 65536).unwrap();
    assert_eq!((account.uid, account.gid), (170_000, 998));
    assert!(root.text("subuid").ends_with("\nbulkhead:170001:65536\n"));
    assert!(root.text("subgid").ends_with("\nbulkhead:165536:65536\n"));
    let before = root.all();
    root.etc().ensure_system_user_with_ranges("bulkhead", 65536).unwrap();
    assert_eq!(root.all(), before);
}
