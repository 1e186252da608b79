//! A host on which Docker's API is served, and who speaks to it: docker commands, other clients, plain HTTP.

use crate::command::Cmd;
use crate::{Host, wait as waiting};

/// Where the API is served.
pub const SOCKET: &str = "/run/bulkhead/bulkhead.sock";

/// As a part of a URL.
#[must_use]
pub fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A host on which the API is served.
#[derive(Debug)]
pub struct Served {
    /// The host.
    pub host: Host,
}

impl Served {
    /// One that listens where it does by default.
    #[must_use]
    pub fn new(name: &str) -> Served {
        Served::with(name, "")
    }

    /// The same, with more flags of `serve`.
    #[must_use]
    pub fn with(name: &str, flags: &str) -> Served {
        let served = Served { host: Host::new(name).with_busybox() };
        served.serve(flags);
        served
    }

    /// Starts a server.
    ///
    /// # Panics
    /// When it does not say that it serves.
    pub fn serve(&self, flags: &str) {
        let script = format!(
            "rm -f /tmp/served; setsid bulkhead serve {flags} < /dev/null > /tmp/served 2>&1 & echo $! > /tmp/server; \
             for i in $(seq 200); do [ -s /tmp/served ] && break; sleep 0.05; done; cat /tmp/served"
        );
        self.host.sh(&script).prints(&format!("unix://{SOCKET}"));
    }

    /// Plain HTTP: the status on the first line, then the body.
    pub fn http(&self, method: &str, path: &str, body: &str) -> Cmd {
        let head = if method == "HEAD" { "--head --output /dev/null" } else { "" };
        let script = format!(
            "curl -sS --globoff --unix-socket {SOCKET} {head} -X {method} -H 'Content-Type: application/json' --data-binary @- \
             --output /tmp/body --write-out '%{{http_code}}\\n' 'http://d{path}' && cat /tmp/body"
        );
        self.host.sh(&script).stdin(body)
    }

    /// The same of a GET with filters.
    pub fn filtered(&self, path: &str, filters: &str) -> Cmd {
        let mark = if path.contains('?') { '&' } else { '?' };
        self.http("GET", &format!("{path}{mark}filters={}", encoded(filters)), "")
    }

    /// What a GET gives, read.
    ///
    /// # Panics
    /// When that is no 200, or no JSON.
    #[must_use]
    pub fn json(&self, path: &str) -> serde_json::Value {
        let answer = self.http("GET", path, "").stdout();
        let (status, body) = answer.split_once('\n').unwrap_or((&answer, ""));
        assert_eq!(status, "200", "{path}: {body}");
        serde_json::from_str(body).unwrap()
    }

    /// The docker commands that the machine has, old and new.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn dockers(&self) -> Vec<String> {
        let there = "for d in /usr/local/bin/docker /usr/bin/docker; do [ -x $d ] && echo $d; done; true";
        let all: Vec<String> = self.host.sh(there).stdout().lines().map(str::to_owned).collect();
        assert!(!all.is_empty(), "the tests of the API need a docker command");
        all
    }

    /// The same, each with what leads it to this server: for scripts.
    #[must_use]
    pub fn docker_commands(&self) -> Vec<String> {
        self.dockers().iter().map(|docker| format!("{docker} -H unix://{SOCKET}")).collect()
    }

    /// Plain HTTP with a body of any bytes: the status, then what came back.
    pub fn send(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Cmd {
        let script = format!(
            "curl -sS --globoff --unix-socket {SOCKET} -X {method} -H 'Content-Type: application/x-tar' \
             --data-binary @- --output /tmp/body --write-out '%{{http_code}}\\n' 'http://d{path}' && cat /tmp/body"
        );
        self.host.sh(&script).stdin(body)
    }

    /// One of these.
    pub fn by(&self, docker: &str, words: &str) -> Cmd {
        self.host.sh(&format!("{docker} -H unix://{SOCKET} {words}"))
    }

    /// The docker command, of whichever version the machine has.
    pub fn docker(&self, words: &str) -> Cmd {
        self.host.sh(&format!("docker -H unix://{SOCKET} {words}"))
    }

    /// Ends the server as nobody should, and waits until it is gone.
    pub fn kill(&self) {
        self.host.sh("kill -9 $(cat /tmp/server)").run().succeeds();
        waiting::until("the server is gone", || {
            self.host.sh("[ -d /proc/$(cat /tmp/server) ] || echo gone").stdout() == "gone"
        });
    }

    /// Ends it as one should, and looks for leftovers.
    pub fn finish(self) {
        self.host.sh("kill $(cat /tmp/server)").run().succeeds();
        waiting::until("the server has taken its socket away", || {
            self.host.sh(&format!("[ -e {SOCKET} ] || echo gone")).stdout() == "gone"
        });
        self.host.finish();
    }
}
