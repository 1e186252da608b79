//! `update`: limits of a container that runs, of one that does not, and after whatever is killed.

use bulkhead_tests::{Host, skip};

/// What holds in a running container: memory, processes, share of processors.
const HELD: &str = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null
    cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; true";

fn has_limits(host: &Host) -> bool {
    host.sh("test -d /sys/fs/cgroup/memory -a -d /sys/fs/cgroup/pids || grep -qw pids /sys/fs/cgroup/cgroup.subtree_control")
        .run()
        .code()
        == 0
}

fn held(host: &Host, name: &str) -> String {
    host.bulkhead(["exec", name, "sh", "-c", HELD]).stdout()
}

#[test]
fn limits_change_while_it_runs() {
    let host = Host::new("update").with_busybox();
    if !has_limits(&host) {
        skip!("this machine has no memory or pids controller");
    }
    let id =
        host.run_detached(["--name", "c1", "-m", "64m", "--pids-limit", "50", "busybox", "sleep", "1000"]);
    host.run_detached(["--name", "c2", "busybox", "sleep", "1000"]);
    assert_eq!(held(&host, "c1"), "67108864\n50");
    // More than what memory and swap together were, and less again.
    host.bulkhead(["update", "-m", "256m", "c1", "c2"]).prints("c1\nc2");
    assert_eq!(held(&host, "c1"), "268435456\n50");
    host.bulkhead(["container", "update", "--memory=32m", "--pids-limit=-1", "--cpus=0.5", &id[..12]])
        .prints(&id[..12]);
    assert_eq!(held(&host, "c1"), "33554432\nmax");
    assert_eq!(
        host.inspect("c1", "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}}"),
        "33554432 -1 500000000"
    );
    let quota = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null || true";
    let quota = host.bulkhead(["exec", "c1", "sh", "-c", quota]).stdout();
    assert!(["50000", "50000 100000"].contains(&quota.as_str()), "{quota}");
    // They hold after the next start too, and can be changed in between.
    host.bulkhead(["restart", "-t", "0", "c1"]).prints("c1");
    assert_eq!(held(&host, "c1"), "33554432\nmax");
    host.bulkhead(["stop", "-t", "0", "c1"]).prints("c1");
    host.bulkhead(["update", "--pids-limit", "7", "c1"]).prints("c1");
    host.bulkhead(["start", "c1"]).prints("c1");
    assert_eq!(held(&host, "c1"), "33554432\n7");
    host.finish();
}

#[test]
fn what_cannot_be_held_changes_nothing() {
    let host = Host::new("update-refused").with_busybox();
    if !has_limits(&host) {
        skip!("this machine has no memory or pids controller");
    }
    let flags = ["--name", "c1", "-m", "64m", "--memory-swap", "64m", "--pids-limit", "50", "--cpus", "0.5"];
    host.run_detached(flags.into_iter().chain(["busybox", "sleep", "1000"]));
    for (flags, needle) in [
        (&["-m", "1m"][..], "Minimum memory limit allowed is 6MB"),
        (&["-m", "65m"], "update the memoryswap at the same time"),
        (&["--cpu-quota", "50000"], "Conflicting options"),
        (&["--cpus", "100000"], "range of CPUs"),
        (&["--pids-limit", "60", "--cpuset-cpus", "9999"], "9999"),
        (&["--blkio-weight", "5"], "from 10 to 1000"),
    ] {
        host.bulkhead(["update"].iter().chain(flags).chain(&["c1"])).fails(1, needle);
        assert_eq!(held(&host, "c1"), "67108864\n50", "{flags:?}");
        assert_eq!(
            host.inspect("c1", "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}"),
            "67108864 50",
            "{flags:?}"
        );
    }
    host.bulkhead(["update", "-m", "much", "c1"]).fails(125, "invalid size: 'much'");
    host.bulkhead(["update", "--restart", "sometimes", "c1"]).fails(125, "sometimes");
    host.bulkhead(["update", "c1"]).fails(1, "one or more flags");
    host.bulkhead(["update", "-m", "64m", "nobody"]).fails(1, "No such container: nobody");
    host.finish();
}

/// Killed at any moment: after the next command the record says what holds.
#[test]
fn killed_in_the_middle() {
    let host = Host::new("update-killed").with_busybox();
    if !has_limits(&host) {
        skip!("this machine has no memory or pids controller");
    }
    host.run_detached(["--name", "c1", "--pids-limit", "100", "busybox", "sleep", "1000"]);
    host.sh("for i in $(seq 20 2 90); do
            timeout -s KILL $(printf 0.%04d $i) bulkhead update --pids-limit $((100 + i)) c1 >/dev/null 2>&1 || true
            bulkhead ps >/dev/null
            recorded=$(bulkhead inspect -f '{{.HostConfig.PidsLimit}}' c1)
            held=$(bulkhead exec c1 sh -c 'cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null || true')
            test $recorded = $held
        done
        bulkhead update --pids-limit 99 c1; bulkhead exec c1 true")
        .run()
        .succeeds();
    host.finish();
}

/// The command is killed while the supervisor does not answer: what the kernel takes holds in the end, and what it does
/// not take is taken back.
#[test]
fn killed_while_it_waits() {
    let host = Host::new("update-waits").with_busybox();
    if !has_limits(&host) {
        skip!("this machine has no memory or pids controller");
    }
    host.run_detached(["--name", "c1", "--pids-limit", "50", "busybox", "sleep", "1000"]);
    let killed = |flags: &str| {
        let script = format!(
            "supervisor=$(awk '/^PPid:/ {{print $2}}' /proc/$(bulkhead inspect -f '{{{{.State.Pid}}}}' c1)/status)
            kill -STOP $supervisor
            timeout -s KILL 0.3 bulkhead update {flags} c1 >/dev/null 2>&1 || true
            bulkhead inspect -f '{{{{json .HostConfig}}}}' c1 | grep -oE '\"(PidsLimit|CpusetCpus)\":[^,}}]*' | sort | cut -d: -f2 | xargs
            kill -CONT $supervisor
            bulkhead ps >/dev/null
            bulkhead inspect -f '{{{{json .HostConfig}}}}' c1 | grep -oE '\"(PidsLimit|CpusetCpus)\":[^,}}]*' | sort | cut -d: -f2 | xargs"
        );
        host.sh(&script).stdout()
    };
    assert_eq!(killed("--pids-limit 60"), "60\n60");
    assert!(held(&host, "c1").ends_with("\n60"), "{}", held(&host, "c1"));
    assert_eq!(killed("--pids-limit 70 --cpuset-cpus 9999"), "9999 70\n60");
    assert!(held(&host, "c1").ends_with("\n60"), "{}", held(&host, "c1"));
    // One that ends meanwhile has them at its next start.
    host.bulkhead(["update", "--pids-limit", "80", "c1"]).prints("c1");
    host.bulkhead(["restart", "-t", "0", "c1"]).prints("c1");
    assert!(held(&host, "c1").ends_with("\n80"), "{}", held(&host, "c1"));
    host.finish();
}

#[test]
fn ports_that_nobody_publishes() {
    let host = Host::new("port").with_busybox();
    host.run_detached(["--name", "c1", "--expose", "80", "busybox", "sleep", "1000"]);
    host.bulkhead(["port", "c1"]).prints("");
    host.bulkhead(["container", "port", "c1", "80"]).fails(1, "no public port '80/tcp' published for c1");
    host.bulkhead(["port", "c1", "80/udp"]).fails(1, "no public port '80/udp' published for c1");
    host.bulkhead(["port", "c1", "http"]).fails(1, "invalid port \"http\"");
    host.bulkhead(["port", "nobody"]).fails(1, "No such container: nobody");
    host.finish();
}

/// A running container's policy is changed for its next end already, and one that waits to be started again can be let be.
#[test]
fn another_restart_policy() {
    let host = Host::new("update-restart").with_busybox();
    let until = |format: &str, expected: &str| {
        let look = format!("bulkhead inspect -f '{format}' c1");
        host.sh(&format!(
            "for i in $(seq 1000); do test \"$({look})\" = '{expected}' && exit 0; sleep 0.01; done; {look}; exit 1"
        ))
        .prints("");
    };
    host.run_detached([
        "--name",
        "c1",
        "busybox",
        "sh",
        "-c",
        "until test -e /go; do sleep 0.01; done; exit 3",
    ]);
    host.bulkhead(["update", "--restart", "on-failure:2", "c1"]).prints("c1");
    assert_eq!(host.inspect("c1", "{{.HostConfig.RestartPolicy.Name}}"), "on-failure");
    host.bulkhead(["exec", "c1", "touch", "/go"]).prints("");
    until("{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}", "exited 2 3");
    host.bulkhead(["update", "--restart", "always", "c1"]).prints("c1");
    host.bulkhead(["start", "c1"]).prints("c1");
    until("{{.State.Status}} {{gt .RestartCount 3}}", "restarting true");
    host.bulkhead(["update", "--restart", "no", "c1"]).prints("c1");
    until("{{.State.Status}}", "exited");
    host.bulkhead(["update", "--restart", "sometimes", "c1"]).fails(125, "use one of no, always");
    host.run_detached(["--rm", "--name", "passing", "busybox", "sleep", "1000"]);
    host.bulkhead(["update", "--restart", "always", "passing"]).fails(1, "AutoRemove");
    host.finish();
}
