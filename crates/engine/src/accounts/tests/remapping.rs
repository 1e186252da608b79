//! The forms of `userns-remap`.

use super::*;
use crate::accounts::remap::{Remap, resolve};

fn with_ranges() -> Root {
    let root = Root::usual();
    root.write("subuid", "alice:300000:1000\ndocker:100000:65536\n1000:200000:500\n");
    root.write("subgid", "alice:400000:1000\nstaff:500000:10\nstaff:450000:10\n");
    root
}

#[test]
fn default_makes_all_of_it() {
    let root = Root::usual();
    let wanted = Remap {
        user: "bulkhead".into(),
        group: "bulkhead".into(),
        uids: vec![range(165_536, 65536)],
        gids: vec![range(165_536, 65536)],
    };
    assert_eq!(resolve(&root.etc(), "default").unwrap(), wanted);
    let before = root.all();
    assert_eq!(resolve(&root.etc(), "default").unwrap(), wanted);
    assert_eq!(resolve(&root.etc(), "bulkhead").unwrap(), wanted);
    assert_eq!(root.all(), before);
    assert_eq!(root.text("subuid"), "docker:100000:65536\nbulkhead:165536:65536\n");
}

#[test]
fn users_and_groups_by_name_and_number() {
    let root = with_ranges();
    let before = root.all();
    let uids = vec![range(300_000, 1000), range(200_000, 500)];
    let own = vec![range(400_000, 1000)];
    let staff = vec![range(500_000, 10), range(450_000, 10)];
    for (spec, group, gids) in [
        ("alice", "alice", &own),
        ("1000", "alice", &own),
        ("alice:alice", "alice", &own),
        ("alice:staff", "staff", &staff),
        ("1000:50", "staff", &staff),
        ("alice:50", "staff", &staff),
        ("1000:staff", "staff", &staff),
        // The group has none of its own, and subgid's owners are users.
        ("alice:ssl", "ssl", &own),
    ] {
        let wanted =
            Remap { user: "alice".into(), group: group.into(), uids: uids.clone(), gids: gids.clone() };
        assert_eq!(resolve(&root.etc(), spec).unwrap(), wanted, "{spec}");
    }
    assert_eq!(root.all(), before);
}

#[test]
fn other_forms_and_unknown_names_are_refused() {
    let root = with_ranges();
    for (spec, why) in [
        ("", "none of default, USER"),
        (":", "none of default, USER"),
        ("alice:", "none of default, USER"),
        (":staff", "none of default, USER"),
        ("alice:staff:", "none of default, USER"),
        ("a:b:c", "none of default, USER"),
        ("default:staff", "no user default"),
        ("bob", "no user bob"),
        ("1001:50", "no user 1001"),
        ("99999999999:50", "no user 99999999999"),
        ("alice:wheel", "no group wheel"),
        ("alice:51", "no group 51"),
        ("sshd", "no group sshd"),
        ("sshd:staff", "no subuid ranges found for user sshd"),
        ("root", "root has ID 0"),
        ("0", "root has ID 0"),
        ("0:50", "root has ID 0"),
        ("alice:root", "root has ID 0"),
        ("alice:0", "root has ID 0"),
    ] {
        let error = root.refused(|etc| resolve(etc, spec));
        assert!(error.contains(why) && error.contains(&format!("userns-remap={spec}")), "{spec}: {error}");
    }
    root.write("subgid", "");
    let error = root.refused(|etc| resolve(etc, "alice:staff"));
    assert!(error.contains("no subgid ranges found for group staff"), "{error}");
}

#[test]
fn ranges_that_would_make_somebody_of_a_container_are_refused() {
    for (file, entries, why) in [
        ("subuid", "alice:0:65536\n", "has ID 0 in it"),
        ("subuid", "alice:300000:5\n1000:0:1\n", "has ID 0 in it"),
        ("subuid", "alice:1000:1\nalice:300000:65536\n", "has ID 1000 in it, which is alice's"),
        ("subuid", "alice:60000:65536\n", "has ID 65534 in it, which is nobody's"),
        ("subuid", "alice:300000:5\nalice:300004:5\n", "overlaps"),
        ("subgid", "alice:0:1\n", "has ID 0 in it"),
        ("subgid", "alice:50:1\n", "has ID 50 in it, which is staff's"),
    ] {
        let root = with_ranges();
        root.write(file, entries);
        let error = root.refused(|etc| resolve(etc, "alice"));
        assert!(error.contains(why) && error.contains(file), "{entries}: {error}");
    }
    // Without root in the files its ID is refused all the same.
    let root = Root::new(&[
        ("passwd", "alice:x:1000:1000::/:\n"),
        ("group", "alice:x:1000:\n"),
        ("subuid", "alice:0:5\n"),
        ("subgid", "alice:5:5\n"),
    ]);
    assert!(root.refused(|etc| resolve(etc, "alice")).contains("ID 0"));
}

#[test]
fn no_more_ranges_than_the_kernel_takes() {
    let root = with_ranges();
    let lines = |count: u32| (0..count).map(|n| format!("alice:{}:1\n", 300_000 + n)).collect::<String>();
    root.write("subuid", lines(340));
    assert_eq!(resolve(&root.etc(), "alice").unwrap().uids.len(), 340);
    root.write("subuid", lines(341));
    assert!(root.refused(|etc| resolve(etc, "alice")).contains("341 ranges"));
}

#[test]
fn default_with_broken_or_full_files_is_refused() {
    for contents in ["broken\n", "a:4294960000:1\n"] {
        let root = Root::usual();
        root.write("subgid", contents);
        // Nor is the user made.
        assert!(root.refused(|etc| resolve(etc, "default")).contains("subgid"));
    }
    let root = Root::usual();
    root.write("login.defs", "SYS_UID_MIN 998\nSYS_UID_MAX 998\n");
    assert!(root.refused(|etc| resolve(etc, "default")).contains("is taken"));
    // A user of that name who is root gets nothing.
    let root = Root::usual();
    root.write("passwd", "bulkhead:x:0:0::/:\n");
    root.write("group", "bulkhead:x:10:\n");
    assert!(root.refused(|etc| resolve(etc, "default")).contains("has ID 0"));
}
