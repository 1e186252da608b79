//! A state.json: read or refused; what was read can be written and read again.
#![no_main]

use bulkhead_oci::spec::read;
use bulkhead_oci::state::State;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = read::<State>(bytes, "state.json") {
        let written = serde_json::to_vec(&state).expect("JSON");
        let again: State = read(&written[..], "state.json").expect("the same state");
        assert_eq!(written, serde_json::to_vec(&again).expect("JSON"));
    }
});
