//! Devices: the standard nodes, and none of the host's, whoever makes a node.

use bulkhead_tests::{Host, skip};

use crate::sh;

#[test]
fn the_standard_nodes_are_there_and_work() {
    let host = Host::new("devices").with_busybox();
    let listed = sh(&host, &[], "busybox", "ls /dev | xargs").stdout();
    for node in [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    ] {
        assert!(listed.split(' ').any(|name| name == node), "{node} is missing in {listed}");
    }
    for leak in ["sda", "vda", "kmsg", "mem", "loop0", "kvm", "fuse"] {
        assert!(!listed.split(' ').any(|name| name == leak), "{leak} is in {listed}");
    }
    let work = "echo x > /dev/null; head -c4 /dev/zero | wc -c; head -c4 /dev/urandom | wc -c; echo err > /dev/stderr; \
                echo x > /dev/full || echo full; stat -c '%a %t:%T' /dev/null";
    sh(&host, &[], "busybox", work).run().succeeds().shows("4\n4\nfull\n666 1:3");
    host.finish_clean();
}

#[test]
fn a_node_of_ones_own_opens_nothing() {
    let host = Host::new("devices-mknod").with_busybox();
    if host.sh("test -b /dev/loop0 && head -c1 /dev/loop0").run().code() != 0 {
        skip!("there is no loop device on this machine, and no other device is harmless to read");
    }
    let attack = "mknod /tmp/d b 7 0 && head -c1 /tmp/d";
    sh(&host, &["--privileged"], "busybox", attack).prints("");
    let refused = sh(&host, &[], "busybox", attack).run();
    assert_ne!(refused.code(), 0, "{refused}");
    refused.says("not permitted");
    // Host root's IDs do not help: the device cgroup refuses.
    let refused = sh(&host, &["--userns=host"], "busybox", attack).run();
    assert_ne!(refused.code(), 0, "{refused}");
    // By exec, too.
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    let refused = host.bulkhead(["exec", "c1", "sh", "-c", attack]).run();
    assert_ne!(refused.code(), 0, "{refused}");
    host.finish();
}

#[test]
fn a_device_that_is_given_works() {
    let host = Host::new("devices-given").with_busybox();
    if host.sh("test -b /dev/loop0 && head -c1 /dev/loop0").run().code() != 0 {
        skip!("there is no loop device on this machine, and no other device is harmless to read");
    }
    sh(&host, &["--device=/dev/loop0"], "busybox", "head -c1 /dev/loop0; stat -c %t:%T /dev/loop0")
        .prints("7:0");
    sh(&host, &["--device=/dev/loop0:/dev/mine:r"], "busybox", "head -c1 /dev/mine; echo x > /dev/mine")
        .fails(1, "not permitted");
    // Docker's own command makes 127 of this, from the words of the error.
    let missing = sh(&host, &["--device=/dev/nosuch"], "busybox", "true").run();
    assert!([125, 127].contains(&missing.code()), "{missing}");
    missing.says("/dev/nosuch");
    sh(&host, &["--device=/dev/loop0:/dev/x:q"], "busybox", "true").fails(125, "q");
    let all = sh(&host, &["--privileged"], "busybox", "ls /dev").stdout();
    assert!(all.lines().any(|name| name == "loop0") && all.lines().any(|name| name == "kmsg"), "{all}");
    host.finish_clean();
}
