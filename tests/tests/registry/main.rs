//! Registries: Debian's docker-registry, plain, with TLS, with passwords; and one of the tests' own that misbehaves.

#![allow(clippy::unwrap_used, clippy::panic)]

mod faults;
mod logins;
mod plain;
mod server;
mod tokens;
mod uploads;

pub(crate) use bulkhead_tests::registry::serve;
use bulkhead_tests::{Cmd, Host};

/// A host whose pulls lose their patience soon.
pub(crate) fn bulkhead(host: &Host, args: &[&str]) -> Cmd {
    host.bulkhead(args).env("BULKHEAD_REGISTRY_TIMEOUT", "0.6")
}

/// Asserts that nothing is in the image store: no image, no layer, no blob, no work in progress.
#[track_caller]
pub(crate) fn assert_empty(host: &Host) {
    host.bulkhead(["images", "-q"]).prints("");
    host.sh("cd /var/lib/bulkhead/images && ls layers blobs/sha256 tmp | grep -v : | grep . || true")
        .prints("");
}

/// Ends the registry and the host.
#[track_caller]
pub(crate) fn finish(host: Host) {
    host.bulkhead(["ps", "-aq"]).prints("");
    host.abandon();
}
