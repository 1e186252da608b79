//! An image's config: read or refused; what was read can be written and read again.
#![no_main]

use bulkhead_image::ImageConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = ImageConfig::from_json(bytes) {
        let again = ImageConfig::from_json(&config.to_json().expect("JSON")).expect("the same config");
        assert_eq!(config, again);
    }
});
