//! Podman with this runtime in runc's place, where it is installed.

use bulkhead_tests::images::{self, Image};
use bulkhead_tests::{Host, skip};

#[test]
fn podman_runs_containers_with_it() {
    images::make(Image::Busybox);
    let host = Host::new("oci-podman");
    let script = format!(
        "command -v podman; mkdir -p /run/own /etc/containers /var/lib/containers; mount -t tmpfs t /var/lib/containers
         ln -s $(command -v bulkhead) /run/own/bulkhead-runtime
         printf '[containers]\\ndefault_ulimits=[\"nofile=20000:20000\",\"nproc=32768:32768\"]\\n' > /etc/containers/containers.conf
         podman load --quiet --input {}",
        Image::Busybox.on_host()
    );
    let up = host.sh(&script).run();
    if up.code() != 0 {
        eprintln!("{up}");
        host.abandon();
        skip!("podman is not installed, or does not come up here");
    }
    let podman = |words: &str| {
        host.sh(&format!("podman --runtime /run/own/bulkhead-runtime --cgroup-manager cgroupfs {words}"))
    };
    podman("run --rm --network none busybox echo hello").prints("hello");
    podman("run --rm --network none busybox sh -c 'exit 7'").run().ends_with(7);
    podman("run --rm --network none busybox nosuch").run().ends_with(127);
    podman("run -d --network none --name one busybox sh -c 'echo said; exec sleep 1000'").run().succeeds();
    podman("exec one sh -c 'cat /proc/1/comm; exit 3'").run().ends_with(3);
    podman("exec one cat /proc/1/comm").prints("sleep");
    podman("logs one").prints("said");
    podman("pause one").run().succeeds();
    podman("unpause one").run().succeeds();
    podman("run --rm --network container:one --pid container:one busybox cat /proc/1/comm").prints("sleep");
    podman("stop -t 1 one").run().succeeds();
    podman("rm one").run().succeeds();
    let said = podman("run --rm --network none --uidmap 0:300000:65536 --gidmap 0:300000:65536 busybox cat /proc/self/uid_map").stdout();
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["0", "300000", "65536"]);
    host.sh("find /run/bulkhead-runtime -name lock 2> /dev/null || true").prints("");
    host.abandon();
}
