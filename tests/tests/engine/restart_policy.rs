//! `--restart`: which ends are followed by another run, what is shown meanwhile, and who can end it.

use bulkhead_tests::Host;

/// Waits until `NAME`'s state is so.
fn until(host: &Host, name: &str, format: &str, expected: &str) {
    let script = format!(
        "for i in $(seq 2000); do test \"$(bulkhead inspect -f '{format}' {name})\" = '{expected}' && exit 0; sleep 0.01; done;
         bulkhead inspect -f '{format}' {name}; exit 1"
    );
    host.sh(&script).run().succeeds();
}

#[test]
fn failures_are_tried_again_as_often_as_asked() {
    let host = Host::new("restart-on-failure").with_busybox();
    host.run_detached([
        "--name",
        "c1",
        "--restart",
        "on-failure:3",
        "busybox",
        "sh",
        "-c",
        "echo run; exit 7",
    ]);
    until(&host, "c1", "{{.State.Status}} {{.RestartCount}}", "exited 3");
    assert_eq!(host.inspect("c1", "{{.State.ExitCode}}"), "7");
    host.bulkhead(["logs", "c1"]).prints("run\nrun\nrun\nrun");
    // Somebody starts it: the count begins anew.
    host.bulkhead(["start", "c1"]).prints("c1");
    until(&host, "c1", "{{.State.Status}} {{.RestartCount}}", "exited 3");
    host.run_detached(["--name", "c2", "--restart", "on-failure", "busybox", "true"]);
    host.bulkhead(["wait", "c2"]).prints("0");
    assert_eq!(host.inspect("c2", "{{.State.Status}} {{.RestartCount}}"), "exited 0");
    host.bulkhead(["rm", "c1", "c2"]).prints("c1\nc2");
    host.finish_clean();
}

/// `always`: until somebody stops it, whichever way, and whether it runs in that moment or waits to.
#[test]
fn only_people_end_it() {
    let host = Host::new("restart-always").with_busybox();
    for (number, stop) in ["stop -t 0", "kill", "kill -s TERM", "rm -f"].into_iter().enumerate() {
        let name = format!("waits{number}");
        // After its fifth run the wait is long enough to be met.
        host.run_detached(["--name", &name, "--restart", "always", "busybox", "true"]);
        until(&host, &name, "{{.State.Status}} {{gt .RestartCount 3}}", "restarting true");
        host.bulkhead(["ps", "--format", "{{.Status}}"]).run().shows("Restarting (0) ");
        assert_eq!(host.inspect(&name, "{{.State.Running}} {{.State.Restarting}}"), "true true");
        host.bulkhead(["exec", &name, "true"]).fails(1, "is restarting, wait until the container is running");
        host.bulkhead(["rm", &name]).fails(1, "cannot remove container");
        host.bulkhead(["pause", &name]).fails(1, "is restarting");
        host.sh(&format!("bulkhead {stop} {name}")).prints(&name);
        if stop != "rm -f" {
            assert_eq!(host.inspect(&name, "{{.State.Status}}"), "exited");
            host.bulkhead(["rm", &name]).prints(&name);
        }
    }
    for (number, stop) in ["stop -t 0", "kill", "rm -f"].into_iter().enumerate() {
        let name = format!("runs{number}");
        host.run_detached(["--name", &name, "--restart", "unless-stopped", "busybox", "sleep", "1000"]);
        host.sh(&format!("bulkhead {stop} {name}")).prints(&name);
        if stop != "rm -f" {
            assert_eq!(host.inspect(&name, "{{.State.Status}} {{.RestartCount}}"), "exited 0");
            host.bulkhead(["rm", &name]).prints(&name);
        }
    }
    host.finish_clean();
}

/// A program that is killed is no wish of anybody's.
#[test]
fn what_dies_comes_back() {
    let host = Host::new("restart-dies").with_busybox();
    host.run_detached(["--name", "c1", "--restart", "always", "busybox", "sleep", "1000"]);
    let first = host.inspect("c1", "{{.State.Pid}}");
    host.sh(&format!("kill -9 {first}")).run().succeeds();
    until(&host, "c1", "{{.State.Status}} {{.RestartCount}}", "running 1");
    assert_ne!(host.inspect("c1", "{{.State.Pid}}"), first);
    host.bulkhead(["exec", "c1", "echo", "there"]).prints("there");
    // Its supervisor is killed: the next command sees it, and has it started again.
    host.sh("kill -9 $(sed 's/.*\"supervisor\":{\"pid\":\\([0-9]*\\).*/\\1/' /var/lib/bulkhead/containers/*/status.json)")
        .run()
        .succeeds();
    until(&host, "c1", "{{.State.Status}} {{.RestartCount}}", "running 2");
    host.bulkhead(["exec", "c1", "echo", "there"]).prints("there");
    host.bulkhead(["rename", "c1", "c2"]).prints("");
    host.bulkhead(["rm", "-f", "c2"]).prints("c2");
    host.finish_clean();
}

/// A run that cannot be had any more ends it, and says why.
#[test]
fn a_run_that_cannot_begin() {
    let host = Host::new("restart-cannot").with_busybox();
    host.run_detached(["--name", "base", "busybox", "sleep", "1000"]);
    let script = "until test -e /tmp/go; do sleep 0.01; done";
    host.run_detached([
        "--name",
        "c1",
        "--restart",
        "always",
        "--pid",
        "container:base",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    host.bulkhead(["stop", "-t", "0", "base"]).prints("base");
    until(&host, "c1", "{{.State.Status}}", "exited");
    assert!(host.inspect("c1", "{{.State.Error}}").contains("cannot join PID namespace"), "it says why");
    host.bulkhead(["rm", "c1", "base"]).prints("c1\nbase");
    host.finish_clean();
}

/// Whoever waits is told of each end, and whoever is attached is let go.
#[test]
fn an_end_is_an_end_for_who_waits() {
    let host = Host::new("restart-waits").with_busybox();
    host.bulkhead(["run", "--name", "c1", "--restart", "always", "busybox", "sh", "-c", "echo out; exit 4"])
        .run()
        .ends_with(4)
        .shows("out");
    host.bulkhead(["wait", "c1"]).prints("4");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    host.finish_clean();
}

#[test]
fn policies_that_cannot_be() {
    let host = Host::new("restart-bad").with_busybox();
    let run = |policy: &str| host.bulkhead(["run", "--restart", policy, "busybox", "true"]);
    run("sometimes").fails(125, "use one of no, always, on-failure, or unless-stopped");
    run("on-failure:x").fails(125, "maximum retry count must be an integer");
    run("on-failure:-1").fails(125, "cannot be negative");
    run("always:3").fails(125, "maximum retry count can only be used with 'on-failure'");
    host.bulkhead(["run", "--rm", "--restart", "always", "busybox", "true"])
        .fails(125, "cannot specify both --restart and --rm");
    host.bulkhead(["run", "--rm", "--restart", "no", "busybox", "true"]).prints("");
    host.bulkhead(["ps", "-aq"]).prints("");
    host.finish_clean();
}

/// What it deleted in a volume that the image has filled stays deleted, whoever starts it again.
#[test]
fn another_run_fills_no_volume_again() {
    let host = Host::new("restart-volume").with_busybox();
    host.run_detached([
        "--name",
        "c1",
        "--restart",
        "on-failure:1",
        "-v",
        "v2:/bin",
        "busybox",
        "/bin/busybox",
        "sh",
        "-c",
        "test -e /keep || { busybox touch /keep; busybox rm /bin/vi; exit 1; }; busybox ls /bin/vi; exit 0",
    ]);
    until(&host, "c1", "{{.State.Status}} {{.RestartCount}}", "exited 1");
    host.bulkhead(["logs", "c1"]).run().says("No such file");
    host.bulkhead(["rm", "c1"]).prints("c1");
    host.finish();
}
