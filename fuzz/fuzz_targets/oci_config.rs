//! A config.json: read or refused; what was read can be written and read again, and its mounts' options taken apart.
#![no_main]

use bulkhead_oci::spec::options::Options;
use bulkhead_oci::spec::{Spec, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(spec) = read::<Spec>(bytes, "config.json") {
        let written = serde_json::to_vec(&spec).expect("JSON");
        let again: Spec = read(&written[..], "config.json").expect("the same configuration");
        assert_eq!(written, serde_json::to_vec(&again).expect("JSON"));
        for mount in spec.mounts.iter().flatten() {
            let _ = Options::parse(mount.options.as_deref().unwrap_or_default());
        }
    }
});
