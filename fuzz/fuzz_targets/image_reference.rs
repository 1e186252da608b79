//! An image's name: read or refused; its full and its familiar form mean the same image.
#![no_main]

use bulkhead_image::Reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(reference) = Reference::parse(text) {
        assert_eq!(Reference::parse(&reference.to_string()).expect("the full form"), reference);
        assert_eq!(Reference::parse(&reference.familiar()).expect("the familiar form"), reference);
    }
});
