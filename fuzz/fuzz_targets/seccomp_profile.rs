//! A seccomp profile: compiled or refused, never a panic.
#![no_main]

use bulkhead_isolation::seccomp::{Arch, DockerProfile, compile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(profile) = serde_json::from_slice::<DockerProfile>(bytes)
        && let Ok(resolved) = profile.resolve(&["CAP_CHOWN"], Arch::X86_64, (6, 1))
    {
        let _ = compile(&resolved, Arch::X86_64);
    }
});
