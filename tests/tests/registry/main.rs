//! Registries: Debian's docker-registry, plain, with TLS, with passwords; and one of the tests' own that misbehaves.

#![allow(clippy::unwrap_used, clippy::panic)]

mod faults;
mod logins;
mod plain;
mod server;
mod tokens;
mod uploads;

use bulkhead_tests::{Cmd, Host};

/// A host whose pulls lose their patience soon.
pub(crate) fn bulkhead(host: &Host, args: &[&str]) -> Cmd {
    host.bulkhead(args).env("BULKHEAD_REGISTRY_TIMEOUT", "0.6")
}

/// Starts Debian's registry at 127.0.0.1:5000; `more` goes into its configuration.
#[track_caller]
pub(crate) fn serve(host: &Host, more: &str) {
    let config = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: /run/registry}}}}\n{more}\n"
    );
    let http = if more.contains("http:") { "" } else { "http: {addr: \"127.0.0.1:5000\", secret: x}\n" };
    host.sh("mkdir -p /run; cat > /run/registry.yml").stdin(format!("{config}{http}")).run().succeeds();
    // It ends with the host.
    let start = "command -v docker-registry >/dev/null || { echo 'docker-registry is not installed: run `make setup`'; exit 1; }
        docker-registry serve /run/registry.yml >/run/registry.log 2>&1 </dev/null &
        for i in $(seq 200); do grep -hq ':1388 .* 0A ' /proc/net/tcp /proc/net/tcp6 && exit 0; sleep 0.05; done; cat /run/registry.log; exit 1";
    host.sh(start).run().succeeds();
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
