//! containerd with this runtime in runc's place, where it is installed: its shim calls the runtime as Kubernetes' does.

use bulkhead_tests::images::{self, Image};
use bulkhead_tests::{Host, skip, wait};

#[test]
fn containerd_s_shim_runs_containers_with_it() {
    images::make(Image::Busybox);
    let host = Host::new("oci-containerd");
    let script = format!(
        "command -v containerd ctr; mkdir -p /run/own /run/ctr
         ln -s $(command -v bulkhead) /run/own/bulkhead-runtime
         setsid containerd --root /run/ctr/root --state /run/ctr/state --address /run/ctr/socket < /dev/null > /tmp/log 2>&1 &
         echo $! > /run/ctr/pid
         for i in $(seq 200); do ctr -a /run/ctr/socket version > /dev/null 2>&1 && break; sleep 0.1; done
         ctr -a /run/ctr/socket image import {}",
        Image::Busybox.on_host()
    );
    let up = host.sh(&script).run();
    if up.code() != 0 {
        eprintln!("{up}");
        host.abandon();
        skip!("containerd is not installed, or does not come up here");
    }
    let ctr = |words: &str| host.sh(&format!("ctr -a /run/ctr/socket {words}"));
    let image = ctr("image ls -q").stdout();
    let run = |flags: &str, words: &str| {
        ctr(&format!("run --runc-binary /run/own/bulkhead-runtime {flags} {image} {words}"))
    };
    run("--rm", "a echo hello").prints("hello");
    run("--rm", "a sh -c 'exit 7'").run().ends_with(7);
    run("--rm", "a nosuch").fails(1, "executable file not found");
    run("-d", "c sleep 1000").run().succeeds();
    ctr("task exec --exec-id e c cat /proc/1/comm").prints("sleep");
    ctr("task pause c").run().succeeds();
    assert!(ctr("task ls").stdout().contains("PAUSED"));
    ctr("task resume c").run().succeeds();
    assert!(ctr("task ps c").stdout().lines().count() >= 2);
    assert!(ctr("task metrics c").stdout().contains("c"));
    host.sh("find /run/ctr /run/containerd -name lock -path '*/c/*' 2> /dev/null | wc -l").prints("1");
    ctr("task kill -s KILL c").run().succeeds();
    wait::until("it has stopped", || ctr("task ls").stdout().contains("STOPPED"));
    ctr("task delete c").run().succeeds();
    ctr("container delete c").run().succeeds();
    host.sh("kill $(cat /run/ctr/pid)").run().succeeds();
    host.abandon();
}
