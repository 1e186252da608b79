//! Disks that are full, read-only, or of a kind that overlays cannot be on.

use bulkhead_tests::Host;

/// Fills the engine's disk up to the last page.
const FILL: &str = "dd if=/dev/zero of=/var/lib/bulkhead/filler bs=1M count=4 2>/dev/null; used=$(du -sm /var/lib/bulkhead | cut -f1)
    mount -o remount,size=$((used + 1))m /var/lib/bulkhead; cat /dev/zero >> /var/lib/bulkhead/filler 2>/dev/null || true";
const EMPTY: &str = "rm /var/lib/bulkhead/filler; mount -o remount,size=1g /var/lib/bulkhead";

#[test]
fn every_command_on_a_full_disk() {
    let host = Host::new("full").with_busybox();
    host.run_detached([
        "--name",
        "runs",
        "-v",
        "v1:/data",
        "busybox",
        "sh",
        "-c",
        "head -c 3000000 /dev/urandom > /big; sleep 1000",
    ]);
    host.sh("for i in $(seq 500); do bulkhead exec runs test -s /big && break; sleep 0.01; done").prints("");
    host.sh("tar -cf /run/tree.tar -C / etc/passwd; head -c 5000000 /dev/urandom > /run/big").prints("");
    host.sh(FILL).prints("");
    for command in [
        "run --rm busybox sh -c 'cat /dev/zero > /file'",
        "commit runs made:1",
        "import /run/tree.tar made:2",
        "cp /run/big runs:/copied",
        "load -i /run/host/images/tools.*.tar",
    ] {
        let failed = host.sh(&format!("bulkhead {command}")).run();
        assert_ne!(failed.code(), 0, "{failed}");
        let said = failed.stderr() + &failed.stdout();
        assert!(said.to_lowercase().contains("space"), "it says what is wrong: {failed}");
    }
    // What needs no room goes on.
    host.bulkhead(["exec", "runs", "echo", "there"]).prints("there");
    host.bulkhead(["logs", "runs"]).prints("");
    host.bulkhead(["ps", "--format", "{{.Names}}"]).prints("runs");
    host.bulkhead(["stop", "-t", "0", "runs"]).prints("runs");
    host.sh(EMPTY).prints("");
    assert_eq!(host.inspect("runs", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    host.bulkhead(["images", "-q", "made"]).prints("");
    host.bulkhead(["start", "runs"]).prints("runs");
    host.bulkhead(["commit", "runs", "made:1"]).run().succeeds();
    host.bulkhead(["run", "--rm", "made:1", "echo", "whole"]).prints("whole");
    host.sh("rm /run/tree.tar /run/big").prints("");
    host.finish();
}

#[test]
fn a_disk_that_becomes_read_only() {
    let host = Host::new("read-only").with_busybox();
    host.bulkhead(["run", "--name", "ended", "busybox", "echo", "said"]).prints("said");
    host.sh("mount -o remount,ro /var/lib/bulkhead").prints("");
    for command in [
        "run --rm busybox true",
        "create busybox true",
        "start ended",
        "volume create v1",
        "tag busybox other",
        "rename ended other",
        "rm ended",
        "commit ended made:1",
    ] {
        let failed = host.sh(&format!("bulkhead {command}")).run();
        assert_ne!(failed.code(), 0, "{failed}");
        assert!(failed.stderr().contains("read-only") || failed.stderr().contains("readonly"), "{failed}");
    }
    // Who only looks is served.
    host.bulkhead(["ps", "-a", "--format", "{{.Names}}"]).prints("ended");
    host.bulkhead(["inspect", "-f", "{{.State.Status}}", "ended"]).prints("exited");
    host.bulkhead(["logs", "ended"]).prints("said");
    host.bulkhead(["images", "-q"]).run().succeeds();
    host.sh("mount -o remount,rw /var/lib/bulkhead").prints("");
    host.bulkhead(["start", "-a", "ended"]).prints("said");
    host.bulkhead(["rm", "ended"]).prints("ended");
    host.finish_clean();
}

/// A store on an overlay itself: the kernel takes no upper folder there.
#[test]
fn a_store_where_no_overlay_can_be() {
    let host = Host::new("no-overlay");
    host.sh(
        "mkdir -p /run/o/lower /run/o/upper /run/o/work /run/o/merged
         mount -t tmpfs t /run/o/upper; mkdir /run/o/upper/u /run/o/upper/w
         mount -t overlay -o lowerdir=/run/o/lower,upperdir=/run/o/upper/u,workdir=/run/o/upper/w o /run/o/merged",
    )
    .prints("");
    let engine =
        |args: &str| host.sh(&format!("bulkhead --root /run/o/merged/root --state /run/o/state {args}"));
    engine("load -q -i /run/host/images/busybox.*.tar").run();
    let failed = engine("run --rm --userns=host busybox true").run();
    assert_eq!(failed.code(), 125, "{failed}");
    assert!(failed.stderr().contains("overlay"), "it says what cannot be had: {failed}");
    engine("ps -aq").prints("");
    engine("system reset -f").prints("");
    host.sh("umount /run/o/merged /run/o/upper; rm -r /run/o").prints("");
    host.finish_clean();
}
