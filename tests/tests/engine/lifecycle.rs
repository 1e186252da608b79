//! create, start, wait, rm, --rm, and how a container's state is told.

use bulkhead_tests::Host;

#[test]
fn from_created_to_removed() {
    let host = Host::new("life").with_busybox();
    let id = host.bulkhead(["create", "--name", "c", "busybox", "sh", "-c", "exit 7"]).stdout();
    assert_eq!(id.len(), 64);
    let state = || host.inspect("c", "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}}");
    assert_eq!(state(), "created false 0");
    host.bulkhead(["start", "c"]).prints("c");
    host.bulkhead(["wait", "c"]).prints("7");
    assert_eq!(state(), "exited false 7");
    host.bulkhead(["start", &id[..8]]).prints(&id[..8]);
    host.bulkhead(["wait", &id]).prints("7");
    host.bulkhead(["rm", "c"]).prints("c");
    host.bulkhead(["inspect", "c"]).fails(1, "No such object: c");
    host.bulkhead(["start", "c"]).fails(1, "No such container: c");
    host.finish_clean();
}

#[test]
fn rm_wants_force_for_a_running_one() {
    let host = Host::new("life-rm").with_busybox();
    host.run_detached(["--name", "c", "busybox", "sleep", "1000"]);
    host.bulkhead(["rm", "c"]).fails(1, "running").says("force");
    host.bulkhead(["rm", "-f", "c"]).prints("c");
    host.bulkhead(["rm", "c"]).fails(1, "No such container: c");
    // With force, one that is not there is no error.
    host.bulkhead(["rm", "-f", "c"]).run().succeeds();
    let ids = ["a", "b"].map(|name| host.bulkhead(["create", "--name", name, "busybox"]).stdout());
    assert_eq!(ids.len(), 2);
    // One bad name does not keep the others.
    host.bulkhead(["rm", "a", "nobody", "b"]).fails(1, "nobody").shows("a\nb");
    host.finish_clean();
}

#[test]
fn exit_codes_are_dockers() {
    let host = Host::new("life-codes").with_busybox();
    for code in [0, 1, 42, 125, 126, 127, 255] {
        host.bulkhead(["run", "--rm", "busybox", "sh", "-c", &format!("exit {code}")]).run().ends_with(code);
    }
    host.bulkhead(["run", "--rm", "busybox", "sh", "-c", "kill -KILL $$; sleep 10"]).run();
    host.bulkhead(["run", "--rm", "--init", "busybox", "sh", "-c", "kill -SEGV $$"]).run().ends_with(139);
    host.bulkhead(["run", "--rm", "busybox", "nosuch"]).fails(127, "executable file not found in $PATH");
    host.bulkhead(["run", "--rm", "busybox", "/no/such"]).fails(127, "no such file or directory");
    host.bulkhead(["run", "--rm", "busybox", "/etc/passwd"]).fails(126, "permission denied");
    host.bulkhead(["run", "--rm", "busybox", "/etc"]).run().ends_with(126);
    host.finish_clean();
}

#[test]
fn what_failed_to_start_says_so_afterwards() {
    let host = Host::new("life-failed").with_busybox();
    host.bulkhead(["run", "--name", "c", "busybox", "nosuch"]).fails(127, "nosuch");
    assert_eq!(host.inspect("c", "{{.State.Status}} {{.State.ExitCode}}"), "created 127");
    assert!(host.inspect("c", "{{.State.Error}}").contains("nosuch"));
    host.finish();
}

#[test]
fn wait_waits() {
    let host = Host::new("life-wait").with_busybox();
    host.run_detached([
        "--name",
        "c",
        "busybox",
        "sh",
        "-c",
        "until test -e /go; do sleep 0.01; done; exit 5",
    ]);
    let mut wait = host.bulkhead(["wait", "c", "c"]).start();
    host.bulkhead(["exec", "c", "touch", "/go"]).prints("");
    let output = wait.finish();
    output.succeeds();
    assert_eq!(output.stdout(), "5\n5\n");
    host.bulkhead(["wait", "nobody"]).fails(1, "No such container: nobody");
    host.finish();
}

#[test]
fn detached_with_rm_it_goes_by_itself() {
    let host = Host::new("life-auto").with_busybox();
    host.run_detached(["--rm", "busybox", "true"]);
    bulkhead_tests::wait::until("the container is gone", || host.bulkhead(["ps", "-aq"]).stdout().is_empty());
    host.finish_clean();
}

#[test]
fn the_container_outlives_every_command() {
    let host = Host::new("life-daemonless").with_busybox();
    let id = host.run_detached([
        "busybox",
        "sh",
        "-c",
        "until test -e /go; do sleep 0.01; done; echo late; exit 3",
    ]);
    // No process named bulkhead is left but the container's own supervisor.
    host.sh("pgrep -x bulkhead || true").prints("");
    host.bulkhead(["exec", &id, "touch", "/go"]).prints("");
    host.bulkhead(["wait", &id]).prints("3");
    host.bulkhead(["logs", &id]).prints("late");
    host.finish();
}

#[test]
fn many_at_once() {
    let host = Host::new("life-many").with_busybox();
    host.sh("for p in 1 2 3 4 5 6 7 8; do (for i in 1 2 3; do bulkhead run -d busybox sleep 1000; done) & done; wait")
        .run()
        .succeeds();
    let running = host.bulkhead(["ps", "-q"]).stdout();
    assert_eq!(running.lines().count(), 24);
    host.sh("bulkhead rm -f $(bulkhead ps -aq) | wc -l").prints("24");
    host.finish_clean();
}

#[test]
fn two_engines_do_not_disturb_each_other() {
    let host = Host::new("life-two").with_busybox();
    let id = host.run_detached(["--name", "c", "busybox", "sleep", "1000"]);
    let other = ["--root=/var/lib/bulkhead/../other", "--state=/run/other"];
    host.bulkhead(other.into_iter().chain(["ps", "-aq"])).prints("");
    host.bulkhead(other.into_iter().chain(["rm", "-f", "c"])).run();
    host.sh("export BULKHEAD_ROOT=/var/lib/other BULKHEAD_STATE=/run/other
        bulkhead load -q -i /run/host/images/busybox.2.tar >/dev/null; bulkhead run --name c busybox true; bulkhead rm c")
        .prints("c");
    assert_eq!(host.inspect("c", "{{.State.Running}} {{.Id}}"), format!("true {id}"));
    host.finish();
}
