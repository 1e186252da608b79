//! What a registry wants to know of who asks: any header is read to its end.
#![no_main]

use bulkhead_registry::Challenge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for challenge in Challenge::parse(text) {
        if let Challenge::Bearer { realm, .. } = challenge {
            assert!(realm.len() <= text.len());
        }
    }
});
