//! Signals: `stop`, `kill`, and those that come to the command itself.

use bulkhead_tests::Host;

/// Ends with 3 at SIGTERM, with 4 at SIGUSR1, and says when it is ready.
const TRAPS: &str = "trap 'exit 3' TERM; trap 'exit 4' USR1; echo ready; while :; do sleep 0.05; done";

fn trapping(host: &Host, flags: &[&str]) {
    let run = ["--name", "c1"].into_iter().chain(flags.iter().copied());
    host.run_detached(run.chain(["busybox", "sh", "-c", TRAPS]));
    host.sh("until bulkhead logs c1 | grep -q ready; do sleep 0.01; done").prints("");
}

#[test]
fn stop_asks_first_and_then_kills() {
    let host = Host::new("signals-stop").with_busybox();
    trapping(&host, &[]);
    host.bulkhead(["stop", "c1"]).prints("c1");
    assert_eq!(host.inspect("c1", "{{.State.ExitCode}} {{.State.Status}}"), "3 exited");
    host.bulkhead(["rm", "c1"]).prints("c1");
    // PID 1 ignores SIGTERM unless it asks for it.
    host.run_detached(["--name", "deaf", "busybox", "sleep", "1000"]);
    host.bulkhead(["stop", "-t", "1", "deaf"]).prints("deaf");
    assert_eq!(host.inspect("deaf", "{{.State.ExitCode}}"), "137");
    // Already stopped: nothing to do, and no error.
    host.bulkhead(["stop", "deaf"]).prints("deaf");
    host.bulkhead(["stop", "nobody"]).fails(1, "No such container: nobody");
    host.finish();
}

#[test]
fn the_stop_signal_can_be_chosen() {
    let host = Host::new("signals-choice").with_busybox();
    trapping(&host, &["--stop-signal=USR1"]);
    host.bulkhead(["stop", "c1"]).prints("c1");
    assert_eq!(host.inspect("c1", "{{.State.ExitCode}}"), "4");
    host.bulkhead(["rm", "c1"]).prints("c1");
    host.bulkhead(["run", "--rm", "--stop-signal=NOSUCH", "busybox", "true"]).fails(125, "NOSUCH");
    host.finish();
}

#[test]
fn kill_sends_what_it_is_told() {
    let host = Host::new("signals-kill").with_busybox();
    for (signal, code) in [("USR1", "4"), ("SIGTERM", "3"), ("10", "4"), ("KILL", "137")] {
        trapping(&host, &[]);
        host.bulkhead(["kill", "-s", signal, "c1"]).prints("c1");
        host.bulkhead(["wait", "c1"]).prints(code);
        host.bulkhead(["rm", "c1"]).prints("c1");
    }
    trapping(&host, &[]);
    host.bulkhead(["kill", "-s", "NOSUCH", "c1"]).fails(1, "NOSUCH");
    host.bulkhead(["kill", "c1"]).prints("c1");
    host.bulkhead(["wait", "c1"]).prints("137");
    host.bulkhead(["kill", "c1"]).fails(1, "is not running");
    host.finish();
}

#[test]
fn a_signal_to_the_command_goes_to_the_container() {
    let host = Host::new("signals-proxy").with_busybox();
    let script = |flag: &str| {
        format!(
            "bulkhead run --rm {flag} --name c1 busybox sh -c \"{TRAPS}\" >/tmp/out </dev/null & pid=$!
             until grep -q ready /tmp/out; do sleep 0.01; done
             kill -TERM $pid; code=0; wait $pid || code=$?; echo $code"
        )
    };
    host.sh(&script("")).prints("3");
    host.finish_clean();

    let host = Host::new("signals-no-proxy").with_busybox();
    host.sh(&script("--sig-proxy=false")).prints("143");
    assert_eq!(host.inspect("c1", "{{.State.Running}}"), "true");
    host.finish();
}

#[test]
fn with_init_orphans_are_reaped_and_signals_arrive() {
    let host = Host::new("signals-init").with_busybox();
    host.run_detached(["--name", "c1", "--init", "busybox", "sleep", "1000"]);
    // The init is PID 1, and so sleep ends by SIGTERM like any process.
    host.bulkhead(["stop", "c1"]).prints("c1");
    assert_eq!(host.inspect("c1", "{{.State.ExitCode}}"), "143");
    let zombies = "(sleep 0.1 &); (sleep 0.1 &); sleep 0.5; ps -o stat | grep -c Z || true";
    crate::sh(&host, &["--init"], "busybox", zombies).prints("0");
    // Without it, a PID 1 that does not wait leaves zombies: what --init is for.
    let careless = ["run", "-d", "--name", "z1", "busybox", "sh", "-c", "(sleep 0.1 &); exec sleep 1000"];
    host.bulkhead(careless).run().succeeds();
    let wait =
        "for i in $(seq 200); do if ps -o stat | grep -q Z; then echo zombie; exit; fi; sleep 0.02; done";
    host.bulkhead(["exec", "z1", "sh", "-c", wait]).prints("zombie");
    host.finish();
}

/// What is frozen goes on to hear that it is to stop.
#[test]
fn a_paused_container_says_goodbye() {
    let host = Host::new("signals-paused").with_busybox();
    let script = "trap 'echo goodbye; exit 4' TERM; echo hello; while :; do sleep 0.01; done";
    host.run_detached(["--name", "c1", "busybox", "sh", "-c", script]);
    host.sh("for i in $(seq 500); do bulkhead logs c1 | grep -q hello && break; sleep 0.01; done").prints("");
    host.bulkhead(["pause", "c1"]).prints("c1");
    host.bulkhead(["stop", "-t", "50", "c1"]).prints("c1");
    assert_eq!(host.inspect("c1", "{{.State.Status}} {{.State.ExitCode}}"), "exited 4");
    host.bulkhead(["logs", "c1"]).prints("hello\ngoodbye");
    host.bulkhead(["rm", "c1"]).prints("c1");
    host.finish_clean();
}
