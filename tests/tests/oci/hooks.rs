//! Hooks of all kinds (config.md, "POSIX-platform Hooks").

use bulkhead_tests::Host;
use serde_json::{Value, json};

use crate::Bundle;
use crate::bundle::{oci, status};

/// A hook that notes its kind, the status that it reads, and whether it sees the host's files.
fn noting(kind: &str) -> Value {
    // In the container, /run/log is the same file by a bind.
    let script = format!(
        "s=$(sed 's/.*\"status\":\"\\([a-z]*\\)\".*/\\1/'); test -e /run/b/config.json && w=host || w=container; \
         echo {kind} $s $w $NOTE >> /run/log"
    );
    json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["NOTE=n", "PATH=/bin:/usr/bin"] }])
}

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

fn with_hooks(config: &mut Value) {
    for kind in KINDS {
        config["hooks"][kind] = noting(kind);
    }
    let log = json!({ "destination": "/run/log", "source": "/run/log", "options": ["bind"] });
    config["mounts"].as_array_mut().unwrap().push(log);
}

#[test]
fn each_kind_runs_at_its_time_and_place_with_the_state_on_its_input() {
    let host = Host::new("oci-hooks");
    host.sh("touch /run/log").run().succeeds();
    let bundle = Bundle::new(&host, "b", "echo program >> /run/log; exec sleep 1000").with(with_hooks);
    bundle.create("one");
    let created = "prestart creating host n\ncreateRuntime creating host n\ncreateContainer creating host n";
    host.sh("cat /run/log").prints(created);
    oci(&host, "start one").run().succeeds();
    let log = host.sh("cat /run/log").stdout();
    let mut lines: Vec<&str> = log.lines().skip(3).collect();
    assert_eq!(lines.remove(0), "startContainer created container n");
    // The program and this hook run at the same time.
    assert!(lines.contains(&"poststart running host n"), "{log}");
    oci(&host, "delete --force one").run().succeeds();
    assert_eq!(host.sh("tail -n 1 /run/log").stdout(), "poststop stopped host n");
    host.finish();
}

#[test]
fn run_runs_the_same() {
    let host = Host::new("oci-run-hooks");
    host.sh("touch /run/log").run().succeeds();
    Bundle::new(&host, "b", "true").with(with_hooks).run("").run().succeeds();
    let log = host.sh("cut -d' ' -f1 /run/log").stdout();
    assert_eq!(log.split_whitespace().collect::<Vec<_>>(), KINDS);
    host.finish();
}

#[test]
fn a_container_hook_sees_the_container_s_mounts_below_its_bundle() {
    let host = Host::new("oci-hook-mounts");
    let script = "test -d /run/b/rootfs/proc/1 && touch /run/b/rootfs/dev/by-hook";
    let bundle = Bundle::new(&host, "b", "test -e /dev/by-hook").with(|config| {
        config["hooks"]["createContainer"] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }]);
    });
    bundle.run("").run().succeeds();
    host.sh("test -e /run/b/rootfs/dev/by-hook").fails(1, "");
    host.finish();
}

#[test]
fn a_hook_that_fails_or_hangs_ends_the_creation_and_nothing_is_left() {
    let host = Host::new("oci-bad-hooks");
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let bundle = Bundle::new(&host, kind, "true").with(|config| {
            let fails = json!([{ "path": "/bin/sh", "args": ["sh", "-c", "echo a reason >&2; exit 3"] }]);
            config["hooks"][kind] = fails;
            config["hooks"]["poststop"] = noting("poststop");
        });
        bundle.run("").fails(1, "exit status: 3: a reason");
    }
    assert_eq!(host.sh("wc -l < /run/log").stdout(), "4", "poststop is run after each");
    let bundle = Bundle::new(&host, "hang", "true").with(|config| {
        config["hooks"]["createContainer"] =
            json!([{ "path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1 }]);
    });
    bundle.run("").fails(1, "has not ended within 1 seconds");
    oci(&host, "list -q").prints("");
    host.finish();
}

#[test]
fn a_start_that_fails_says_why_and_the_container_has_stopped() {
    let host = Host::new("oci-bad-start");
    let bundle = Bundle::new(&host, "b", "true").with(|config| {
        config["hooks"]["startContainer"] = json!([{ "path": "/bin/false" }]);
    });
    bundle.create("one");
    oci(&host, "start one").fails(1, "error running hook /bin/false");
    crate::bundle::await_status(&host, "one", "stopped");
    oci(&host, "delete one").run().succeeds();
    let bundle = bundle.with(|config| {
        config["hooks"] = json!({ "poststart": [{ "path": "/bin/false" }, noting("poststart")[0]] });
        config["process"]["args"] = json!(["sleep", "1000"]);
    });
    bundle.create("one");
    oci(&host, "start one").run().succeeds().says("error running hook /bin/false");
    assert_eq!(status(&host, "one"), "running");
    host.sh("cut -d' ' -f1 /run/log").prints("poststart");
    oci(&host, "delete -f one").run().succeeds();
    // Under `run` the same, and after the end.
    let bundle = bundle.with(|config| {
        config["hooks"]["poststop"] =
            json!([{ "path": "/bin/false", "args": ["last"] }, noting("poststop")[0]]);
        config["process"]["args"] = json!(["echo", "it runs"]);
    });
    let output = bundle.run("").run();
    assert_eq!(output.succeeds().stdout(), "it runs\n");
    output.says("error running hook /bin/false");
    host.sh("cut -d' ' -f1 /run/log").prints("poststart\npoststart\npoststop");
    oci(&host, "list -q").prints("");
    host.finish();
}
