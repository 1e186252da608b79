//! Who is who.

use super::*;
use crate::accounts::{Account, Kind};

#[test]
fn users_and_groups_are_found_by_name_and_number() {
    let root = Root::usual();
    let etc = root.etc();
    let alice = Some(Account { name: "alice".into(), uid: 1000, gid: 1000 });
    assert_eq!(etc.user("alice").unwrap(), alice);
    assert_eq!(etc.user("1000").unwrap(), alice);
    assert_eq!(etc.user_of(1000).unwrap(), alice);
    for nobody in ["bob", "1001", "", "alic", "4294967295", "99999999999999", "+1000", "-1"] {
        assert_eq!(etc.user(nobody).unwrap(), None, "{nobody:?}");
        assert_eq!(etc.group(nobody).unwrap(), None, "{nobody:?}");
    }
    assert_eq!(etc.group("staff").unwrap(), Some(("staff".into(), 50)));
    assert_eq!(etc.group("50").unwrap(), Some(("staff".into(), 50)));
}

#[test]
fn a_folder_without_files_has_nobody() {
    let root = Root::new(&[]);
    let etc = root.etc();
    assert_eq!(etc.user("root").unwrap(), None);
    assert_eq!(etc.group("0").unwrap(), None);
    assert!(etc.ids(Kind::Users).unwrap().is_empty() && etc.ids(Kind::Groups).unwrap().is_empty());
    assert!(etc.subordinate(Kind::Users).unwrap().is_empty());
    assert_eq!(etc.people(Kind::Groups), 1000..=60000);
    assert_eq!(etc.services(Kind::Users), 100..=999);
}

#[test]
fn what_cannot_be_understood_is_passed_over() {
    let root = Root::new(&[]);
    root.write(
        "passwd",
        b"# a comment: x:1:1\n\
          +@admins::::::\n\
          -mallory:x:7:7\n\
          +\n\
          \n\
          :x:3:3::/:\n\
          broken\n\
          half:x:11\n\
          nan:x:zw\xf6lf:12::/:\n\
          none:x:4294967295:4294967295::/:\n\
          nogroup:x:13:-::/:\n\
          \xe4\xf6:x:14:15:\xff:/:/bin/sh\n\
          good:x:16:17:\xff\xfe:/:/bin/sh",
    );
    root.write("group", "good:x:18:1,2,3\n+:::\nbad:x::\n");
    let etc = root.etc();
    assert_eq!(etc.ids(Kind::Users).unwrap(), [11, 13, 14, 16]);
    assert_eq!(etc.ids(Kind::Groups).unwrap(), [12, 15, 17, 18]);
    assert_eq!(etc.user("good").unwrap().map(|user| (user.uid, user.gid)), Some((16, 17)));
    assert_eq!(etc.user("half").unwrap(), None);
    assert_eq!(etc.user_of(14).unwrap(), None);
}

#[test]
fn login_defs_says_who_is_a_person() {
    let root = Root::new(&[("login.defs", "UID_MIN 500\nUID_MAX 5000\nGID_MIN 600\nSYS_GID_MAX 400\n")]);
    let etc = root.etc();
    assert_eq!(etc.people(Kind::Users), 500..=5000);
    assert_eq!(etc.people(Kind::Groups), 600..=60000);
    assert_eq!(etc.services(Kind::Users), 100..=499);
    assert_eq!(etc.services(Kind::Groups), 100..=400);
    root.write("login.defs", b"UID_MIN zero\nUID_MAX 5000\n\xff\n");
    assert_eq!(root.etc().people(Kind::Users), 1000..=60000);
}

#[test]
fn ranges_are_found_by_name_and_number_in_order() {
    let root = Root::usual();
    root.write("subuid", "# ours\n\nalice:300000:10\nbob:310000:5\n1000:200000:7\n10000:1:1\nalice:9:0\n");
    let etc = root.etc();
    let alice = etc.user("alice").unwrap().unwrap();
    assert_eq!(etc.ranges_of(Kind::Users, &alice).unwrap(), [range(300_000, 10), range(200_000, 7)]);
    assert!(etc.ranges_of(Kind::Groups, &alice).unwrap().is_empty());
    let owners: Vec<_> = etc.subordinate(Kind::Users).unwrap().into_iter().map(|entry| entry.owner).collect();
    assert_eq!(owners, ["alice", "bob", "1000", "10000"]);
}

#[test]
fn a_broken_range_is_named_with_its_place() {
    let root = Root::usual();
    root.write("subgid", "# fine\nalice:1:2\n\nbob:1\n");
    let error = root.refused(|etc| etc.subordinate(Kind::Groups));
    assert!(error.contains("line 4 of ") && error.contains("etc/subgid, \"bob:1\""), "{error}");
    assert_eq!(root.etc().subordinate(Kind::Users).unwrap().len(), 1);
}
