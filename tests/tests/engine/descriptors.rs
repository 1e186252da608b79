//! Nothing of whoever starts a container is inherited by accident, and nothing of ours can be written from inside.

use bulkhead_tests::Host;

/// The supervisor is the parent of the container's first process.
fn supervisor(host: &Host, name: &str) -> String {
    let pid = host.inspect(name, "{{.State.Pid}}");
    host.sh(&format!("awk '{{print $4}}' /proc/{pid}/stat")).stdout()
}

#[test]
fn open_files_of_the_starter_reach_neither_container_nor_supervisor() {
    let host = Host::new("fds-inherited").with_busybox();
    let open = "exec 9</etc/hostname 8>/tmp/secret";
    // A plain child has them: the attack works.
    host.sh(&format!("{open}; sh -c 'ls /proc/self/fd' | grep -c -e 8 -e 9")).prints("2");
    let inside = "ls /proc/self/fd | sort -n | tail -n1";
    host.sh(&format!("{open}; bulkhead run --rm busybox sh -c '{inside}'")).prints("3");
    host.sh(&format!("{open}; bulkhead run -d --name c1 busybox sleep 1000 >/dev/null")).prints("");
    host.sh(&format!("{open}; bulkhead exec c1 sh -c '{inside}'")).prints("3");
    let supervisor = supervisor(&host, "c1");
    let held = format!("ls -l /proc/{supervisor}/fd | grep -c -e /tmp/secret -e /etc/hostname || true");
    host.sh(&held).prints("0");
    host.finish();
}

#[test]
fn the_supervisor_s_executable_cannot_be_written_through_proc() {
    let host = Host::new("fds-exe").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    let pid = supervisor(&host, "c1");
    // The attack: take hold of a running executable through /proc, wait until it has ended, then write to it. On
    // an executable that lies on its disk as usual it works.
    host.sh("cp /bin/sleep /tmp/plain; /tmp/plain 1000 & pid=$!; sleep 0.1; exec 5</proc/$pid/exe; kill $pid
             wait $pid || true; sh -c 'echo owned > /proc/self/fd/5'; cat /tmp/plain")
        .prints("owned");
    // Ours was started from a mount of its own that nobody can write to.
    host.sh(&format!(
        "exec 5</proc/{pid}/exe; bulkhead rm -f c1 >/dev/null; while [ -e /proc/{pid} ]; do sleep 0.01; done
         sh -c 'echo owned > /proc/self/fd/5' 2>&1 | grep -c Read-only"
    ))
    .prints("1");
    host.finish();
}

#[test]
fn what_is_about_to_become_a_program_cannot_be_traced() {
    let host = Host::new("fds-dumpable").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    // Each exec passes through a moment in which our own executable runs inside; a watcher that looks for its
    // /proc/PID/exe all the time must never get hold of it.
    let watch = "i=0; while [ $i -lt 3000 ]; do for p in /proc/[0-9]*; do readlink $p/exe; done; i=$((i+1)); done \
                 2>/dev/null | grep -v -e /bin/ -e '^$' | sort -u";
    let watcher = format!("bulkhead exec c1 sh -c \"{}\" > /tmp/seen & w=$!", watch.replace('$', "\\$"));
    let execs = "for i in $(seq 40); do bulkhead exec c1 true; done; kill $w 2>/dev/null; wait $w 2>/dev/null || true";
    host.sh(&format!("{watcher}; {execs}; cat /tmp/seen")).timeout(120).prints("");
    host.finish();
}
