//! Kubernetes' way in: pods and containers by the Container Runtime Interface of containerd, with this runtime as a handler in
//! containerd's configuration, which is what a RuntimeClass names. The messages are those that a kubelet sends
//! (k8s.io/cri-api, runtime/v1/api.proto).

use bulkhead_tests::archive::docker_archive;
use bulkhead_tests::images::{self, Image};
use bulkhead_tests::{Cmd, Host, Output, skip, wait};
use serde_json::json;

use crate::grpc::{self, Message};

const SOCKET: &str = "/run/ctr/socket";
/// Counts this runtime's containers: only they have such a file.
const LOCKS: &str = "find /run -path '*k8s.io*' -name lock 2> /dev/null | wc -l";
/// States of a container.
const RUNNING: u64 = 1;
const EXITED: u64 = 2;
/// Whose namespace is used: the pod's, the container's own, the node's.
pub(crate) const POD: u64 = 0;
pub(crate) const CONTAINER: u64 = 1;
pub(crate) const NODE: u64 = 2;

/// A host with containerd, its CRI plugin and a network for pods.
pub(crate) struct Node {
    pub(crate) host: Host,
    /// How a script is run on it: beside systemd, if that makes the groups.
    sh: fn(&Host, &str) -> Cmd,
    systemd: bool,
}

impl Node {
    fn new(name: &str) -> Option<Node> {
        Node::on(Host::new(name), Host::sh, false)
    }

    /// `sh` runs scripts there; `systemd`: it is told to make the groups.
    pub(crate) fn on(host: Host, sh: fn(&Host, &str) -> Cmd, systemd: bool) -> Option<Node> {
        images::make(Image::Busybox);
        host.sh("mkdir -p /run/own /run/ctr/cni; ln -s $(command -v bulkhead) /run/own/bulkhead-runtime; cat > /run/ctr/cni/pods.conflist")
            .stdin(
                json!({ "cniVersion": "0.4.0", "name": "pods", "plugins": [{
                    "type": "bridge", "bridge": "pods0", "isGateway": true,
                    "ipam": { "type": "host-local", "dataDir": "/run/ctr/addresses",
                              "ranges": [[{ "subnet": "10.123.0.0/16" }]], "routes": [{ "dst": "0.0.0.0/0" }] },
                }] })
                .to_string(),
            )
            .run()
            .succeeds();
        // Without CAP_SYS_RESOURCE no score can be lowered, as a pod's own process has it.
        let configuration = r#"
version = 2
root = "/run/ctr/root"
state = "/run/ctr/state"
[grpc]
address = "/run/ctr/socket"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/library/pause:1"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "/run/ctr/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.bulkhead]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.bulkhead.options]
BinaryName = "/run/own/bulkhead-runtime"
"#;
        let configuration = format!("{configuration}SystemdCgroup = {systemd}\n");
        host.sh("cat > /run/ctr/config.toml").stdin(configuration).run().succeeds();
        let import = format!("ctr -a {SOCKET} -n k8s.io image import {}", Image::Busybox.on_host());
        let up = start_containerd(&host, sh, &import);
        if up.code() != 0 {
            eprintln!("{up}");
            host.abandon();
            return None;
        }
        // What holds a pod's namespaces only has to stay.
        let pause = docker_archive(
            "docker.io/library/pause:1",
            &json!({ "Entrypoint": ["sleep", "1000000"], "Env": ["PATH=/bin"] }),
            &[images::busybox().done()],
        );
        sh(&host, &format!("ctr -a {SOCKET} -n k8s.io image import -")).stdin(pause).run().succeeds();
        Some(Node { host, sh, systemd })
    }

    #[track_caller]
    pub(crate) fn call(&self, method: &str, request: &Message) -> Message {
        match grpc::call(&self.host, SOCKET, &format!("runtime.v1.RuntimeService/{method}"), request) {
            Ok(answer) => answer,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    /// A pod of this runtime's; `namespaces` are whose network, processes and IPC it has.
    #[track_caller]
    pub(crate) fn pod(&self, name: &str, [network, pid, ipc]: [u64; 3]) -> Pod<'_> {
        let group =
            if self.systemd { format!("kubepods-pod_{name}.slice") } else { format!("/kubepods/pod-{name}") };
        let modes = Message::new().number(1, network).number(2, pid).number(3, ipc);
        let config = Message::new()
            .message(1, &Message::new().text(1, name).text(2, &format!("uid-{name}")).text(3, "default"))
            .text(2, if network == NODE { "" } else { name })
            .text(3, &format!("/tmp/logs/{name}"))
            .message(8, &Message::new().text(1, &group).message(2, &Message::new().message(1, &modes)));
        let request = Message::new().message(1, &config).text(2, "bulkhead");
        let id = self.call("RunPodSandbox", &request).get_text(1);
        Pod { node: self, id, config, modes }
    }

    /// Ends it: nothing of this runtime's is left.
    pub(crate) fn end(self) {
        self.host.sh(LOCKS).prints("0");
        self.host
            .sh("find /sys/fs/cgroup -type d -path '*/kubepods/pod-*/*' -o -name 'cri-*.scope'")
            .prints("");
        (self.sh)(&self.host, "kill $(cat /run/ctr/pid)").run().succeeds();
        self.host.abandon();
    }
}

/// Starts containerd, and runs `then` when it answers.
fn start_containerd(host: &Host, sh: fn(&Host, &str) -> Cmd, then: &str) -> Output {
    let script = format!(
        "command -v containerd ctr curl /usr/lib/cni/bridge
         setsid containerd --config /run/ctr/config.toml < /dev/null >> /tmp/log 2>&1 &
         echo $! > /run/ctr/pid
         for i in $(seq 200); do ctr -a {SOCKET} version > /dev/null 2>&1 && break; sleep 0.1; done
         {then}"
    );
    sh(host, &script).run()
}

pub(crate) struct Pod<'n> {
    node: &'n Node,
    id: String,
    config: Message,
    modes: Message,
}

impl Pod<'_> {
    /// A container in the pod, made but not started. `more` adds to its configuration, `security` to its security context.
    #[track_caller]
    pub(crate) fn create(
        &self,
        name: &str,
        script: &str,
        more: impl FnOnce(Message) -> Message,
        resources: &Message,
        security: impl FnOnce(Message) -> Message,
    ) -> Contained<'_> {
        let config = Message::new()
            .message(1, &Message::new().text(1, name))
            .message(2, &Message::new().text(1, "docker.io/library/busybox:latest"))
            .texts(3, ["sh", "-c", script])
            .text(11, &format!("{name}.log"));
        let security = security(Message::new().message(3, &self.modes));
        let linux = Message::new().message(1, resources).message(2, &security);
        let request = Message::new()
            .text(1, &self.id)
            .message(2, &more(config).message(15, &linux))
            .message(3, &self.config);
        let id = self.node.call("CreateContainer", &request).get_text(1);
        Contained { node: self.node, id }
    }

    /// A plain one, started.
    #[track_caller]
    pub(crate) fn start(&self, name: &str, script: &str) -> Contained<'_> {
        let container = self.create(name, script, |config| config, &Message::new(), |security| security);
        container.ask("StartContainer");
        container
    }

    #[track_caller]
    pub(crate) fn remove(self) {
        let named = Message::new().text(1, &self.id);
        self.node.call("StopPodSandbox", &named);
        self.node.call("RemovePodSandbox", &named);
    }
}

pub(crate) struct Contained<'n> {
    node: &'n Node,
    pub(crate) id: String,
}

impl Contained<'_> {
    #[track_caller]
    pub(crate) fn ask(&self, method: &str) -> Message {
        self.node.call(method, &Message::new().text(1, &self.id))
    }

    /// What a program in it prints, and its exit code.
    #[track_caller]
    pub(crate) fn exec(&self, script: &str) -> (String, u64) {
        let request = Message::new().text(1, &self.id).texts(2, ["sh", "-c", script]).number(3, 20);
        let answer = self.node.call("ExecSync", &request);
        (answer.get_text(1).trim_end().to_owned(), answer.get_number(3))
    }

    #[track_caller]
    fn status(&self) -> Message {
        self.ask("ContainerStatus").get(1)
    }

    #[track_caller]
    fn await_end(&self) -> Message {
        wait::until("it has ended", || self.status().get_number(3) == EXITED);
        self.status()
    }
}

#[test]
fn pods_and_their_containers_work_by_kubernetes_interface() {
    let Some(node) = Node::new("oci-cri") else {
        skip!("containerd or the CNI plugins are not installed, or containerd does not come up here");
    };
    let host = &node.host;
    let pod = node.pod("one", [POD, CONTAINER, POD]);
    let address = node.call("PodSandboxStatus", &Message::new().text(1, &pod.id)).get(1).get(5).get_text(1);
    assert!(address.starts_with("10.123."), "{address}");

    let mut limits = Message::new().number(1, 100_000).number(2, 50_000).number(3, 512).number(4, 64 << 20);
    let restricted = |security: Message| {
        security
            .message(1, &Message::new().text(2, "ALL")) // capabilities: drop
            .message(5, &Message::new().number(1, 33)) // run_as_user
            .number(7, 1) // readonly_rootfs
            .number(11, 1) // no_new_privs
            .texts(13, ["/proc/kcore", "/proc/keys"]) // masked_paths
            .texts(14, ["/proc/sys"]) // readonly_paths
            .message(15, &Message::new().number(1, 0)) // seccomp: the runtime's usual profile
    };
    let extra = |config: Message| {
        config
            .message(6, &Message::new().text(1, "NAME").text(2, "value")) // envs
            .message(7, &Message::new().text(1, "/given").text(2, "/run/own").number(3, 1)) // mounts
            .text(5, "/given")
    };
    let script = "echo $NAME; echo error >&2; trap 'echo bye; exit 9' TERM; while :; do sleep 0.05; done";
    let main = pod.create("main", script, extra, &limits, restricted);
    assert_eq!(main.status().get_number(3), 0, "it is created");
    main.ask("StartContainer");
    assert_eq!(main.status().get_number(3), RUNNING);
    let log = || host.sh("cat /tmp/logs/one/main.log 2> /dev/null || true").stdout();
    wait::until("it has spoken", || log().contains("stdout F value") && log().contains("stderr F error"));
    let seen = main.exec(
        "id -u; pwd; ls; hostname; grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; touch /x 2>&1 | grep -c Read
         touch /given/x 2>&1 | grep -c Read; exit 3",
    );
    let status = "CapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2";
    assert_eq!(seen, (format!("33\n/given\nbulkhead-runtime\none\n{status}\n1\n1"), 3));
    let group = "/sys/fs/cgroup/memory/kubepods/pod-one";
    if host.sh(&format!("test -d {group}")).run().code() == 0 {
        let limit = || host.sh(&format!("cat {group}/{}/memory.limit_in_bytes", main.id)).stdout();
        assert_eq!(limit(), (64 << 20).to_string());
        limits = Message::new().number(4, 32 << 20);
        node.call("UpdateContainerResources", &Message::new().text(1, &main.id).message(2, &limits));
        assert_eq!(limit(), (32 << 20).to_string());
    }
    let stats = main.ask("ContainerStats").get(1);
    assert!(stats.get(3).get(2).get_number(1) > 0, "memory is in use: {stats:?}");

    // A second one shares what the pod has, and sees no processes of the first.
    let beside = pod.start("beside", "exec nc -ll -p 80 -e echo answer");
    let namespaces = "for kind in net ipc uts pid mnt; do readlink /proc/self/ns/$kind; done";
    let (ours, theirs) = (main.exec(namespaces).0, beside.exec(namespaces).0);
    let same: Vec<bool> = ours.lines().zip(theirs.lines()).map(|(one, other)| one == other).collect();
    assert_eq!(same, [true, true, true, false, false], "{ours}\n{theirs}");
    assert_eq!(main.exec("nc 127.0.0.1 80 < /dev/null"), ("answer".into(), 0));
    host.sh(&format!("busybox nc {address} 80 < /dev/null")).prints("answer");

    // containerd ends, and its containers go on; the next one has them.
    host.sh("kill -KILL $(cat /run/ctr/pid)").run().succeeds();
    wait::until("containerd has ended", || host.sh("pgrep -x containerd || true").stdout().is_empty());
    start_containerd(host, node.sh, "true").succeeds();
    wait::until("it knows its containers", || {
        let status = Message::new().text(1, &main.id);
        grpc::call(host, SOCKET, "runtime.v1.RuntimeService/ContainerStatus", &status).is_ok()
    });
    assert_eq!(main.status().get_number(3), RUNNING);
    assert_eq!(main.exec("id -u"), ("33".into(), 0));

    // The pod's own, and these two.
    host.sh(LOCKS).prints("3");
    node.call("StopContainer", &Message::new().text(1, &main.id).number(2, 10));
    let ended = main.status();
    assert_eq!((ended.get_number(3), ended.get_number(7)), (EXITED, 9));
    assert!(log().contains("stdout F bye"));
    main.ask("RemoveContainer");

    // What takes more memory than it may is ended, and the kubelet is told why.
    let small = Message::new().number(4, 16 << 20);
    let greedy = pod.create("greedy", "tail -c 100m /dev/zero", |config| config, &small, |security| security);
    greedy.ask("StartContainer");
    let ended = greedy.await_end();
    assert_eq!((ended.get_number(7), ended.get_text(10)), (137, "OOMKilled".into()));

    let command = Message::new().text(1, &beside.id).texts(2, ["nosuch"]);
    let error = grpc::call(host, SOCKET, "runtime.v1.RuntimeService/ExecSync", &command).unwrap_err();
    assert!(error.contains("executable file not found"), "{error}");
    pod.remove();

    // Processes shared by the pod, and a pod of the node's own network.
    let pod = node.pod("two", [NODE, POD, POD]);
    let first = pod.start("first", "exec sleep 1234");
    let second = pod.start("second", "exec sleep 5678");
    let (processes, _) = first.exec("for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; done");
    for sleeper in ["sleep 1000000", "sleep 1234", "sleep 5678"] {
        assert!(processes.contains(sleeper), "{processes}");
    }
    let network = host.sh("readlink /proc/self/ns/net").stdout();
    assert_eq!(second.exec("readlink /proc/self/ns/net").0, network);
    pod.remove();
    node.end();
}
