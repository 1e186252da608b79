//! Podman with this runtime in runc's place, where it is installed.

use bulkhead_tests::images::{self, Image};
use bulkhead_tests::{Cmd, Host, skip, wait};

/// A host with Podman's configuration and the image busybox; `None`: Podman is not installed, or does not work here.
fn with_podman(name: &str) -> Option<Host> {
    images::make(Image::Busybox);
    let host = Host::new(name);
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
        return None;
    }
    Some(host)
}

/// A command of Podman's, with this runtime.
fn podman(host: &Host, words: &str) -> Cmd {
    host.sh(&format!("podman --runtime /run/own/bulkhead-runtime --cgroup-manager cgroupfs {words}"))
}

/// Counts this runtime's containers: only they have such a file.
const LOCKS: &str = "find /run -name lock -path '*/bulkhead-runtime/*' 2> /dev/null | wc -l";

#[test]
fn podman_runs_containers_with_it() {
    let Some(host) = with_podman("oci-podman") else {
        skip!("podman is not installed, or does not come up here");
    };
    let podman = |words: &str| podman(&host, words);
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
    let mut terminal = host.pty_of([
        "podman",
        "--runtime",
        "/run/own/bulkhead-runtime",
        "--cgroup-manager",
        "cgroupfs",
        "run",
        "--rm",
        "-it",
        "--network",
        "none",
        "busybox",
        "sh",
    ]);
    assert_eq!(terminal.ask("test -t 0 && tty"), "/dev/pts/0");
    terminal.line("exit 3");
    assert_eq!(terminal.wait().0, 3);
    // Podman has systemd's group hierarchy bound into it, where there is one.
    podman("run --rm --network none --systemd always --privileged busybox sh -c 'touch /run/x && echo here'")
        .prints("here");
    podman("ps -aq").prints("");
    host.sh(LOCKS).prints("0");
    host.abandon();
}

#[test]
fn pods_share_namespaces_under_podman() {
    let Some(host) = with_podman("oci-podman-pod") else {
        skip!("podman is not installed, or does not come up here");
    };
    let podman = |words: &str| podman(&host, words);
    // Its own infra container would be built from a program that need not be installed.
    podman("pod create --name pod --network none --share net,ipc,uts,pid --infra-image busybox --infra-command 'sleep 1000'")
        .run()
        .succeeds();
    podman("run -d --pod pod --name a busybox sh -c 'exec nc -ll -p 80 -e echo answer'").run().succeeds();
    host.sh(LOCKS).prints("2");
    let names = "sh -c 'for kind in net ipc uts pid mnt; do readlink /proc/self/ns/$kind; done'";
    let one = podman(&format!("exec a {names}")).stdout();
    let other = podman(&format!("run --rm --pod pod busybox {names}")).stdout();
    let same: Vec<bool> = one.lines().zip(other.lines()).map(|(one, other)| one == other).collect();
    assert_eq!(same, [true, true, true, true, false], "{one}\n{other}");
    podman("run --rm --pod pod busybox sh -c 'cat /proc/1/comm; nc 127.0.0.1 80 < /dev/null'")
        .prints("sleep\nanswer");
    podman("pod pause pod").run().succeeds();
    podman("inspect --format '{{.State.Status}}' a").prints("paused");
    podman("pod unpause pod").run().succeeds();
    podman("pod stop -t 0 pod").run().succeeds();
    podman("pod start pod").run().succeeds();
    podman("exec a cat /proc/1/comm").prints("sleep");
    podman("pod stop -t 0 pod").run().succeeds();
    podman("pod rm pod").run().succeeds();
    podman("ps -aq").prints("");
    host.sh(LOCKS).prints("0");
    host.abandon();
}

#[test]
fn podman_gives_each_container_users_of_its_own() {
    let Some(host) = with_podman("oci-podman-users") else {
        skip!("podman is not installed, or does not come up here");
    };
    let podman = |words: &str| podman(&host, words);
    host.sh("echo containers:200000:655360 | tee /etc/subuid > /etc/subgid").run().succeeds();
    let map = |words: &str| podman(words).stdout().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    podman("run -d --name one --network none --userns auto:size=2000 -v data:/data busybox sh -c 'touch /data/x; exec sleep 1000'")
        .run()
        .succeeds();
    assert_eq!(map("exec one cat /proc/self/uid_map"), ["0", "200000", "2000"]);
    wait::until("it has written", || podman("exec one ls /data").stdout() == "x");
    podman("exec one sh -c 'stat -c %u /data/x /bin/busybox; id -u; echo x > /dev/null'").prints("0\n0\n0");
    podman("exec --user 33 one id -u").prints("33");
    host.sh(&format!("stat -c %u /proc/{}", podman("inspect --format '{{.State.Pid}}' one").stdout()))
        .prints("200000");
    // Another has other users, or on request the same.
    assert_eq!(
        map("run --rm --network none --userns auto:size=3000 busybox cat /proc/self/uid_map"),
        ["0", "202000", "3000"]
    );
    assert_eq!(
        map("run --rm --network none --userns container:one busybox cat /proc/self/uid_map"),
        ["0", "200000", "2000"]
    );
    podman("stop -t 0 one").run().succeeds();
    // Podman's own clean-up goes on after `stop`, and whoever comes between finds a mount in use.
    wait::until("Podman has removed it", || podman("rm --force one").run().code() == 0);
    host.sh(LOCKS).prints("0");
    host.abandon();
}
