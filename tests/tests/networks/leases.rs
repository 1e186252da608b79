//! Addresses are leases: no two containers have the same, none is lost, and a full network says so.

use bulkhead_tests::{Host, images::Image};

use super::network;

#[test]
fn two_hundred_and_fifty_three_fill_a_network_and_the_next_is_told() {
    let host = Host::new("leases-full").with_busybox();
    network(&host, "small", &["--subnet", "10.9.0.0/24"]);
    // Created ones hold theirs.
    host.sh("seq 253 | xargs -P 8 -n 1 sh -c 'bulkhead create --name c$1 --network small busybox sleep 1000' _ > /tmp/made; wc -l < /tmp/made")
        .timeout(300)
        .prints("253");
    let create = ["create", "--network", "small", "busybox", "true"];
    host.bulkhead(create).fails(1, "no address is free in 10.9.0.0/24: all 253 are in use");
    host.bulkhead(["rm", "c7"]).prints("c7");
    host.bulkhead(create).run().succeeds();
    host.sh("bulkhead ps -aq | xargs bulkhead rm -f >/dev/null").timeout(300).prints("");
    host.finish();
}

#[test]
fn two_hundred_at_once_have_addresses_and_names() {
    let host = Host::new("leases-many").with(Image::Busybox);
    network(&host, "shop", &["--ipv6"]);
    host.sh("seq 200 | xargs -P 16 -n 1 sh -c 'bulkhead run -d --name c$1 --network shop busybox sleep 1000 > /dev/null' _")
        .timeout(300)
        .prints("");
    host.sh("bulkhead inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{.MacAddress}}{{end}}' $(bulkhead ps -q) > /tmp/all
        for field in 1 2 3; do cut -d' ' -f$field /tmp/all | sort -u | wc -l; done")
        .prints("200\n200\n200");
    // One finds all of them.
    host.sh("bulkhead exec c1 sh -c 'for n in $(seq 200); do nslookup c$n 127.0.0.11 > /dev/null 2>&1 && echo found; done | wc -l'")
        .timeout(120)
        .prints("200");
    // And all find one.
    host.sh("for n in $(seq 200); do bulkhead exec c$n nslookup c200 127.0.0.11 > /dev/null 2>&1 && echo found; done | wc -l")
        .timeout(300)
        .prints("200");
    host.sh("bulkhead ps -aq | xargs bulkhead rm -f >/dev/null").timeout(300).prints("");
    host.finish();
}
