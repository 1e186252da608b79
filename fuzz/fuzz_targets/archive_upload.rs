//! A tar that a client sends to a container, compressed or not: whatever it and the links in the container say, nothing
//! beside the container's root is touched. (Run as root: owners and devices count.)
#![no_main]

use std::io::Read;
use std::os::unix::fs::symlink;

use bulkhead_image::decompressed;
use bulkhead_image::unpack::{Plain, extract, locate};
use libfuzzer_sys::fuzz_target;

/// No input may grow to more than that.
const LONGEST: u64 = 16 << 20;

/// Where it may be sent.
const PATHS: [&[u8]; 8] =
    [b"/", b"folder", b"up", b"away", b"folder/../up/root", b"/folder/below/../../..", b"file", b"none"];

// The first byte says where to, and how; an archive follows.
fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let (replace, path) = (first & 8 != 0, PATHS[usize::from(first & 7)]);
    let outside = tempfile::tempdir().expect("a folder");
    let inside = outside.path().join("root");
    std::fs::create_dir_all(inside.join("folder/below")).expect("a folder for the root");
    std::fs::write(inside.join("file"), "x").expect("a file in it");
    symlink("../../..", inside.join("up")).expect("a link out of it");
    symlink(outside.path(), inside.join("away")).expect("another");
    std::fs::write(outside.path().join("sentinel"), "untouched").expect("a file beside it");
    let root = std::fs::File::open(&inside).expect("the folder");
    if let Ok(there) = locate(&root, path)
        && there.is_folder()
        && let Ok(plain) = decompressed(bytes)
    {
        let how = Plain { base: there.path(), owner: None, replace };
        let _ = extract(plain.take(LONGEST), &root, &how);
    }
    let left = std::fs::read_dir(outside.path()).expect("the folder").count();
    assert_eq!(left, 2);
    assert_eq!(std::fs::read_to_string(outside.path().join("sentinel")).expect("the file"), "untouched");
});
