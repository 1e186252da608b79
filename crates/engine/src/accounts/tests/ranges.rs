//! Ranges set aside.

use super::*;
use crate::accounts::Kind;

#[test]
fn docker_example() {
    let root = Root::usual();
    root.etc().ensure_ranges("bulkhead", 65536).unwrap();
    for file in ["subuid", "subgid"] {
        assert_eq!(root.text(file), "docker:100000:65536\nbulkhead:165536:65536\n");
    }
    root.etc().ensure_ranges("bulkhead", 65536).unwrap();
    assert_eq!(root.text("subuid"), "docker:100000:65536\nbulkhead:165536:65536\n");
}

#[test]
fn the_first_range_begins_at_100000_in_new_files() {
    let root = Root::new(&[]);
    root.etc().ensure_ranges("bulkhead", 65536).unwrap();
    for file in ["subuid", "subgid"] {
        assert_eq!(root.text(file), "bulkhead:100000:65536\n");
        assert_eq!(root.mode(file), 0o644);
    }
    let low = Root::new(&[("subuid", "a:5:10"), ("subgid", "")]);
    low.etc().ensure_ranges("b", 1).unwrap();
    assert_eq!(low.text("subuid"), "a:5:10\nb:100000:1\n");
}

#[test]
fn it_goes_after_the_highest_end_not_after_the_last_line() {
    let root = Root::new(&[("subuid", "a:500001:65536\nb:100000:9\n"), ("subgid", "a:100000:700001\n")]);
    root.etc().ensure_ranges("c", 65536).unwrap();
    assert!(root.text("subuid").ends_with("b:100000:9\nc:565537:65536\n"));
    assert!(root.text("subgid").ends_with("\nc:800001:65536\n"));
}

#[test]
fn who_has_ranges_gets_no_others() {
    let root = Root::usual();
    root.write("subuid", "docker:100000:65536\n1000:700000:5\n");
    root.etc().ensure_ranges("alice", 65536).unwrap();
    assert_eq!(root.text("subuid"), "docker:100000:65536\n1000:700000:5\n");
    assert_eq!(root.text("subgid"), "docker:100000:65536\nalice:165536:65536\n");
    root.etc().ensure_ranges("1000", 65536).unwrap();
    assert_eq!(root.text("subgid"), "docker:100000:65536\nalice:165536:65536\n");
}

#[test]
fn ids_of_accounts_are_not_in_it() {
    let root = Root::usual();
    root.write("passwd", "far:x:170000:300000::/:\nfarther:x:235537:100::/:\nfar:x:235536:100::/:\n");
    root.etc().ensure_ranges("c", 65536).unwrap();
    assert!(root.text("subuid").ends_with("\nc:235538:65536\n"), "{}", root.text("subuid"));
    assert!(root.text("subgid").ends_with("\nc:165536:65536\n"));
}

#[test]
fn full_files_are_refused() {
    for (kind, file) in [(Kind::Users, "subuid"), (Kind::Groups, "subgid")] {
        let root = Root::usual();
        root.write(file, "a:4294901759:1\n");
        root.etc().ensure_ranges("fits", 65535).unwrap();
        assert_eq!(root.etc().subordinate(kind).unwrap()[1].range.last(), u32::MAX - 1);
        let error = root.refused(|etc| etc.ensure_ranges("bulkhead", 1));
        assert!(error.contains(file), "{error}");
        root.write(file, "a:4294901760:1\n");
        root.refused(|etc| etc.ensure_ranges("bulkhead", 65535));
    }
    let root = Root::usual();
    root.write("passwd", "last:x:4294967294:1::/:\n");
    root.write("subuid", "a:4294900000:1\n");
    root.refused(|etc| etc.ensure_ranges("bulkhead", 67294));
    root.etc().ensure_ranges("bulkhead", 67293).unwrap();
}

#[test]
fn broken_files_are_refused() {
    for file in ["subuid", "subgid"] {
        for broken in ["x", "a:1:2\nb:1:2:3\n", "a:-1:2\n", "a:4294967295:1\n", "a:1:2\u{0}\n"] {
            let root = Root::usual();
            root.write(file, broken);
            for error in [
                root.refused(|etc| etc.ensure_ranges("bulkhead", 65536)),
                root.refused(|etc| etc.record("bulkhead", range(1, 2))),
            ] {
                assert!(error.contains(file) && error.contains("line "), "{error}");
            }
        }
    }
}

#[test]
fn a_recorded_range_is_there_once() {
    let root = Root::usual();
    root.write("subgid", "docker:100000:65536\nbulkhead-auto:524288:1000");
    let pool = range(524_288, 1000);
    for _ in 0..2 {
        root.etc().record("bulkhead-auto", pool).unwrap();
        for file in ["subuid", "subgid"] {
            assert_eq!(root.text(file).matches("bulkhead-auto:524288:1000").count(), 1);
        }
    }
    // The one that had it is as it was, without an end of line.
    assert!(root.text("subgid").ends_with("1000"));
    root.etc().record("bulkhead-auto", range(524_288, 1001)).unwrap();
    assert!(root.text("subgid").ends_with("bulkhead-auto:524288:1000\nbulkhead-auto:524288:1001\n"));
}

#[test]
fn what_would_not_be_read_as_written_is_refused() {
    let root = Root::usual();
    for owner in ["", "#a", "a:b", "a\nb", " a", "a\t", "a\0"] {
        root.refused(|etc| etc.record(owner, range(1, 1)));
        root.refused(|etc| etc.ensure_ranges(owner, 1));
    }
    for (first, count) in [(1, 0), (u32::MAX, 1), (u32::MAX - 1, 2), (2, u32::MAX)] {
        root.refused(|etc| etc.record("a", range(first, count)));
    }
    root.refused(|etc| etc.ensure_ranges("a", 0));
    root.refused(|etc| etc.ensure_ranges("a", u32::MAX));
}

#[test]
fn a_range_is_taken_away_and_all_else_stays() {
    use crate::accounts::Range;
    let root = Root::usual();
    let all = "# mine\ndocker:100000:65536\nauto:600000:1000\nother:600000:1000\nauto:700000:5";
    root.write("subuid", all);
    root.write("subgid", "docker:100000:65536\n");
    let (whole, part) = (Range::new(600_000, 1000).unwrap(), Range::new(600_100, 10).unwrap());
    root.etc().replace("auto", whole, &[part]).unwrap();
    let expected = "# mine\ndocker:100000:65536\nother:600000:1000\nauto:700000:5\nauto:600100:10\n";
    assert_eq!(root.text("subuid"), expected);
    assert_eq!(root.text("subgid"), "docker:100000:65536\n");
    // Done already; and one that was never there.
    root.etc().replace("auto", whole, &[part]).unwrap();
    root.etc().replace("auto", Range::new(1, 1).unwrap(), &[]).unwrap();
    assert_eq!(root.text("subuid"), expected);
    root.etc().replace("auto", part, &[]).unwrap();
    assert!(!root.text("subuid").contains("600100"));
}
