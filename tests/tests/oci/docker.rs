//! Docker with this runtime in runc's place: the real dockerd, where it is installed.

use bulkhead_tests::images::{self, Image};
use bulkhead_tests::{Host, Output, skip, wait};

/// A host on which dockerd runs with this runtime as its usual one, and the image busybox; `None`: Docker is not
/// installed, or does not come up here.
fn with_docker(name: &str, flags: &str) -> Option<Host> {
    images::make(Image::Busybox);
    let host = Host::new(name);
    host.sh("mkdir -p /run/own /run/peer /var/lib/docker; mount -t tmpfs t /var/lib/docker
             ln -s $(command -v bulkhead) /run/own/bulkhead-runtime")
        .run()
        .succeeds();
    let up = start_daemon(&host, flags);
    if up.code() != 0 {
        let log = host.sh("tail -n 3 /tmp/dockerd.log 2> /dev/null || true").run();
        eprintln!("{up}\n{log}");
        host.abandon();
        return None;
    }
    host.sh(&format!("docker load --quiet --input {}", Image::Busybox.on_host())).run().succeeds();
    Some(host)
}

/// Starts dockerd, and waits until it answers.
fn start_daemon(host: &Host, flags: &str) -> Output {
    host.sh(&format!(
        "command -v dockerd docker
         setsid dockerd --exec-root /run/peer/exec -p /run/peer/pid -H unix:///var/run/docker.sock \
             --add-runtime bulkhead=/run/own/bulkhead-runtime --default-runtime bulkhead {flags} \
             < /dev/null > /tmp/dockerd.log 2>&1 &
         for i in $(seq 300); do docker version > /dev/null 2>&1 && break; sleep 0.1; done; docker version"
    ))
    .run()
}

/// Ends it. What Docker leaves on a host goes with that.
fn end(host: Host) {
    host.sh("docker ps -aq | xargs -r docker rm -f").run().succeeds();
    host.sh("ls /run/peer/exec/runtime-runc/moby 2> /dev/null || true").prints("");
    host.sh("kill $(cat /run/peer/pid)").run().succeeds();
    wait::until("dockerd has ended", || host.sh("pgrep -x dockerd || true").stdout().is_empty());
    host.abandon();
}

#[test]
fn docker_s_everyday_commands_work() {
    let Some(host) = with_docker("oci-docker", "") else {
        skip!("dockerd is not installed, or does not come up here");
    };
    let docker = |words: &str| host.sh(&format!("docker {words}"));
    docker("run --rm busybox echo hello").prints("hello");
    docker("run --rm -i busybox cat").stdin("through").prints("through");
    docker("run --rm busybox sh -c 'exit 7'").run().ends_with(7);
    docker("run --rm busybox nosuch").fails(127, "executable file not found");
    docker("run --rm busybox /etc/passwd").fails(126, "permission denied");
    docker("run --rm --user 33:44 --workdir /var --hostname name --read-only --tmpfs /scratch -v /run/own:/own:ro busybox \
            sh -c 'id -u; pwd; hostname; touch /x 2>&1 | grep -c Read; touch /scratch/x && ls /own'")
        .prints("33\n/var\nname\n1\nbulkhead-runtime");
    docker("run -d --ipc shareable --name one --memory 64m --pids-limit 50 busybox sh -c 'echo said; exec sleep 1000'")
        .run()
        .succeeds();
    docker("exec one sh -c 'cat /proc/1/comm; exit 3'").run().ends_with(3);
    docker("exec -e A=b -w /tmp one sh -c 'echo $A; pwd'").prints("b\n/tmp");
    wait::until("it has spoken", || docker("logs one").stdout() == "said");
    assert!(docker("top one -o pid,comm").stdout().ends_with("sleep"));
    // It is this runtime that Docker called: the lock is a file that only its containers have.
    // (Docker deletes the ones before when their clients have their answers.)
    let locks = || host.sh("find /run/ -path '*moby*' -name lock 2>/dev/null").stdout();
    let alone = || if locks().lines().count() == 1 { Ok(()) } else { Err(()) };
    if wait::poll(wait::PATIENCE, alone).is_err() {
        let states = "for lock in $(find /run/ -path '*moby*' -name lock); do ls -l ${lock%/*}; cat ${lock%/*}/*.json; done; docker ps -a";
        panic!("those before are still there: {}\n{}", locks(), host.sh(states).run());
    }
    docker("pause one").run().succeeds();
    docker("inspect --format '{{.State.Status}}' one").prints("paused");
    docker("unpause one").run().succeeds();
    assert!(docker("stats --no-stream --format '{{.MemUsage}}' one").stdout().contains("64MiB"));
    docker("update --memory 128m --memory-swap 128m one").run().succeeds();
    assert!(docker("stats --no-stream --format '{{.MemUsage}}' one").stdout().contains("128MiB"));
    docker("run --rm --pid container:one --network container:one --ipc container:one busybox sh -c 'cat /proc/1/comm'").prints("sleep");
    docker("stop -t 1 one").run().succeeds();
    docker("inspect --format '{{.State.ExitCode}}' one").prints("137");
    docker("logs --tail 1 one").prints("said");
    docker("run -d --name polite busybox sh -c 'trap \"echo bye; exit 9\" TERM; echo ready; while :; do sleep 0.05; done'")
        .run()
        .succeeds();
    wait::until("it listens", || docker("logs polite").stdout() == "ready");
    docker("stop polite").run().succeeds();
    docker("wait polite").prints("9");
    docker("logs polite").prints("ready\nbye");
    docker("start one").run().succeeds();
    docker("kill -s KILL one").run().succeeds();
    end(host);
}

#[test]
fn terminals_health_checks_and_restarts_work_under_docker() {
    let Some(host) = with_docker("oci-docker-more", "") else {
        skip!("dockerd is not installed, or does not come up here");
    };
    let docker = |words: &str| host.sh(&format!("docker {words}"));
    let mut terminal = host.pty_of(["docker", "run", "--rm", "-it", "busybox", "sh"]);
    assert_eq!(terminal.ask("tty"), "/dev/pts/0");
    terminal.resize(100, 30);
    let mut size = String::new();
    wait::until("the size has come through", || {
        size = terminal.ask("stty size");
        size == "30 100"
    });
    terminal.line("exit 3");
    assert_eq!(terminal.wait().0, 3);
    docker("run -dit --name kept busybox sh").run().succeeds();
    let mut terminal = host.pty_of(["docker", "attach", "--detach-keys", "ctrl-x", "kept"]);
    assert_eq!(terminal.ask("kept=yes; echo $kept"), "yes");
    terminal.send("\x18");
    terminal.expect("read escape sequence");
    terminal.wait();
    let mut terminal = host.pty_of(["docker", "attach", "kept"]);
    assert_eq!(terminal.ask("echo $kept"), "yes");
    terminal.line("exit 5");
    assert_eq!(terminal.wait().0, 5);
    docker("wait kept").prints("5");
    docker("run -d --name well --health-cmd 'test -e /ok' --health-interval 0.2s busybox sh -c 'touch /ok; exec sleep 1000'")
        .run()
        .succeeds();
    wait::until("it is healthy", || {
        docker("inspect --format '{{.State.Health.Status}}' well").stdout() == "healthy"
    });
    let mut terminal = host.pty_of(["docker", "exec", "-it", "well", "sh"]);
    assert_eq!(terminal.ask("test -t 0 && echo yes"), "yes");
    terminal.line("exit 4");
    assert_eq!(terminal.wait().0, 4);
    docker("exec well rm /ok").run().succeeds();
    wait::until("it is no longer healthy", || {
        docker("inspect --format '{{.State.Health.Status}}' well").stdout() == "unhealthy"
    });
    docker("run -d --name again --restart always busybox sh -c 'sleep 0.1; exit 1'").run().succeeds();
    wait::until("it has been started again", || {
        docker("inspect --format '{{.RestartCount}}' again").stdout().parse::<u32>().unwrap() >= 2
    });
    docker("run -d --name twice --restart on-failure:2 busybox sh -c 'echo once more; exit 6'")
        .run()
        .succeeds();
    wait::until("it is left alone", || {
        docker("inspect --format '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}' twice").stdout()
            == "exited 6 2"
    });
    docker("logs twice").prints("once more\nonce more\nonce more");
    end(host);
}

#[test]
fn docker_s_flags_of_isolation_and_networks_work() {
    let Some(host) = with_docker("oci-docker-flags", "--live-restore") else {
        skip!("dockerd is not installed, or does not come up here");
    };
    let docker = |words: &str| host.sh(&format!("docker {words}"));
    docker(
        "run --rm --init --cap-drop ALL --cap-add CHOWN --security-opt no-new-privileges --ulimit nofile=99:99 \
         --sysctl net.ipv4.ip_forward=1 --device /dev/null:/dev/other:r --hostname h --domainname d \
         --mount type=bind,source=/run/own,target=/own,readonly --shm-size 1m --cgroupns private busybox \
         sh -c 'cat /proc/1/comm; grep -E \"CapEff|NoNewPrivs|Seccomp:\" /proc/self/status; ulimit -n
                cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/domainname; test -c /dev/other && echo device
                touch /own/x 2>&1 | grep -c Read; df -k /dev/shm | tail -n 1 | tr -s \" \" | cut -d \" \" -f 2'",
    )
    .prints(
        "docker-init\nCapEff:\t0000000000000001\nNoNewPrivs:\t1\nSeccomp:\t2\n99\n1\nd\ndevice\n1\n1024",
    );
    // The usual profile forbids mounts even to those with the capability; without a profile they succeed.
    let mount = "busybox sh -c 'unshare -m mount -t tmpfs t /tmp && echo mounted'";
    assert_ne!(docker(&format!("run --rm {mount}")).run().code(), 0);
    docker(&format!("run --rm --cap-add SYS_ADMIN --security-opt seccomp=unconfined {mount}"))
        .prints("mounted");
    docker(
        "run --rm --uts host --ipc host --pid host --network host --cgroupns host busybox sh -c \
            'for kind in uts ipc pid net cgroup; do readlink /proc/self/ns/$kind; done'",
    )
    .prints(&host.sh("for kind in uts ipc pid net cgroup; do readlink /proc/self/ns/$kind; done").stdout());

    // Docker wires its networks by a hook.
    docker("network create two").run().succeeds();
    docker(
        "run -d --name web --network two -p 127.0.0.1:8080:80 -v data:/data busybox \
            sh -c 'echo page > /data/page; exec nc -ll -p 80 -e cat /data/page'",
    )
    .run()
    .succeeds();
    docker("run --rm --network two busybox sh -c 'nslookup web | grep -c Name'").prints("1");
    let address = docker("inspect --format '{{.NetworkSettings.Networks.two.IPAddress}}' web").stdout();
    docker(&format!("run --rm --network two busybox nc {address} 80")).prints("page");
    host.sh("busybox nc 127.0.0.1 8080 < /dev/null").prints("page");
    docker("cp web:/data/page /tmp/page").run().succeeds();
    docker("run --rm -v data:/d busybox cat /d/page").prints("page");

    // The daemon ends, and the container goes on; the next one has it.
    let first = docker("inspect --format '{{.State.Pid}}' web").stdout();
    host.sh("kill -KILL $(cat /run/peer/pid)").run().succeeds();
    wait::until("dockerd has ended", || host.sh("pgrep -x dockerd || true").stdout().is_empty());
    start_daemon(&host, "--live-restore").succeeds();
    docker("inspect --format '{{.State.Pid}}' web").prints(&first);
    docker("exec web cat /data/page").prints("page");
    docker("restart -t 0 web").run().succeeds();
    docker("exec web cat /data/page").prints("page");
    end(host);
}

#[test]
fn docker_s_user_namespaces_work() {
    let Some(host) = with_docker("oci-docker-users", "--userns-remap default") else {
        skip!("dockerd is not installed, or does not come up here");
    };
    let docker = |words: &str| host.sh(&format!("docker {words}"));
    let said =
        docker("run --rm busybox sh -c 'cat /proc/self/uid_map; id -u; touch /x; stat -c %u /x /dev/null'")
            .stdout();
    let words: Vec<&str> = said.split_whitespace().collect();
    let range = words[1];
    assert_ne!(range, "0", "{said}");
    assert_eq!(words[3..], ["0", "0", "0"], "{said}");
    docker("run -d --name one -v data:/data busybox sh -c 'touch /data/x; exec sleep 1000'").run().succeeds();
    // Root in there is nobody out here, and programs that come later are in there too.
    host.sh("stat -c %u /proc/$(docker inspect --format '{{.State.Pid}}' one)").prints(range);
    wait::until("it has written", || docker("exec one ls /data").stdout() == "x");
    host.sh("stat -c %u $(docker volume inspect --format '{{.Mountpoint}}' data)/x").prints(range);
    docker("exec one sh -c 'cat /proc/self/uid_map | tr -s \" \"; id -u'")
        .prints(&format!(" 0 {range} 65536\n0"));
    docker("exec -u 33 one id -u").prints("33");
    docker("run --rm --pid container:one --network container:one busybox cat /proc/1/comm").prints("sleep");
    docker("run --rm --userns host busybox sh -c 'tr -s \" \" < /proc/self/uid_map'")
        .prints(" 0 0 4294967295");
    let mut terminal = host.pty_of(["docker", "run", "--rm", "-it", "busybox", "sh"]);
    assert_eq!(terminal.ask("tty; stat -c %u $(tty)"), "/dev/pts/0\n0");
    terminal.line("exit 3");
    assert_eq!(terminal.wait().0, 3);
    docker("stop -t 0 one").run().succeeds();
    end(host);
}
