//! Whatever the files hold: nothing panics, what fails changes nothing, and nobody's IDs are given away.

use proptest::prelude::*;

use super::*;
use crate::accounts::{Kind, remap};

const FILES: [&str; 7] = ["passwd", "group", "shadow", "gshadow", "subuid", "subgid", "login.defs"];

/// Bytes: some at random, some that look like the files.
fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("alice".to_owned()),
        Just("bulkhead".to_owned()),
        Just("1000".to_owned()),
        Just("4294967294".to_owned()),
        Just("4294967295".to_owned()),
        Just("UID_MIN".to_owned()),
        Just("SYS_UID_MAX ".to_owned()),
        Just(String::new()),
        "[-+#!x*\" \t0-9]{0,12}",
        any::<u32>().prop_map(|number| number.to_string()),
    ];
    let line = prop::collection::vec(word, 0..8).prop_map(|words| words.join(":"));
    let lines = prop::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n").into_bytes());
    prop_oneof![prop::collection::vec(any::<u8>(), 0..100), lines]
}

/// Entries of ranges, with IDs of all sizes.
fn entries() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let near_end = (u32::MAX - 200_000..u32::MAX - 1, 1u32..100_000);
    let anywhere = (0u32..400_000, 1u32..200_000);
    let entry = prop_oneof![9 => anywhere, 1 => near_end];
    prop::collection::vec(
        entry.prop_filter("wraps", |&(first, count)| Range::new(first, count).is_some()),
        0..8,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(
        files in prop::collection::vec(any_file(), FILES.len()),
        spec in "(default|alice|1000|[a-z0-9:]{0,6})",
    ) {
        let root = Root::new(&[]);
        for (file, contents) in FILES.iter().zip(&files) {
            root.write(file, contents);
        }
        let etc = root.etc();
        for kind in [Kind::Users, Kind::Groups] {
            prop_assert!(!etc.people(kind).contains(&0) && !etc.people(kind).is_empty());
            prop_assert!(!etc.services(kind).contains(&0) && !etc.services(kind).is_empty());
            etc.ids(kind).unwrap();
            let _ = etc.subordinate(kind);
        }
        etc.user(&spec).unwrap();
        etc.group(&spec).unwrap();
        let before = root.all();
        if etc.record("bulkhead", Range { first: 7, count: 3 }).is_err() {
            prop_assert_eq!(&root.all(), &before);
        }
        let before = root.all();
        if etc.ensure_ranges("bulkhead", 65536).is_err() {
            prop_assert_eq!(&root.all(), &before);
        }
        let before = root.all();
        if etc.ensure_system_user("bulkhead").is_err() {
            prop_assert_eq!(&root.all(), &before);
        }
        // Nothing that was there is lost.
        for (file, contents) in FILES.iter().zip(&files) {
            let now = std::fs::read(etc.folder().join(file)).unwrap();
            let mut lines = now.split(|&byte| byte == b'\n');
            let mut before = contents.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
            prop_assert!(before.all(|line| lines.any(|now| now == line)));
        }
        if let Ok(remap) = remap::resolve(&etc, &spec) {
            for (kind, ranges) in [(Kind::Users, &remap.uids), (Kind::Groups, &remap.gids)] {
                prop_assert!(ranges.iter().all(|range| range.count > 0 && !range.contains(0)));
                let ids = etc.ids(kind).unwrap();
                prop_assert!(!ids.iter().any(|&id| ranges.iter().any(|range| range.contains(id))));
            }
        }
    }

    #[test]
    fn a_new_range_overlaps_nothing(
        entries in entries(),
        ids in prop::collection::vec(prop_oneof![0u32..600_000, u32::MAX - 200_000..u32::MAX - 1], 0..12),
        count in prop_oneof![1u32..100_000, any::<u32>()],
    ) {
        let line = |(n, (first, count)): (usize, &(u32, u32))| format!("user{n}:{first}:{count}\n");
        let file: String = entries.iter().enumerate().map(line).collect();
        let passwd: String = ids.iter().map(|id| format!("u{id}:x:{id}:{id}::/:\n")).collect();
        let root = Root::new(&[("passwd", &passwd), ("subuid", &file), ("subgid", &file)]);
        let before = root.all();
        let done = root.etc().ensure_ranges("bulkhead", count);
        if done.is_err() {
            prop_assert_eq!(root.all(), before);
            return Ok(());
        }
        for kind in [Kind::Users, Kind::Groups] {
            let mut all = root.etc().subordinate(kind).unwrap();
            let new = all.pop().unwrap();
            prop_assert_eq!((new.owner.as_str(), new.range.count), ("bulkhead", count));
            prop_assert!(new.range.first >= 100_000);
            prop_assert_eq!(all.len(), entries.len());
            prop_assert!(all.iter().all(|entry| !entry.range.overlaps(new.range)));
            prop_assert!(!ids.iter().any(|&id| new.range.contains(id)));
        }
    }
}
