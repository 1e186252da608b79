//! Debian's docker-registry on a host.

use crate::Host;

/// Starts Debian's registry at 127.0.0.1:5000; `more` goes into its configuration. It ends with the
/// host.
///
/// # Panics
/// When it does not start.
#[track_caller]
pub fn serve(host: &Host, more: &str) {
    let config = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: /run/registry}}}}\n{more}\n"
    );
    let http = if more.contains("http:") { "" } else { "http: {addr: \"127.0.0.1:5000\", secret: x}\n" };
    host.sh("mkdir -p /run; cat > /run/registry.yml").stdin(format!("{config}{http}")).run().succeeds();
    let start = "command -v docker-registry >/dev/null || { echo 'docker-registry is not installed: run `make setup`'; exit 1; }
        docker-registry serve /run/registry.yml >/run/registry.log 2>&1 </dev/null &
        for i in $(seq 200); do grep -hq ':1388 .* 0A ' /proc/net/tcp /proc/net/tcp6 && exit 0; sleep 0.05; done; cat /run/registry.log; exit 1";
    host.sh(start).run().succeeds();
}
