//! Too few descriptors, processes and bytes of memory for commands of the engine.

use bulkhead_tests::Host;

/// With each number of descriptors a command either works or fails with a word, and leaves nothing.
#[test]
fn few_descriptors() {
    let host = Host::new("few-descriptors").with_busybox();
    let (mut failed, mut done) = (0, 0);
    for most in (3..60).step_by(3) {
        let run =
            host.sh(&format!("ulimit -n {most}; exec bulkhead run --rm --name c1 busybox echo here")).run();
        match run.code() {
            0 => {
                assert_eq!(run.stdout(), "here\n");
                done += 1;
            }
            _ => {
                assert!(!run.stderr().trim().is_empty() && !run.stderr().contains("panicked"), "{run}");
                failed += 1;
            }
        }
        host.bulkhead(["rm", "-f", "c1"]).run();
        host.bulkhead(["ps", "-aq"]).prints("");
    }
    assert!(failed > 0 && done > 0, "{failed} failed, {done} worked: both must be met");
    host.assert_nothing_left();
    host.finish_clean();
}

/// The same with the number of processes that the host may have.
#[test]
fn few_processes() {
    let host = Host::new("few-processes").with_busybox();
    let (mut failed, mut done) = (0, 0);
    for room in 0..8 {
        let script = format!(
            r#"
            group=/sys/fs/cgroup/pids; test -d $group || group=/sys/fs/cgroup
            mkdir -p $group/few; echo $((1 + {room})) > $group/few/pids.max
            sh -c "echo 0 > $group/few/cgroup.procs; exec bulkhead run --rm --name c1 busybox echo here"
            code=$?
            rmdir $group/few
            exit $code"#
        );
        let run = host.sh(&script.replace("code=$?", "true")).run();
        if run.stdout() == "here\n" {
            done += 1;
        } else {
            assert!(!run.stderr().trim().is_empty() && !run.stderr().contains("panicked"), "{run}");
            failed += 1;
        }
        host.bulkhead(["rm", "-f", "c1"]).run();
        host.bulkhead(["ps", "-aq"]).prints("");
    }
    assert!(failed > 0 && done > 0, "{failed} failed, {done} worked: both must be met");
    host.sh("rmdir /sys/fs/cgroup/pids/few /sys/fs/cgroup/few 2>/dev/null || true").prints("");
    host.finish_clean();
}

/// A command is killed for want of memory; containers, and their supervisors, are in groups of their own.
#[test]
fn little_memory() {
    let host = Host::new("little-memory").with_busybox();
    if host.sh("test -e /sys/fs/cgroup/memory/memory.limit_in_bytes").run().code() != 0 {
        bulkhead_tests::skip!("this machine has no memory hierarchy of version 1");
    }
    let script = r#"
        group=/sys/fs/cgroup/memory/little
        mkdir $group
        sh -c "echo 0 > $group/cgroup.procs; exec bulkhead run -d --name c1 busybox sleep 1000" >/dev/null
        test $(cat $group/cgroup.procs | wc -l) = 0
        rmdir $group
        mkdir $group
        echo 300000 > $group/memory.limit_in_bytes
        sh -c "echo 0 > $group/cgroup.procs; exec bulkhead run --rm --name c2 busybox true" 2>/dev/null && echo it had enough
        sh -c "echo 0 > $group/cgroup.procs; exec bulkhead ps" >/dev/null 2>&1
        bulkhead exec c1 echo there
        bulkhead rm -f c2 >/dev/null 2>&1 || true
        bulkhead ps -a --format '{{.Names}} {{.State}}'
        rmdir $group"#;
    host.sh(&script
        .replace(">/dev/null 2>&1\n", ">/dev/null 2>&1 || true\n")
        .replace("echo it had enough", "echo it had enough || true"))
        .prints("there\nc1 running");
    host.finish();
}

/// A supervisor that has no descriptors left turns newcomers away, sleeps, and hears again when there are some.
#[test]
fn a_supervisor_without_descriptors() {
    let host = Host::new("supervisor-descriptors").with_busybox();
    let script = r#"
        sh -c 'ulimit -n 40; bulkhead run -d --name c1 busybox sleep 1000' >/dev/null
        waiting=
        for i in $(seq 45); do bulkhead wait c1 >/dev/null 2>&1 & waiting="$waiting $!"; done
        sleep 0.5
        supervisor=$(sed 's/.*"supervisor":{"pid":\([0-9]*\).*/\1/' /var/lib/bulkhead/containers/*/status.json)
        ticks() { awk '{ print $14 + $15 }' /proc/$supervisor/stat; }
        kill $waiting 2>/dev/null || true
        wait $waiting 2>/dev/null || true
        before=$(ticks)
        bulkhead exec c1 echo there
        sleep 0.5
        test $(($(ticks) - before)) -lt 10 || echo it spins
        bulkhead stop -t 0 c1"#;
    host.sh(script).prints("there\nc1");
    host.finish();
}
