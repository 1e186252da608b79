//! System V and POSIX shared memory, semaphores and message queues belong to one container.

use bulkhead_tests::{Host, images::Image};

/// Makes one object of each kind.
const MAKE: &str = "ipcmk -M 4096 >/dev/null; ipcmk -Q >/dev/null; ipcmk -S 1 >/dev/null; \
                    echo secret > /dev/shm/segment; touch /dev/mqueue/queue";
/// Counts them: shared memory, queues, semaphores; then lists the POSIX ones.
const LOOK: &str = "for kind in -m -q -s; do ipcs $kind | grep -c ^0x || true; done | xargs; ls /dev/shm /dev/mqueue | xargs";
const NONE: &str = "0 0 0\n/dev/mqueue: /dev/shm:";
const ALL: &str = "1 1 1\n/dev/mqueue: queue /dev/shm: segment";

fn look(host: &Host, flags: &[&str]) -> String {
    let run = ["run", "--rm"].into_iter().chain(flags.iter().copied());
    host.bulkhead(run.chain(["tools", "sh", "-c", LOOK])).stdout()
}

#[test]
fn objects_of_one_container_are_invisible_elsewhere() {
    let host = Host::new("step5").with(Image::Tools);
    host.run_detached(["--name", "maker", "tools", "sleep", "1000"]);
    host.bulkhead(["exec", "maker", "sh", "-c", MAKE]).prints("");
    host.bulkhead(["exec", "maker", "sh", "-c", LOOK]).prints(ALL);
    assert_eq!(look(&host, &[]), NONE);
    host.sh(LOOK).prints(NONE);
    host.finish();
}

#[test]
fn the_hosts_objects_are_seen_by_who_shares_its_namespace_alone() {
    let host = Host::new("step5-host").with(Image::Tools);
    host.sh(MAKE).prints("");
    assert_eq!(look(&host, &["--ipc=host"]), ALL);
    assert_eq!(look(&host, &[]), NONE);
    assert_eq!(look(&host, &["--ipc=private"]), NONE);
    host.sh("rm /dev/mqueue/queue /dev/shm/segment").prints("");
    host.finish_clean();
}

#[test]
fn a_container_shares_only_when_it_offers_to() {
    let host = Host::new("step5-share").with(Image::Tools);
    host.run_detached(["--name", "open", "--ipc=shareable", "tools", "sleep", "1000"]);
    host.run_detached(["--name", "closed", "--ipc=private", "tools", "sleep", "1000"]);
    host.run_detached(["--name", "default", "tools", "sleep", "1000"]);
    host.bulkhead(["exec", "open", "sh", "-c", MAKE]).prints("");
    assert_eq!(look(&host, &["--ipc=container:open"]), ALL);
    for donor in ["closed", "default"] {
        let join = ["run", "--rm", &format!("--ipc=container:{donor}"), "tools", "true"];
        host.bulkhead(join).fails(125, "non-shareable IPC");
    }
    host.bulkhead(["run", "--rm", "--ipc=container:nobody", "tools", "true"])
        .fails(125, "No such container: nobody");
    assert_eq!(host.inspect("open", "{{.HostConfig.IpcMode}}"), "shareable");
    assert_eq!(host.inspect("default", "{{.HostConfig.IpcMode}}"), "private");
    host.finish();
}

#[test]
fn shared_memory_has_the_size_that_was_asked_for() {
    let host = Host::new("step5-size").with_busybox();
    let size = |flags: &[&str]| {
        let run = ["run", "--rm"].into_iter().chain(flags.iter().copied());
        host.bulkhead(run.chain(["busybox", "sh", "-c", "df -k /dev/shm | tail -n1 | awk '{print $2}'"]))
            .stdout()
    };
    assert_eq!(size(&[]), "65536");
    assert_eq!(size(&["--shm-size=1m"]), "1024");
    assert_eq!(size(&["--shm-size", "1g"]), "1048576");
    host.bulkhead(["run", "--rm", "--shm-size=much", "busybox", "true"]).fails(125, "invalid size: 'much'");
    // With none there is no /dev/shm at all.
    let none =
        ["run", "--rm", "--ipc=none", "busybox", "sh", "-c", "grep -c ' /dev/shm ' /proc/self/mountinfo"];
    host.bulkhead(none).run().ends_with(1).shows("0");
    host.finish_clean();
}
