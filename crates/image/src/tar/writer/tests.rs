//! The writer against three readers: this crate's own, the tar crate's, and GNU tar.

use std::io::Read;

use proptest::prelude::*;

use super::TarWriter;
use crate::tar::{Entry, Kind, NoTap, Segment, Sparse, TarReader};

fn name() -> impl Strategy<Value = Vec<u8>> {
    // Any bytes that a name can have, short and long.
    proptest::collection::vec(
        proptest::collection::vec((1u8..=255).prop_filter("no slash", |b| *b != b'/'), 1..120),
        1..5,
    )
    .prop_map(|parts| parts.join(&b'/'))
}

prop_compose! {
    fn entries()(
        kind in prop_oneof![
            Just(Kind::File), Just(Kind::Directory), Just(Kind::Symlink), Just(Kind::HardLink),
            Just(Kind::Char), Just(Kind::Block), Just(Kind::Fifo),
        ],
        name in name(), link in name(), mode in 0u32..0o10000, uid in 0u32..u32::MAX, gid in 0u32..u32::MAX,
        seconds in -5_000_000_000i64..5_000_000_000, nanos in prop_oneof![Just(0u32), 0u32..1_000_000_000],
        device in (0u32..4096, 0u32..1 << 20), content in proptest::collection::vec(any::<u8>(), 0..2000),
        xattrs in proptest::collection::btree_map("user\\.[a-z]{1,9}", proptest::collection::vec(any::<u8>(), 1..99), 0..3),
        holes in proptest::option::of(proptest::collection::vec((1u64..100_000, 1u64..300), 0..9)),
    ) -> (Entry, Vec<u8>) {
        let file = kind == Kind::File;
        let mut content = if file { content } else { Vec::new() };
        let sparse = holes.filter(|_| file).map(|parts| {
            let (mut end, mut stored) = (0, 0);
            let segments: Vec<Segment> = parts
                .into_iter()
                .map(|(hole, length)| {
                    let segment = Segment { offset: end + hole, length };
                    end = segment.offset + length;
                    stored += length;
                    segment
                })
                .collect();
            content.resize(usize::try_from(stored).unwrap(), 7);
            Sparse { real_size: end + 4096, segments }
        });
        let entry = Entry {
            kind, name, mode, uid, gid, mtime: (seconds, nanos), size: content.len() as u64, sparse,
            link: if matches!(kind, Kind::Symlink | Kind::HardLink) { link } else { Vec::new() },
            device: if matches!(kind, Kind::Char | Kind::Block) { device } else { (0, 0) },
            xattrs: xattrs.into_iter().map(|(key, value)| (key.into_bytes(), value)).collect(),
        };
        (entry, content)
    }
}

fn write(all: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (entry, content) in all {
        tar.entry(entry).unwrap();
        tar.content(content).unwrap();
    }
    let (bytes, length) = tar.finish().unwrap();
    assert_eq!(bytes.len() as u64, length);
    bytes
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(all in proptest::collection::vec(entries(), 0..6)) {
        let bytes = write(&all);
        let mut reader = TarReader::new(bytes.as_slice(), NoTap, u64::MAX);
        for (wrote, content) in &all {
            let read = reader.next().unwrap().unwrap();
            let mut name = wrote.name.clone();
            if wrote.kind == Kind::Directory {
                name.push(b'/');
            }
            prop_assert_eq!((read.kind, &read.name, &read.link), (wrote.kind, &name, &wrote.link));
            prop_assert_eq!((read.mode, read.uid, read.gid), (wrote.mode, wrote.uid, wrote.gid));
            prop_assert_eq!((read.mtime, read.device), (wrote.mtime, wrote.device));
            prop_assert_eq!(&read.xattrs, &wrote.xattrs);
            let map = |sparse: &Option<Sparse>| sparse.as_ref().map(|s| (s.real_size, s.segments.clone()));
            prop_assert_eq!(map(&read.sparse), map(&wrote.sparse));
            let mut found = vec![0; content.len()];
            let mut filled = 0;
            while filled < found.len() {
                let n = reader.read(&mut found[filled..]).unwrap();
                prop_assert!(n > 0);
                filled += n;
            }
            prop_assert_eq!(&found, content);
        }
        prop_assert!(reader.next().unwrap().is_none());
    }

    #[test]
    fn another_reader_reads_it_too(all in proptest::collection::vec(entries(), 1..6)) {
        // It knows nothing of holes in PAX records.
        let all: Vec<_> = all.into_iter().filter(|(entry, _)| entry.sparse.is_none()).collect();
        let bytes = write(&all);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut read = archive.entries().unwrap();
        for (wrote, content) in &all {
            let mut entry = read.next().unwrap().unwrap();
            let name = entry.path_bytes().into_owned();
            prop_assert_eq!(name.strip_suffix(b"/").unwrap_or(&name), wrote.name.as_slice());
            let mut found = Vec::new();
            entry.read_to_end(&mut found).unwrap();
            prop_assert_eq!(&found, content);
        }
        prop_assert!(read.next().is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn gnu_tar_reads_it_too(
        files in proptest::collection::btree_map(
            "[a-zäß ]{1,90}(/[a-z\u{1}\"']{1,90}){0,2}-f",
            (proptest::collection::vec(any::<u8>(), 1..3000), any::<bool>(), 0i64..4_000_000_000),
            1..6,
        )
    ) {
        let all: Vec<_> = files
            .iter()
            .map(|(name, (content, sparse, seconds))| {
                let segments = vec![Segment { offset: 65_536, length: content.len() as u64 }];
                let real_size = 131_072 + content.len() as u64;
                let entry = Entry {
                    kind: Kind::File, name: name.clone().into_bytes(), link: Vec::new(), mode: 0o640, uid: 0, gid: 0,
                    mtime: (*seconds, 5), size: content.len() as u64, device: (0, 0), xattrs: Vec::new(),
                    sparse: sparse.then_some(Sparse { real_size, segments }),
                };
                (entry, content.clone())
            })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("archive.tar");
        std::fs::write(&archive, write(&all)).unwrap();
        let told = std::process::Command::new("tar").arg("-xf").arg(&archive).arg("--no-same-owner").arg("-C").arg(folder.path()).output().unwrap();
        prop_assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        for (name, (content, sparse, seconds)) in &files {
            let path = folder.path().join(name);
            let found = std::fs::read(&path).unwrap();
            let expected = if *sparse {
                let mut whole = vec![0; 131_072 + content.len()];
                whole[65_536..65_536 + content.len()].copy_from_slice(content);
                whole
            } else {
                content.clone()
            };
            prop_assert!(found == expected, "{}", name);
            let metadata = std::fs::metadata(&path).unwrap();
            prop_assert_eq!(std::os::unix::fs::MetadataExt::mtime(&metadata), *seconds);
            prop_assert_eq!(std::os::unix::fs::MetadataExt::mtime_nsec(&metadata), 5);
        }
    }
}

#[test]
fn an_entry_has_the_content_that_it_was_said_to_have() {
    let file = |size| Entry {
        kind: Kind::File,
        name: b"f".to_vec(),
        link: Vec::new(),
        mode: 0,
        uid: 0,
        gid: 0,
        mtime: (0, 0),
        size,
        device: (0, 0),
        xattrs: Vec::new(),
        sparse: None,
    };
    let mut tar = TarWriter::new(Vec::new());
    tar.entry(&file(2)).unwrap();
    assert!(tar.content(b"abc").is_err());
    let mut tar = TarWriter::new(Vec::new());
    tar.entry(&file(2)).unwrap();
    assert!(tar.entry(&file(0)).is_err());
    assert!(tar.finish().is_err());
}
