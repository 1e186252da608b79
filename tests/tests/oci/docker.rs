//! Docker with this runtime in runc's place: the real dockerd, where it is installed.

use bulkhead_tests::images::{self, Image};
use bulkhead_tests::{Host, skip, wait};

/// A host on which dockerd runs with this runtime as its usual one, and the image busybox; `None`: Docker is not
/// installed, or does not come up here.
fn with_docker(name: &str, flags: &str) -> Option<Host> {
    images::make(Image::Busybox);
    let host = Host::new(name);
    let script = format!(
        "command -v dockerd docker; mkdir -p /run/own /run/peer /var/lib/docker; mount -t tmpfs t /var/lib/docker
         ln -s $(command -v bulkhead) /run/own/bulkhead-runtime
         setsid dockerd --exec-root /run/peer/exec -p /run/peer/pid -H unix:///var/run/docker.sock \
             --add-runtime bulkhead=/run/own/bulkhead-runtime --default-runtime bulkhead {flags} \
             < /dev/null > /tmp/dockerd.log 2>&1 &
         for i in $(seq 300); do docker version > /dev/null 2>&1 && break; sleep 0.1; done; docker version"
    );
    let up = host.sh(&script).run();
    if up.code() != 0 {
        let log = host.sh("tail -n 3 /tmp/dockerd.log 2> /dev/null || true").run();
        eprintln!("{up}\n{log}");
        host.abandon();
        return None;
    }
    host.sh(&format!("docker load --quiet --input {}", Image::Busybox.on_host())).run().succeeds();
    Some(host)
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
    let locks = || host.sh("find /run/ -path '*moby*' -name lock 2>/dev/null | wc -l").stdout();
    wait::until("the ones before are gone", || locks() == "1");
    docker("pause one").run().succeeds();
    docker("inspect --format '{{.State.Status}}' one").prints("paused");
    docker("unpause one").run().succeeds();
    assert!(docker("stats --no-stream --format '{{.MemUsage}}' one").stdout().contains("64MiB"));
    docker("update --memory 128m --memory-swap 128m one").run().succeeds();
    assert!(docker("stats --no-stream --format '{{.MemUsage}}' one").stdout().contains("128MiB"));
    docker("run --rm --pid container:one --network container:one --ipc container:one busybox sh -c 'cat /proc/1/comm'").prints("sleep");
    docker("stop -t 1 one").run().succeeds();
    docker("inspect --format '{{.State.ExitCode}}' one").prints("137");
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
    terminal.line("exit 3");
    assert_eq!(terminal.wait().0, 3);
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
    docker("run -d --name again --restart always busybox sh -c 'sleep 0.1; exit 1'").run().succeeds();
    wait::until("it has been started again", || {
        docker("inspect --format '{{.RestartCount}}' again").stdout().parse::<u32>().unwrap() >= 2
    });
    end(host);
}

#[test]
fn docker_s_user_namespaces_work() {
    let Some(host) = with_docker("oci-docker-users", "--userns-remap default") else {
        skip!("dockerd is not installed, or does not come up here");
    };
    let said = host.sh("docker run --rm busybox sh -c 'cat /proc/self/uid_map; id -u; touch /x; stat -c %u /x /dev/null'").stdout();
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_ne!(words[1], "0", "{said}");
    assert_eq!(words[3..], ["0", "0", "0"], "{said}");
    end(host);
}
