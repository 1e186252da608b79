//! `features`: what this runtime can do (features.md), so that callers need not try.

use bulkhead_isolation::capabilities;
use bulkhead_isolation::seccomp::{Action, Architecture, Flag, Operator, supported};
use clap::Args;
use serde_json::json;

use super::{Context, print_json};
use crate::error::Result;
use crate::groups::annotations;
use crate::spec::{VERSION, options};

#[derive(Debug, Args)]
pub(super) struct Features {}

impl Features {
    pub(super) fn run(&self, _context: &mut Context) -> Result<u8> {
        // What the kernel does not have would fail when the filter is installed.
        let supports = |word: &&&str| supported(&Flag::from((**word).to_owned()));
        let flags: Vec<&&str> = Flag::WORDS.iter().filter(supports).collect();
        let names: Vec<String> = capabilities::NAMES.iter().map(|name| format!("CAP_{name}")).collect();
        print_json(&json!({
            "ociVersionMin": "1.0.0",
            "ociVersionMax": VERSION,
            "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
            "mountOptions": options::words(),
            "linux": {
                "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
                "capabilities": names,
                "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": false },
                "seccomp": {
                    "enabled": true,
                    "actions": Action::WORDS,
                    "operators": Operator::WORDS,
                    "archs": Architecture::WORDS,
                    "knownFlags": Flag::WORDS,
                    "supportedFlags": flags,
                },
                "apparmor": { "enabled": true },
                "selinux": { "enabled": true },
                "intelRdt": { "enabled": false },
                "mountExtensions": { "idmap": { "enabled": true } },
            },
            "annotations": { "org.bulkhead.version": env!("CARGO_PKG_VERSION") },
            // Whoever may write these decides about a unit of systemd's, its commands among it.
            "potentiallyUnsafeConfigAnnotations": [annotations::PREFIX],
        }))
    }
}
