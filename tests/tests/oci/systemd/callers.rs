//! Docker, Podman and containerd, as `ctr` and as Kubernetes calls it, each told that systemd makes the groups, with this runtime in runc's place. They run beside
//! systemd, as they do on a machine.

use bulkhead_tests::images::{self, Image};
use bulkhead_tests::{skip, wait};

use super::bus::with_bus;
use super::host::{MISSING, assert_gone, inside, show};
use crate::cri::{CONTAINER, NODE, Node, POD};
use crate::grpc::Message;

#[test]
fn containerd_has_systemd_make_the_group() {
    images::make(Image::Busybox);
    let Some(host) = with_bus("oci-systemd-containerd") else {
        skip!("{MISSING}, or there is no dbus-daemon");
    };
    let script = format!(
        "command -v containerd ctr; mkdir -p /run/own /run/ctr
         ln -s $(command -v bulkhead) /run/own/bulkhead-runtime
         setsid containerd --root /run/ctr/root --state /run/ctr/state --address /run/ctr/socket < /dev/null > /tmp/log 2>&1 &
         for i in $(seq 200); do ctr -a /run/ctr/socket version > /dev/null 2>&1 && break; sleep 0.1; done
         ctr -a /run/ctr/socket image import {}",
        Image::Busybox.on_host()
    );
    let up = inside(&host, &script).run();
    if up.code() != 0 {
        eprintln!("{up}");
        host.abandon();
        skip!("containerd is not installed, or does not come up here");
    }
    let ctr = |words: &str| inside(&host, &format!("ctr -a /run/ctr/socket {words}"));
    let image = ctr("image ls -q").stdout();
    let run = |flags: &str, words: &str| {
        let own = "--runc-binary /run/own/bulkhead-runtime --runc-systemd-cgroup";
        ctr(&format!("run {own} {flags} {image} {words}"))
    };
    run("--rm --cgroup kube.slice:cri:a", "a echo hello").prints("hello");
    assert_gone(&host, "cri-a.scope");
    run("-d --cgroup kube.slice:cri:c --memory-limit 67108864", "c sleep 1000").run().succeeds();
    assert_eq!(
        show(&host, "cri-c.scope", "Slice ActiveState Delegate MemoryLimit"),
        ["kube.slice", "active", "yes", "67108864"]
    );
    let inside_it = ctr("task exec --exec-id e c cat /proc/self/cgroup").stdout();
    assert_eq!(inside_it, ctr("task exec --exec-id f c cat /proc/1/cgroup").stdout());
    ctr("task pause c").run().succeeds();
    ctr("task resume c").run().succeeds();
    assert!(ctr("task metrics c").stdout().contains("memory"));
    ctr("task kill -s KILL c").run().succeeds();
    wait::until("it has stopped", || ctr("task ls").stdout().contains("STOPPED"));
    ctr("task delete c").run().succeeds();
    assert_gone(&host, "cri-c.scope");
    host.abandon();
}

#[test]
fn podman_has_systemd_make_the_group() {
    images::make(Image::Busybox);
    let Some(host) = with_bus("oci-systemd-podman") else {
        skip!("{MISSING}, or there is no dbus-daemon");
    };
    let script = format!(
        "command -v podman; mkdir -p /run/own /etc/containers /var/lib/containers; mount -t tmpfs t /var/lib/containers
         ln -s $(command -v bulkhead) /run/own/bulkhead-runtime
         printf \"[containers]\\ndefault_ulimits=[\\\"nofile=20000:20000\\\",\\\"nproc=32768:32768\\\"]\\n\" > /etc/containers/containers.conf
         podman load --quiet --input {}",
        Image::Busybox.on_host()
    );
    let up = inside(&host, &script).run();
    if up.code() != 0 {
        eprintln!("{up}");
        host.abandon();
        skip!("podman is not installed, or does not come up here");
    }
    let podman = |words: &str| {
        let own = "--runtime /run/own/bulkhead-runtime --cgroup-manager systemd";
        inside(&host, &format!("podman {own} {words}"))
    };
    podman("run --rm --network none busybox echo hello").prints("hello");
    podman("run -d --network none --pids-limit 50 --name one busybox sleep 1000").run().succeeds();
    let unit = format!("libpod-{}.scope", podman("inspect --format '{{.Id}}' one").stdout());
    assert_eq!(
        show(&host, &unit, "Slice ActiveState Delegate TasksMax"),
        ["machine.slice", "active", "yes", "50"]
    );
    podman("exec one cat /proc/1/comm").prints("sleep");
    podman("stop -t 1 one").run().succeeds();
    podman("rm one").run().succeeds();
    assert_gone(&host, &unit);
    host.abandon();
}

#[test]
fn docker_has_systemd_make_the_group() {
    images::make(Image::Busybox);
    let Some(host) = with_bus("oci-systemd-docker") else {
        skip!("{MISSING}, or there is no dbus-daemon");
    };
    // Kernel parameters cannot be set beside this systemd, so Docker makes no network.
    let script = format!(
        "command -v dockerd docker; mkdir -p /run/own /run/peer /var/lib/docker; mount -t tmpfs t /var/lib/docker
         ln -s $(command -v bulkhead) /run/own/bulkhead-runtime
         setsid dockerd --exec-root /run/peer/exec -p /run/peer/pid -H unix:///var/run/docker.sock --bridge none \
             --iptables=false --ip6tables=false --ip-forward=false --exec-opt native.cgroupdriver=systemd \
             --add-runtime bulkhead=/run/own/bulkhead-runtime --default-runtime bulkhead < /dev/null > /tmp/dockerd.log 2>&1 &
         for i in $(seq 300); do docker version > /dev/null 2>&1 && break; sleep 0.1; done; docker version
         docker load --quiet --input {}",
        Image::Busybox.on_host()
    );
    let up = inside(&host, &script).run();
    if up.code() != 0 {
        let log = inside(&host, "tail -n 3 /tmp/dockerd.log 2> /dev/null || true").run();
        eprintln!("{up}\n{log}");
        host.abandon();
        skip!("dockerd is not installed, or does not come up here");
    }
    let docker = |words: &str| inside(&host, &format!("docker {words}"));
    docker("run --rm --network none busybox echo hello").prints("hello");
    docker("run -d --network none --pids-limit 50 --memory 64m --name one busybox sleep 1000")
        .run()
        .succeeds();
    let unit = format!("docker-{}.scope", docker("inspect --format '{{.Id}}' one").stdout());
    assert_eq!(
        show(&host, &unit, "Slice ActiveState TasksMax MemoryLimit"),
        ["system.slice", "active", "50", "67108864"]
    );
    docker("exec one cat /proc/1/comm").prints("sleep");
    docker("update --pids-limit 60 one").run().succeeds();
    assert_eq!(show(&host, &unit, "TasksMax"), ["60"]);
    docker("rm -f one").run().succeeds();
    assert_gone(&host, &unit);
    host.abandon();
}

#[test]
fn a_pod_s_containers_are_scopes_in_its_slice() {
    let Some(host) = with_bus("oci-systemd-cri") else {
        skip!("{MISSING}, or there is no dbus-daemon");
    };
    let Some(node) = Node::on(host, inside, true) else {
        skip!("containerd or the CNI plugins are not installed, or containerd does not come up here");
    };
    let host = &node.host;
    // Of the node's network: for another, kernel parameters would be set, and beside this systemd none can be.
    let pod = node.pod("one", [NODE, CONTAINER, POD]);
    let limits = Message::new().number(1, 100_000).number(2, 50_000).number(4, 64 << 20);
    let main = pod.create("main", "exec sleep 1000", |config| config, &limits, |security| security);
    main.ask("StartContainer");
    let unit = format!("cri-containerd-{}.scope", main.id);
    let names = "Slice ControlGroup ActiveState MemoryLimit CPUQuotaPerSecUSec";
    let group = format!("/kubepods.slice/kubepods-pod_one.slice/{unit}");
    assert_eq!(show(host, &unit, names), ["kubepods-pod_one.slice", &group, "active", "67108864", "500ms"]);
    assert_eq!(main.exec("cat /proc/self/cgroup"), main.exec("cat /proc/1/cgroup"));
    let limits = Message::new().number(4, 32 << 20);
    node.call("UpdateContainerResources", &Message::new().text(1, &main.id).message(2, &limits));
    assert_eq!(show(host, &unit, "MemoryLimit"), ["33554432"]);
    let beside = pod.start("beside", "exec sleep 1000");
    assert_eq!(beside.exec("echo here"), ("here".into(), 0));
    node.call("StopContainer", &Message::new().text(1, &main.id).number(2, 1));
    main.ask("RemoveContainer");
    assert_gone(host, &unit);
    pod.remove();
    assert_gone(host, "'cri-*'");
    node.end();
}
