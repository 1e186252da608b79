//! Killed in the middle: whatever was half done, the next command finds a state that it can name and repair.

use bulkhead_tests::Host;
use bulkhead_tests::images::{self, Image};

#[test]
fn killed_during_birth() {
    let host = Host::new("interrupted-birth").with_busybox();
    // At 40 moments of the few milliseconds that a start takes.
    for step in 0..40 {
        let pause = format!("0.{:04}", step * 5);
        let script = format!(
            "bulkhead run --rm --name c1 busybox sleep 1000 </dev/null >/dev/null 2>&1 & pid=$!
             sleep {pause}; kill -KILL $pid; wait $pid || true
             bulkhead ps -a >/dev/null; bulkhead rm -f c1 >/dev/null"
        );
        host.sh(&script).run().succeeds();
        host.bulkhead(["ps", "-aq"]).prints("");
    }
    host.assert_nothing_left();
    // The name, the addresses and everything else is free again.
    host.bulkhead(["run", "--rm", "--name", "c1", "busybox", "true"]).prints("");
    host.finish_clean();
}

#[test]
fn the_supervisor_is_killed() {
    let host = Host::new("interrupted-supervisor").with_busybox();
    let id = host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    let other = host.run_detached(["--name", "other", "busybox", "sleep", "1000"]);
    let pid = host.inspect("c1", "{{.State.Pid}}");
    // The supervisor is the parent of the container's first process.
    host.sh(&format!("kill -KILL $(awk '{{print $4}}' /proc/{pid}/stat)")).prints("");
    bulkhead_tests::wait::until("the container is told as ended", || {
        host.inspect("c1", "{{.State.Running}}") == "false"
    });
    assert_eq!(host.inspect(&other, "{{.State.Running}}"), "true");
    host.bulkhead(["rm", "-f", &id]).prints(&id);
    host.sh(&format!("test ! -e /proc/{pid}")).prints("");
    host.finish();
}

#[test]
fn load_is_killed() {
    let host = Host::new("interrupted-load");
    images::make(Image::Busybox);
    for step in 0..10 {
        let pause = format!("0.{:03}", step * 8);
        let load = format!("bulkhead load -q -i {} >/dev/null 2>&1", Image::Busybox.on_host());
        host.sh(&format!(
            "{load} & pid=$!; sleep {pause}; kill -KILL $pid 2>/dev/null || true; wait $pid || true"
        ))
        .run()
        .succeeds();
        host.bulkhead(["images"]).run().succeeds();
    }
    let host = host.with_busybox();
    host.bulkhead(["run", "--rm", "busybox", "true"]).prints("");
    host.bulkhead(["rmi", "-f", "busybox"]).run().succeeds();
    let left = host.sh("du -sm --apparent-size /var/lib/bulkhead | cut -f1").stdout();
    assert!(left.parse::<u32>().unwrap() <= 1, "{left} MiB are left of loads that never ended");
    host.finish_clean();
}

#[test]
fn a_reboot_in_the_middle() {
    let host = Host::new("interrupted-boot").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    // As after a power cut: no process, nothing in /run; the disk as it was.
    host.sh("kill -KILL -1 2>/dev/null || true").run();
    host.sh("umount -R -l /run/bulkhead/* 2>/dev/null || true; rm -rf /run/bulkhead; umount -l /var/lib/bulkhead/*/* 2>/dev/null || true; ip -o link | grep -o 'veth[^:@]*' | xargs -r -n1 ip link del || true").run();
    host.sh(
        "find /sys/fs/cgroup -mindepth 2 -depth -type d ! -name init -exec rmdir {} + 2>/dev/null || true",
    )
    .run();
    assert_eq!(host.inspect("c1", "{{.State.Status}}"), "exited");
    host.bulkhead(["start", "c1"]).prints("c1");
    host.bulkhead(["exec", "c1", "true"]).prints("");
    host.finish();
}
