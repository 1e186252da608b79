//! Docker's API (`bulkhead serve`), by the docker command and by plain HTTP.

#![allow(clippy::unwrap_used, clippy::panic)]

mod archives;
mod containers;
mod images;
mod registries;
mod server;
mod streams;
mod things;
mod wait;

use bulkhead_tests::command::Cmd;
use bulkhead_tests::{Host, wait as waiting};

const SOCKET: &str = "/run/bulkhead/bulkhead.sock";

/// A host on which the API is served.
struct Served {
    host: Host,
}

impl Served {
    fn new(name: &str) -> Served {
        Served::with(name, "")
    }

    /// The same, with more flags of `serve`.
    fn with(name: &str, flags: &str) -> Served {
        let served = Served { host: Host::new(name).with_busybox() };
        served.serve(flags);
        served
    }

    fn serve(&self, flags: &str) {
        let script = format!(
            "setsid bulkhead serve {flags} < /dev/null > /tmp/served 2>&1 & echo $! > /tmp/server; \
             for i in $(seq 200); do [ -s /tmp/served ] && break; sleep 0.05; done; cat /tmp/served"
        );
        self.host.sh(&script).prints(&format!("unix://{SOCKET}"));
    }

    /// Plain HTTP: the status on the first line, then the body.
    fn http(&self, method: &str, path: &str, body: &str) -> Cmd {
        let head = if method == "HEAD" { "--head --output /dev/null" } else { "" };
        let script = format!(
            "curl -sS --globoff --unix-socket {SOCKET} {head} -X {method} -H 'Content-Type: application/json' --data-binary @- \
             --output /tmp/body --write-out '%{{http_code}}\\n' 'http://d{path}' && cat /tmp/body"
        );
        self.host.sh(&script).stdin(body)
    }

    /// The docker command, of whichever version the machine has.
    fn docker(&self, words: &str) -> Cmd {
        self.host.sh(&format!("docker -H unix://{SOCKET} {words}"))
    }

    /// A docker command of each version that the machine has.
    fn dockers(&self) -> Vec<String> {
        let found = self.host.sh("ls /usr/local/bin/docker /usr/bin/docker 2>/dev/null || true").stdout();
        assert!(!found.is_empty(), "docker is not installed: run `make setup`");
        found.lines().map(|path| format!("{path} -H unix://{SOCKET}")).collect()
    }

    /// Plain HTTP with a body of any bytes: the status, then what came back.
    fn send(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Cmd {
        let script = format!(
            "curl -sS --globoff --unix-socket {SOCKET} -X {method} -H 'Content-Type: application/x-tar' \
             --data-binary @- --output /tmp/body --write-out '%{{http_code}}\\n' 'http://d{path}' && cat /tmp/body"
        );
        self.host.sh(&script).stdin(body)
    }

    /// Ends the server as nobody should, and waits until it is gone.
    fn kill(&self) {
        self.host.sh("kill -9 $(cat /tmp/server)").run().succeeds();
        waiting::until("the server is gone", || {
            self.host.sh("[ -d /proc/$(cat /tmp/server) ] || echo gone").stdout() == "gone"
        });
    }

    fn finish(self) {
        self.host.sh("kill $(cat /tmp/server)").run().succeeds();
        waiting::until("the server has taken its socket away", || {
            self.host.sh(&format!("[ -e {SOCKET} ] || echo gone")).stdout() == "gone"
        });
        self.host.finish();
    }
}
