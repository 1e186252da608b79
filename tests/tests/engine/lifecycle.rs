//! create, start, wait, rm, --rm, and how a container's state is told.

use bulkhead_tests::{Host, images::Image};

#[test]
fn from_created_to_removed() {
    let host = Host::new("life").with_busybox();
    let id = host.bulkhead(["create", "--name", "c1", "busybox", "sh", "-c", "exit 7"]).stdout();
    assert_eq!(id.len(), 64);
    let state = || host.inspect("c1", "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}}");
    assert_eq!(state(), "created false 0");
    host.bulkhead(["start", "c1"]).prints("c1");
    host.bulkhead(["wait", "c1"]).prints("7");
    assert_eq!(state(), "exited false 7");
    host.bulkhead(["start", &id[..8]]).prints(&id[..8]);
    host.bulkhead(["wait", &id]).prints("7");
    host.bulkhead(["rm", "c1"]).prints("c1");
    host.bulkhead(["inspect", "c1"]).fails(1, "No such object: c1");
    host.bulkhead(["start", "c1"]).fails(1, "No such container: c1");
    host.finish_clean();
}

#[test]
fn rm_wants_force_for_a_running_one() {
    let host = Host::new("life-rm").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    host.bulkhead(["rm", "c1"]).fails(1, "running").says("force");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    host.bulkhead(["rm", "c1"]).fails(1, "No such container: c1");
    // With force, one that is not there is no error.
    host.bulkhead(["rm", "-f", "c1"]).run().succeeds();
    let ids = ["a1", "b1"].map(|name| host.bulkhead(["create", "--name", name, "busybox"]).stdout());
    assert_eq!(ids.len(), 2);
    // One bad name does not keep the others.
    host.bulkhead(["rm", "a1", "nobody", "b1"]).fails(1, "nobody").shows("a1\nb1");
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
fn what_failed_to_start_leaves_nothing_behind() {
    let host = Host::new("life-failed").with_busybox();
    // Where Docker keeps a container that never ran, and its name, nothing stays here.
    host.bulkhead(["run", "--name", "c1", "busybox", "nosuch"]).fails(127, "nosuch");
    host.bulkhead(["ps", "-aq"]).prints("");
    // One that was made before stays, and can be started when what was wrong has been mended.
    host.bulkhead(["create", "--name", "c1", "busybox", "nosuch"]).run().succeeds();
    host.bulkhead(["start", "c1"]).fails(1, "nosuch");
    assert_eq!(host.inspect("c1", "{{.State.Status}}"), "created");
    host.finish();
}

#[test]
fn wait_waits() {
    let host = Host::new("life-wait").with_busybox();
    host.run_detached([
        "--name",
        "c1",
        "busybox",
        "sh",
        "-c",
        "until test -e /go; do sleep 0.01; done; exit 5",
    ]);
    let mut wait = host.bulkhead(["wait", "c1", "c1"]).start();
    host.bulkhead(["exec", "c1", "touch", "/go"]).prints("");
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
    let id = host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    let other = ["--root=/var/lib/bulkhead/../other", "--state=/run/other"];
    host.bulkhead(other.into_iter().chain(["ps", "-aq"])).prints("");
    host.bulkhead(other.into_iter().chain(["rm", "-f", "c1"])).run();
    let archive = Image::Busybox.on_host();
    let second = format!(
        "bulkhead load -q -i {archive} >/dev/null; bulkhead run --name c1 busybox true; bulkhead rm c1"
    );
    host.sh(&second).env("BULKHEAD_ROOT", "/run/other-root").env("BULKHEAD_STATE", "/run/other").prints("c1");
    assert_eq!(host.inspect("c1", "{{.State.Running}} {{.Id}}"), format!("true {id}"));
    host.finish();
}

#[test]
fn of_a_flag_that_is_given_twice_the_last_counts() {
    let host = Host::new("lifecycle-twice").with_busybox();
    let twice = ["run", "--rm", "--rm", "-i", "-i", "-h", "one", "-h", "two", "-e", "A=1", "-e", "B=2"];
    host.bulkhead(twice.into_iter().chain(["busybox", "sh", "-c", "echo $(hostname) $A $B"]))
        .prints("two 1 2");
    let made = host.bulkhead(["create", "--name", "c1", "--name", "c2", "busybox", "true"]).stdout();
    assert_eq!(host.inspect(&made, "{{.Name}}"), "/c2");
    host.bulkhead(["rm", "c2"]).prints("c2");
    host.finish_clean();
}
