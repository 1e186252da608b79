//! The driver macvlan: containers beside one of the host's links, with addresses of the network that it is on.

use bulkhead_tests::Host;

use super::outside::{Outside, THERE};
use super::{inside, network};

#[test]
fn a_container_is_a_machine_of_the_host_s_network() {
    let host = Host::new("macvlan").with_busybox();
    let outside = Outside::of(&host);
    network(
        &host,
        "lan",
        &["-d", "macvlan", "--subnet", "192.0.2.0/24", "--gateway", THERE, "-o", "parent=test-a"],
    );
    let run = |name: &str, ip: &str| {
        host.run_detached(["--name", name, "--network", "lan", "--ip", ip, "busybox", "sleep", "1000"]);
    };
    run("one", "192.0.2.10");
    run("two", "192.0.2.11");
    assert!(outside.sh("busybox ping -c1 -W3 192.0.2.10").contains("1 packets received"));
    assert!(inside(&host, "one", "busybox ping -c1 -W3 192.0.2.11").contains("1 packets received"));
    assert!(inside(&host, "one", "ip route").contains("default via 192.0.2.2"));
    // By names, too.
    host.bulkhead(["exec", "one", "nslookup", "two", "127.0.0.11"]).run().succeeds().shows("192.0.2.11");
    host.bulkhead(["run", "--rm", "--network", "lan", "-p", "80:80", "busybox", "true"])
        .run()
        .succeeds()
        .says("Published ports are discarded");
    host.bulkhead(["rm", "-f", "one", "two"]).run().succeeds();
    network(&host, "gone", &["-d", "macvlan", "--subnet", "10.9.0.0/24", "-o", "parent=nolink"]);
    host.bulkhead(["run", "--rm", "--network", "gone", "busybox", "true"]).fails(125, "nolink");
    // Nothing would keep it inside.
    let inside = [
        "network",
        "create",
        "-d",
        "macvlan",
        "--internal",
        "--subnet",
        "10.9.1.0/24",
        "-o",
        "parent=test-a",
        "in",
    ];
    host.bulkhead(inside).fails(1, "a macvlan network cannot be internal");
    outside.end();
    host.finish();
}
