//! The same commands on runc, where it is installed: what callers read must be the same.

use bulkhead_tests::{Host, skip};
use serde_json::Value;

use crate::Bundle;

/// What a session of commands gives: each one's exit code and the words of its failure.
fn session(host: &Host, runtime: &str) -> (Vec<(String, i32, String)>, Vec<Value>) {
    let mut said = Vec::new();
    let mut states = Vec::new();
    for words in [
        "state a",
        "create --bundle /run/b a < /dev/null > /dev/null 2> /run/errors || { cat /run/errors >&2; exit 1; }",
        "STATE",
        "create --bundle /run/b a < /dev/null",
        "start a",
        "STATE",
        "start a",
        "exec a true",
        "exec a sh -c 'exit 3'",
        "exec a nosuch",
        "delete a",
        "pause a",
        "STATE",
        "exec a true",
        "resume a",
        "resume a",
        "update --pids-limit 99 a",
        "kill a NOSUCH",
        "kill a KILL",
        "WAIT",
        "STATE",
        "kill a TERM",
        "exec a true",
        "start a",
        "pause a",
        "delete a",
        "delete a",
        "delete --force a",
        "run --bundle /run/b a/b",
        "run --bundle /nothing a",
    ] {
        if words == "STATE" {
            states.push(serde_json::from_str(&host.sh(&format!("{runtime} state a")).stdout()).unwrap());
        } else if words == "WAIT" {
            bulkhead_tests::wait::until("it has stopped", || {
                host.sh(&format!("{runtime} state a")).stdout().contains("stopped")
            });
        } else {
            let output = host.sh(&format!("{runtime} --log /run/log --log-format json {words}")).run();
            let reason = host.sh("tail -n 1 /run/log 2> /dev/null || true; rm -f /run/log").stdout();
            let reason: Value = serde_json::from_str(&reason).unwrap_or_default();
            let reason = if output.code() == 0 {
                String::new()
            } else {
                reason["msg"].as_str().unwrap_or("").to_owned()
            };
            said.push((words.to_owned(), output.code(), reason));
        }
    }
    (said, states)
}

#[test]
fn codes_states_and_the_words_that_callers_look_for_are_the_same() {
    let host = Host::new("oci-runc");
    if host.sh("command -v runc").run().code() != 0 {
        skip!("runc is not installed");
    }
    Bundle::new(&host, "b", "exec sleep 1000");
    let (theirs, their_states) = session(&host, "runc");
    let (ours, our_states) = session(&host, "bulkhead oci");
    for ((words, code, reason), (_, our_code, our_reason)) in theirs.iter().zip(&ours) {
        assert_eq!(code, our_code, "{words}: runc says {reason:?}, we say {our_reason:?}");
        for known in [
            "does not exist",
            "already exists",
            "not running",
            "not paused",
            "executable file not found",
            "invalid container ID",
            "cannot start",
            "cannot delete",
            "cannot exec",
        ] {
            assert_eq!(
                reason.contains(known),
                our_reason.contains(known),
                "{words}: {reason:?}, {our_reason:?}"
            );
        }
    }
    for (theirs, ours) in their_states.iter().zip(&our_states) {
        let keys = |state: &Value| state.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(theirs), keys(ours));
        for field in ["id", "status", "bundle", "rootfs", "owner"] {
            assert_eq!(theirs[field], ours[field], "{field}");
        }
        assert_eq!(theirs["pid"] == 0, ours["pid"] == 0);
    }
    host.sh("rmdir /run/runc 2> /dev/null || true").run().succeeds();
    host.finish();
}
