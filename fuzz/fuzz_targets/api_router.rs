//! Docker's API, from a client's bytes to the answers: whatever is said over a connection, the server answers in HTTP or
//! not at all, and goes on. The engine behind it does nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|said: &[u8]| {
    let heard = bulkhead_api::answers(said).expect("a runtime");
    assert!(heard.is_empty() || heard.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&heard));
});
