//! The API's `?filters=`: any text is read or refused, and what is read reads the same once it is written.
#![no_main]

use std::collections::BTreeMap;

use bulkhead_api::filters::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(filters) = parse(Some(text)) {
        let said: BTreeMap<&str, &[String]> = filters.iter().collect();
        let written = serde_json::to_string(&said).expect("JSON");
        assert_eq!(parse(Some(&written)).expect("the same filters"), filters);
    }
});
