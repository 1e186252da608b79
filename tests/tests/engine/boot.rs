//! `system boot` and `system shutdown`: what runs after the machine was down, and what every state is then.

use bulkhead_tests::Host;

/// The machine goes down, without a warning: all processes of the engine are gone, and /run is empty. What was then is told
/// from now by the boot's ID, so that in the containers' files becomes another.
const REBOOT: &str = r#"
    for status in /var/lib/bulkhead/containers/*/status.json; do
        pid=$(sed 's/.*"supervisor":{"pid":\([0-9]*\).*/\1/' $status)
        kill -9 $pid 2>/dev/null || true
        first=$(sed -n 's/.*"first":{"pid":\([0-9]*\).*/\1/p' $status)
        test -z "$first" || kill -9 $first 2>/dev/null || true
        sed -i 's/"boot":"[^"]*"/"boot":"another"/g' $status
    done
    rm -rf /run/bulkhead"#;

fn states(host: &Host) -> String {
    let list = host.bulkhead(["ps", "-a", "--format", "{{.Names}} {{.State}}"]).stdout();
    let mut lines: Vec<&str> = list.lines().collect();
    lines.sort_unstable();
    lines.join(", ")
}

#[test]
fn after_a_power_cut() {
    let host = Host::new("boot").with_busybox();
    let sleeper = |name: &str, policy: &str| {
        host.run_detached(["--name", name, "--restart", policy, "busybox", "sleep", "1000"]);
    };
    for (name, policy) in [
        ("always", "always"),
        ("failure", "on-failure"),
        ("no", "no"),
        ("unless", "unless-stopped"),
        ("was-stopped", "unless-stopped"),
        ("was-stopped-always", "always"),
    ] {
        sleeper(name, policy);
    }
    // The one that is joined is younger than the one that joins it.
    host.bulkhead([
        "create",
        "--name",
        "joins",
        "--restart",
        "always",
        "--pid",
        "container:no",
        "busybox",
        "sleep",
        "1000",
    ])
    .run()
    .succeeds();
    host.bulkhead(["create", "--name", "never-ran", "--restart", "always", "busybox", "true"])
        .run()
        .succeeds();
    host.bulkhead(["stop", "-t", "0", "was-stopped", "was-stopped-always"]).run().succeeds();
    host.sh(REBOOT).run().succeeds();
    let down = "always exited, failure exited, joins created, never-ran created, no exited, unless exited, was-stopped exited, was-stopped-always exited";
    assert_eq!(states(&host), down);
    assert_eq!(host.inspect("no", "{{.State.ExitCode}} {{.State.Pid}}"), "255 0");
    assert!(host.inspect("no", "{{.State.Error}}").contains("the machine went down"));
    host.bulkhead(["system", "boot"]).prints("always\nfailure\nunless\nwas-stopped-always");
    let up = "always running, failure running, joins created, never-ran created, no exited, unless running, was-stopped exited, was-stopped-always running";
    assert_eq!(states(&host), up);
    host.bulkhead(["exec", "always", "echo", "there"]).prints("there");
    // A second boot in the same life of the machine has nothing to do.
    host.bulkhead(["system", "boot"]).prints("");
    assert_eq!(states(&host), up);
    host.bulkhead([
        "rm",
        "-f",
        "always",
        "failure",
        "joins",
        "never-ran",
        "no",
        "unless",
        "was-stopped",
        "was-stopped-always",
    ])
    .run()
    .succeeds();
    host.finish_clean();
}

/// What joins another is started after it, and what cannot be started is named without holding up the rest.
#[test]
fn in_the_order_that_works() {
    let host = Host::new("boot-order").with_busybox();
    host.run_detached(["--name", "base", "busybox", "sleep", "1000"]);
    host.run_detached([
        "--name",
        "joins",
        "--restart",
        "always",
        "--network",
        "container:base",
        "busybox",
        "sleep",
        "1000",
    ]);
    host.run_detached([
        "--name",
        "gone",
        "--restart",
        "always",
        "-v",
        "/run/gone:/x",
        "busybox",
        "sleep",
        "1000",
    ]);
    host.bulkhead(["rename", "base", "old"]).prints("");
    host.run_detached(["--name", "base", "--restart", "always", "busybox", "sleep", "1000"]);
    host.sh(REBOOT).run().succeeds();
    host.sh("rmdir /run/gone; echo file > /run/gone").run().succeeds();
    let boot = host.bulkhead(["system", "boot"]).run();
    boot.ends_with(1).says("cannot start container gone");
    assert_eq!(boot.stdout(), "base\njoins\n");
    host.bulkhead(["rm", "-f", "base", "joins", "gone", "old"]).run().succeeds();
    host.sh("rm /run/gone").run().succeeds();
    host.finish_clean();
}

/// Ended in order before the machine goes down: programs may say goodbye, and what ran runs again.
#[test]
fn after_a_shutdown() {
    let host = Host::new("shutdown").with_busybox();
    let script = "trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.01; done";
    host.run_detached(["--name", "polite", "--restart", "unless-stopped", "busybox", "sh", "-c", script]);
    host.run_detached([
        "--name",
        "deaf",
        "--stop-timeout",
        "0",
        "--restart",
        "unless-stopped",
        "busybox",
        "sleep",
        "1000",
    ]);
    host.run_detached(["--name", "stopped", "--restart", "unless-stopped", "busybox", "sleep", "1000"]);
    host.run_detached(["--rm", "--name", "passing", "--stop-timeout", "0", "busybox", "sleep", "1000"]);
    host.bulkhead(["stop", "-t", "0", "stopped"]).prints("stopped");
    host.sh(
        "for i in $(seq 500); do bulkhead logs polite | grep -q hello && exit 0; sleep 0.01; done; exit 1",
    )
    .run()
    .succeeds();
    host.bulkhead(["system", "shutdown"]).prints("");
    host.bulkhead(["logs", "polite"]).prints("hello\ngoodbye");
    assert_eq!(states(&host), "deaf exited, polite exited, stopped exited");
    host.sh(REBOOT).run().succeeds();
    host.bulkhead(["system", "boot"]).prints("polite\ndeaf");
    host.bulkhead(["rm", "-f", "polite", "deaf", "stopped"]).run().succeeds();
    host.finish_clean();
}

/// A shutdown that is cut short has stopped nobody for good: that is a wish of the machine, and of nobody.
#[test]
fn after_a_shutdown_that_was_killed() {
    let host = Host::new("shutdown-killed").with_busybox();
    host.run_detached([
        "--name",
        "ends",
        "--restart",
        "unless-stopped",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 0' TERM; while :; do sleep 0.01; done",
    ]);
    host.run_detached(["--name", "deaf", "--restart", "unless-stopped", "busybox", "sleep", "1000"]);
    host.sh("bulkhead system shutdown & pid=$!
        for i in $(seq 500); do bulkhead inspect -f '{{.State.Status}}' ends | grep -q exited && break; sleep 0.01; done
        kill -9 $pid")
        .run()
        .succeeds();
    assert_eq!(states(&host), "deaf running, ends exited");
    host.sh(REBOOT).run().succeeds();
    host.bulkhead(["system", "boot"]).prints("ends\ndeaf");
    host.bulkhead(["rm", "-f", "ends", "deaf"]).run().succeeds();
    host.finish_clean();
}

/// Retries that are used up stay so.
#[test]
fn a_boot_is_no_retry() {
    let host = Host::new("boot-retries").with_busybox();
    host.run_detached(["--name", "c1", "--restart", "on-failure:1", "busybox", "false"]);
    host.sh("for i in $(seq 500); do test \"$(bulkhead inspect -f '{{.State.Status}} {{.RestartCount}}' c1)\" = 'exited 1' && break; sleep 0.01; done").prints("");
    host.sh(REBOOT).run().succeeds();
    host.bulkhead(["system", "boot"]).prints("");
    host.bulkhead(["rm", "c1"]).prints("c1");
    host.finish_clean();
}
