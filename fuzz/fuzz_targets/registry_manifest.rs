//! Manifests and indexes of registries: any bytes are read or refused, and a platform is told of each entry.
#![no_main]

use bulkhead_image::{Index, Manifest, Platform};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = serde_json::from_slice::<Index>(bytes) {
        let host = Platform::host();
        for entry in &index.manifests {
            let _ = (entry.is_attestation(), entry.is_index(), entry.is_manifest(), entry.fits(&host));
        }
    }
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) {
        let _ = manifest.config.is_config();
    }
});
