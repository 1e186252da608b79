//! A layer's tar: whatever it says, nothing beside its folder is touched. (Run as root: owners and devices count.)
#![no_main]

use bulkhead_image::{Limits, unpack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let outside = tempfile::tempdir().expect("a folder");
    let inside = outside.path().join("layer");
    std::fs::create_dir(&inside).expect("a folder for the layer");
    std::fs::write(outside.path().join("sentinel"), "untouched").expect("a file beside it");
    let folder = std::fs::File::open(&inside).expect("the folder");
    let _ = unpack::unpack(bytes, &folder, &Limits::default());
    let left = std::fs::read_dir(outside.path()).expect("the folder").count();
    assert_eq!(left, 2);
    assert_eq!(std::fs::read_to_string(outside.path().join("sentinel")).expect("the file"), "untouched");
});
