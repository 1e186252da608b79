//! A `--format` template: rendered or refused, in bounded time and space.
#![no_main]

use bulkhead_cli::template::{Options, Template};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(template) = Template::parse(text) {
        let data = serde_json::json!({"A": 1, "B": {"C": ["x", "y"]}, "D": null});
        let _ = template.render(&data, &Options::default());
    }
});
