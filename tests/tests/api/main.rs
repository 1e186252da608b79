//! Docker's API (`bulkhead serve`), by the docker command and by plain HTTP.

#![allow(clippy::unwrap_used, clippy::panic)]

mod containers;
mod filters;
mod info;
mod prune;
mod server;
mod sizes;
mod stats;
mod streams;
mod things;
mod wait;

use bulkhead_tests::command::Cmd;
use bulkhead_tests::{Host, wait as waiting};

const SOCKET: &str = "/run/bulkhead/bulkhead.sock";

/// As a part of a URL.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

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

    /// The same of a GET with filters.
    fn filtered(&self, path: &str, filters: &str) -> Cmd {
        let mark = if path.contains('?') { '&' } else { '?' };
        self.http("GET", &format!("{path}{mark}filters={}", encoded(filters)), "")
    }

    /// What a GET gives, read.
    fn json(&self, path: &str) -> serde_json::Value {
        let answer = self.http("GET", path, "").stdout();
        let (status, body) = answer.split_once('\n').unwrap_or((&answer, ""));
        assert_eq!(status, "200", "{path}: {body}");
        serde_json::from_str(body).unwrap()
    }

    /// The docker commands that the machine has, old and new.
    fn dockers(&self) -> Vec<String> {
        let there = "for d in /usr/local/bin/docker /usr/bin/docker; do [ -x $d ] && echo $d; done; true";
        let all: Vec<String> = self.host.sh(there).stdout().lines().map(str::to_owned).collect();
        assert!(!all.is_empty(), "the tests of the API need a docker command");
        all
    }

    /// One of these.
    fn by(&self, docker: &str, words: &str) -> Cmd {
        self.host.sh(&format!("{docker} -H unix://{SOCKET} {words}"))
    }

    /// The docker command, of whichever version the machine has.
    fn docker(&self, words: &str) -> Cmd {
        self.host.sh(&format!("docker -H unix://{SOCKET} {words}"))
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
