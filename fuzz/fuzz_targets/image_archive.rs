//! `load` of anything: it ends, and what it refuses leaves nothing in the store.
#![no_main]

use bulkhead_image::Store;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder for the store");
    let store = Store::open(folder.path()).expect("an empty store");
    if store.load(bytes, &mut |_| {}).is_err() {
        assert!(store.layers().expect("the layers").is_empty());
        assert!(store.blobs().expect("the blobs").is_empty());
    }
});
