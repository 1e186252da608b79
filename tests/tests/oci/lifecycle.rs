//! What becomes of a container from `create` to `delete` (runtime.md, "Lifecycle").

use bulkhead_tests::{Host, wait};

use crate::Bundle;
use crate::bundle::{await_status, oci, state, status};

#[test]
fn a_created_container_waits_with_nobody_beside_it_until_it_is_started() {
    let host = Host::new("oci-create");
    let bundle = Bundle::new(&host, "b", "echo started > /tmp/ran; exec sleep 1000");
    bundle.create("one");
    let made = state(&host, "one");
    assert_eq!(
        (made["status"].as_str(), made["bundle"].as_str()),
        (Some("created"), Some("/run/b")),
        "{made}"
    );
    assert_eq!(made["rootfs"], "/run/b/rootfs");
    let pid = made["pid"].as_i64().unwrap();
    host.sh(&format!("cut -d' ' -f4 /proc/{pid}/stat")).prints("1");
    host.sh("test -e /run/b/rootfs/tmp/ran").fails(1, "");
    oci(&host, "start one").run().succeeds();
    wait::until("the program has run", || host.sh("test -s /run/b/rootfs/tmp/ran").run().code() == 0);
    assert_eq!(state(&host, "one")["pid"].as_i64(), Some(pid));
    assert_eq!(status(&host, "one"), "running");
    host.sh(&format!("cat /proc/{pid}/comm")).prints("sleep");
    oci(&host, "start one").fails(1, "cannot start an already running container");
    oci(&host, "delete one").fails(1, "cannot delete container one that is not stopped: running");
    oci(&host, "kill one KILL").run().succeeds();
    await_status(&host, "one", "stopped");
    assert_eq!(state(&host, "one")["pid"], 0);
    oci(&host, "start one").fails(1, "cannot start a container that has stopped");
    oci(&host, "kill one").fails(1, "container not running");
    oci(&host, "delete one").run().succeeds();
    oci(&host, "state one").fails(1, "container does not exist");
    host.finish();
}

#[test]
fn run_gives_the_program_s_output_and_code_and_leaves_nothing() {
    let host = Host::new("oci-run");
    let bundle = Bundle::new(&host, "b", "cat; echo out; echo err >&2; exit 7");
    let output = bundle.run("").stdin("in\n").run();
    output.ends_with(7);
    assert_eq!(output.stdout(), "in\nout\n");
    output.says("err");
    oci(&host, "list -q").prints("");
    bundle.run("--keep").run().ends_with(7);
    assert_eq!(status(&host, "test"), "stopped");
    bundle.run("").fails(1, "container with given ID already exists");
    oci(&host, "delete test").run().succeeds();
    host.finish();
}

#[test]
fn a_detached_run_returns_when_the_program_runs() {
    let host = Host::new("oci-detach");
    let bundle = Bundle::new(&host, "b", "exec sleep 1000");
    bundle.run("--detach --pid-file /run/pid < /dev/null > /dev/null 2>&1").run().succeeds();
    let pid = host.sh("cat /run/pid").stdout();
    assert_eq!(state(&host, "test")["pid"].to_string(), pid);
    oci(&host, "list -q").prints("test");
    let list = oci(&host, "list --format json").stdout();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&list[0]["id"], &list[0]["status"]), (&"test".into(), &"running".into()));
    oci(&host, "delete --force test").run().succeeds();
    oci(&host, "delete --force test").run().succeeds();
    oci(&host, "delete test").fails(1, "container does not exist");
    host.finish();
}

#[test]
fn a_signal_for_a_run_that_stays_is_the_program_s() {
    let host = Host::new("oci-signals");
    let script = "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let bundle = Bundle::new(&host, "b", script);
    let mut running = host
        .sh(&format!("exec bulkhead oci run --bundle {} test & echo $! > /run/pid; wait $!", bundle.folder))
        .start();
    running.expect("ready");
    host.sh("kill -TERM $(cat /run/pid)").run().succeeds();
    running.expect("got it");
    running.finish().ends_with(5);
    host.finish();
}

#[test]
fn a_killed_create_leaves_nothing_that_counts() {
    let host = Host::new("oci-killed");
    let bundle = Bundle::new(&host, "b", "true").with(|config| {
        let script = "echo $$ > /run/hook; exec sleep 1000";
        config["hooks"] =
            serde_json::json!({ "createRuntime": [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] });
    });
    let create = format!(
        "bulkhead oci create --bundle {} one < /dev/null > /dev/null 2>&1 & echo $! > /run/pid",
        bundle.folder
    );
    host.sh(&create).run().succeeds();
    wait::until("the hook runs", || host.sh("test -s /run/hook").run().code() == 0);
    assert_eq!(status(&host, "one"), "creating");
    oci(&host, &format!("create --bundle {} one", bundle.folder))
        .fails(1, "container with given ID already exists");
    host.sh("kill -KILL $(cat /run/pid); kill -KILL $(cat /run/hook)").run().succeeds();
    wait::until("the dead one counts no more", || oci(&host, "state one").run().code() == 1);
    oci(&host, "state one").fails(1, "container does not exist");
    oci(&host, "list -q").prints("");
    Bundle::new(&host, "c", "echo again").start("one");
    await_status(&host, "one", "stopped");
    oci(&host, "delete one").run().succeeds();
    host.finish();
}

#[test]
fn a_container_that_was_never_started_can_be_deleted_and_its_end_is_seen() {
    let host = Host::new("oci-unstarted");
    let bundle = Bundle::new(&host, "b", "true");
    bundle.create("one");
    oci(&host, "delete one").run().succeeds();
    bundle.create("one");
    oci(&host, "kill one KILL").run().succeeds();
    await_status(&host, "one", "stopped");
    oci(&host, "start one").fails(1, "cannot start a container that has stopped");
    oci(&host, "delete one").run().succeeds();
    host.finish();
}

#[test]
fn a_frozen_container_does_nothing_until_it_is_resumed() {
    let host = Host::new("oci-pause");
    let bundle = Bundle::new(&host, "b", "while :; do echo x >> /tmp/beats; sleep 0.01; done");
    bundle.start("one");
    let beats = || host.sh("cat /run/b/rootfs/tmp/beats | wc -l").stdout();
    wait::until("it beats", || host.sh("test -s /run/b/rootfs/tmp/beats").run().code() == 0);
    oci(&host, "resume one").fails(1, "container not paused");
    oci(&host, "pause one").run().succeeds();
    assert_eq!(status(&host, "one"), "paused");
    oci(&host, "exec one true").fails(255, "cannot exec in a paused container");
    let frozen = beats();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(beats(), frozen);
    oci(&host, "resume one").run().succeeds();
    wait::until("it beats again", || beats() != frozen);
    oci(&host, "pause one").run().succeeds();
    oci(&host, "kill one KILL").run().succeeds();
    await_status(&host, "one", "stopped");
    oci(&host, "delete one").run().succeeds();
    bundle.start("one");
    oci(&host, "pause one").run().succeeds();
    oci(&host, "delete --force one").run().succeeds();
    host.finish();
}

#[test]
fn kill_all_reaches_every_process_and_ps_shows_them() {
    let host = Host::new("oci-all");
    let script = "trap '' USR1; for n in 1 2; do (trap 'echo $n >> /tmp/got' USR1; while :; do sleep 0.02; done) & done; wait; sleep 1000";
    let bundle = Bundle::new(&host, "b", script);
    bundle.start("one");
    wait::until("both are there", || {
        oci(&host, "ps --format json one | grep -c '[0-9]'").stdout().parse::<u32>().unwrap() >= 3
    });
    wait::until("both have heard of it", || {
        oci(&host, "kill --all one USR1").run().succeeds();
        host.sh("sort -u /run/b/rootfs/tmp/got | wc -l").run().stdout().trim() == "2"
    });
    oci(&host, "kill one NOSUCH").fails(1, "unknown signal");
    oci(&host, "delete -f one").run().succeeds();
    host.finish();
}
