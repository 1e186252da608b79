//! The built-in image `host`: the machine's own userland, with nothing downloaded, and without its secrets.

use bulkhead_tests::Host;

#[test]
fn a_shell_at_once() {
    let host = Host::new("step9");
    host.bulkhead(["images", "-q"]).run().succeeds();
    let mut terminal = host.pty(["run", "--rm", "-it", "host", "sh"]);
    terminal.expect("# ");
    let release = std::fs::read_to_string("/etc/os-release").unwrap();
    assert_eq!(terminal.ask("cat /etc/os-release"), release.trim_end());
    // (In a pipeline the other end might still be the shell that it was.)
    assert_eq!(terminal.ask("ps -e -o comm= > /tmp/ps; xargs < /tmp/ps"), "sh ps");
    terminal.line("exit");
    terminal.ends_with(0);
    host.finish_clean();
}

#[test]
fn what_is_written_reaches_no_file_of_the_machine() {
    let host = Host::new("step9-write");
    let write = "touch /usr/bin/bulkhead-test /etc/bulkhead-test /bulkhead-test && ls /usr/bin/bulkhead-test";
    host.bulkhead(["run", "--rm", "host", "sh", "-c", write]).prints("/usr/bin/bulkhead-test");
    host.sh("ls -d /usr/bin/bulkhead-test /etc/bulkhead-test /bulkhead-test 2>/dev/null || true").prints("");
    host.finish_clean();
}

#[test]
fn homes_are_not_there() {
    let host = Host::new("step9-homes");
    // The machine's root has files, and on the host they can be listed.
    if host.sh("ls -A /root").stdout().is_empty() {
        bulkhead_tests::skip!("/root is empty on this machine, so nothing could leak");
    }
    host.bulkhead([
        "run",
        "--rm",
        "host",
        "sh",
        "-c",
        "ls -A /root /home 2>/dev/null | grep -v -e : -e '^$' || true",
    ])
    .prints("");
    host.finish_clean();
}

#[test]
fn what_only_root_may_read_stays_roots() {
    let host = Host::new("step9-secrets");
    let find = "find /etc /var/lib /var/log -xdev -type f -size +0 ! -perm -o=r 2>/dev/null | head -n 500";
    let secrets = host.sh(find).stdout();
    assert!(secrets.contains("/etc/shadow"), "{secrets}");
    host.sh("head -c1 /etc/shadow | wc -c").prints("1");
    let read = "while read -r file; do if [ -n \"$(head -c1 \"$file\" 2>/dev/null)\" ]; then echo \"$file\"; fi; done";
    host.bulkhead(["run", "--rm", "-i", "host", "sh", "-c", read]).stdin(secrets).prints("");
    host.finish_clean();
}

#[test]
fn the_engines_own_store_is_not_there() {
    let host = Host::new("step9-store").with_busybox();
    assert!(!host.sh("ls -A /var/lib/bulkhead").stdout().is_empty());
    let look = "ls -A /var/lib/bulkhead /run/bulkhead 2>/dev/null | grep -v -e : -e '^$' || true";
    host.bulkhead(["run", "--rm", "host", "sh", "-c", look]).prints("");
    host.finish_clean();
}

#[test]
fn it_can_be_neither_removed_nor_replaced() {
    let host = Host::new("step9-rmi").with_busybox();
    let removed = host.bulkhead(["rmi", "host"]).run();
    assert_ne!(removed.code(), 0, "{removed}");
    let tagged = host.bulkhead(["tag", "busybox", "host"]).run();
    assert_ne!(tagged.code(), 0, "{tagged}");
    host.bulkhead(["run", "--rm", "host", "true"]).prints("");
    host.finish_clean();
}
