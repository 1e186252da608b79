//! The harness itself: a host is apart from the machine, finds what is left over, and leaves nothing.

use bulkhead_tests::Host;
use bulkhead_tests::cgroups::Hierarchy;

#[test]
fn a_host_has_its_own_of_everything() {
    let host = Host::new("own");
    host.sh("ps -e -o pid=,comm= | wc -l").prints("4"); // init, sh, ps, wc
    host.sh("ls /sys/class/net").prints("lo");
    host.sh("ping -c1 -W1 127.0.0.1 >/dev/null 2>&1 || grep -q 'lo' /proc/net/dev").prints("");
    host.sh("hostname | grep -c bulkhead-test-").prints("1");
    host.sh("ls -A /run/bulkhead /tmp /dev/shm 2>/dev/null || true").run().hides("docker");
    host.sh("cut -d: -f3 /proc/self/cgroup | sort -u | grep -vx -e / -e /init || true").prints("");
    host.sh("echo 10.0.0.1 here >> /etc/hosts; echo x:1:1 > /etc/subuid; grep -c here /etc/hosts")
        .prints("1");
    assert!(!std::fs::read_to_string("/etc/hosts").unwrap().contains("10.0.0.1 here"));
    let refused = host.sh("touch /usr/bin/x").run();
    refused.says("read-only");
}

#[test]
fn hosts_are_apart_from_each_other() {
    let (one, two) = (Host::new("one"), Host::new("two"));
    one.sh("echo 1 > /tmp/mine; ip link add test-a type veth peer name test-b").prints("");
    two.sh("test ! -e /tmp/mine; ip -o link show | grep -c test- || true").prints("0");
}

#[test]
fn leftovers_are_found() {
    let host = Host::new("leftovers");
    host.sh("sleep 1000 </dev/null >/dev/null 2>&1 & ip link add veth7 type veth peer name veth8").prints("");
    host.sh("mkdir -p /run/bulkhead/x; mount -t tmpfs none /run/bulkhead/x").prints("");
    for hierarchy in Hierarchy::all().unwrap().iter().take(1) {
        host.sh(&format!("mkdir {}/left", hierarchy.mount.display())).prints("");
    }
    let found = host.sh("/run/host/test-host look").stdout();
    for needle in ["sleep 1000", "link veth7", "mount /run/bulkhead/x", "/left"] {
        assert!(found.contains(needle), "{needle} is missing in\n{found}");
    }
    host.sh("pkill -x sleep; ip link del veth7; umount /run/bulkhead/x; find /sys/fs/cgroup -name left | xargs rmdir")
        .prints("");
    host.assert_nothing_left();
}

#[test]
fn a_terminal_can_be_driven() {
    let host = Host::new("terminal");
    let mut pty = host.pty_of(["sh"]);
    assert_eq!(pty.ask("tty | cut -c-9; stty size"), "/dev/pts/\n24 80");
    pty.resize(100, 40);
    assert_eq!(pty.ask("stty size"), "40 100");
    pty.line("exit 7");
    pty.ends_with(7);
}

#[test]
fn a_command_ends_as_it_ends() {
    let host = Host::new("ends");
    host.sh("echo out; echo err >&2; exit 9").fails(9, "err").shows("out");
    host.sh("kill -KILL $$").fails(137, "");
    let big = vec![b'x'; 10 << 20];
    host.sh("wc -c").stdin(big).prints("10485760");
}

#[test]
fn nothing_of_a_host_stays_on_the_machine() {
    let host = Host::new("gone");
    let name = host.name().to_owned();
    drop(host);
    for hierarchy in Hierarchy::all().unwrap() {
        assert!(!hierarchy.folder(&name).exists(), "{}", hierarchy.folder(&name).display());
    }
}
