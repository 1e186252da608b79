//! `network create`, `ls`, `inspect`, `rm`, `prune`, and the flags of `run` that go with them.

use bulkhead_tests::Host;

use super::{address, address6, network, serve};

#[test]
fn what_a_network_is_made_with_is_shown_and_holds() {
    let host = Host::new("net-create").with_busybox();
    network(
        &host,
        "shop",
        &[
            "--subnet=10.9.0.0/24",
            "--gateway=10.9.0.254",
            "--ip-range=10.9.0.128/29",
            "--aux-address=printer=10.9.0.128",
            "--ipv6",
            "--subnet=fd00:9::/64",
            "--label=team=a",
            "--attachable",
            "--opt=com.docker.network.bridge.name=shop0",
            "-o=com.docker.network.driver.mtu=1400",
        ],
    );
    let show = |format: &str| host.bulkhead(["network", "inspect", "-f", format, "shop"]).stdout();
    assert_eq!(
        show("{{.Driver}} {{.Scope}} {{.EnableIPv6}} {{.Internal}} {{.Attachable}}"),
        "bridge local true false true"
    );
    assert_eq!(
        show("{{json (index .IPAM.Config 0)}}"),
        r#"{"AuxiliaryAddresses":{"printer":"10.9.0.128"},"Gateway":"10.9.0.254","IPRange":"10.9.0.128/29","Subnet":"10.9.0.0/24"}"#
    );
    assert_eq!(show("{{.Labels.team}}"), "a");
    host.run_detached(["--name", "one", "--network", "shop", "busybox", "sleep", "1000"]);
    // The first of the range is the printer's.
    assert_eq!(address(&host, "one", "shop"), "10.9.0.129");
    assert_eq!(address6(&host, "one", "shop"), "fd00:9::2");
    let link = host.bulkhead(["exec", "one", "ip", "addr", "show", "eth0"]).stdout();
    assert!(
        link.contains("mtu 1400") && link.contains("10.9.0.129/24") && link.contains("fd00:9::2/64"),
        "{link}"
    );
    let route = host.bulkhead(["exec", "one", "ip", "route"]).stdout();
    assert!(route.contains("default via 10.9.0.254"), "{route}");
    host.sh("ip -o addr show shop0 | grep -c 'inet 10.9.0.254/24\\|inet6 fd00:9::1/64'").prints("2");
    assert_eq!(
        show("{{range .Containers}}{{.Name}} {{.IPv4Address}} {{.IPv6Address}}{{end}}"),
        "one 10.9.0.129/24 fd00:9::2/64"
    );
    // Addresses of one's own choice, outside of the range too.
    let flags =
        ["--network", "shop", "--ip", "10.9.0.7", "--ip6", "fd00:9::7", "--mac-address", "02:00:00:00:00:07"];
    host.run_detached(["--name", "own"].into_iter().chain(flags).chain(["busybox", "sleep", "1000"]));
    let link = host.bulkhead(["exec", "own", "ip", "addr", "show", "eth0"]).stdout();
    assert!(
        link.contains("02:00:00:00:00:07") && link.contains("10.9.0.7/24") && link.contains("fd00:9::7/64"),
        "{link}"
    );
    host.bulkhead(["exec", "own", "ping", "-c1", "-W3", "10.9.0.129"]).run().succeeds();
    host.bulkhead(["exec", "own", "ping6", "-c1", "-W3", "fd00:9::2"]).run().succeeds();
    let taken = ["run", "--rm"].into_iter().chain(flags).chain(["busybox", "true"]);
    host.bulkhead(taken).fails(125, "Address already in use");
    host.finish();
}

#[test]
fn lists_and_filters() {
    let host = Host::new("net-ls").with_busybox();
    network(&host, "alpha", &["--label", "team=a"]);
    network(&host, "beta", &["--internal"]);
    let list = |flags: &[&str]| {
        let words = ["network", "ls", "--format", "{{.Name}}"].into_iter().chain(flags.iter().copied());
        host.bulkhead(words).stdout().replace('\n', " ")
    };
    assert_eq!(list(&[]), "alpha beta bridge host none");
    assert_eq!(list(&["-f", "type=custom"]), "alpha beta");
    assert_eq!(list(&["-f", "driver=host"]), "host");
    assert_eq!(list(&["-f", "label=team=a"]), "alpha");
    assert_eq!(list(&["-f", "name=eta"]), "beta");
    serve(&host, "web", &["--network", "alpha"]);
    assert_eq!(list(&["-f", "dangling=true"]), "beta");
    let table = host.bulkhead(["network", "ls"]).stdout();
    assert!(table.starts_with("NETWORK ID     NAME      DRIVER    SCOPE\n"), "{table}");
    let id = host.bulkhead(["network", "ls", "-q", "--no-trunc", "-f", "name=alpha"]).stdout();
    host.bulkhead(["network", "inspect", "-f", "{{.Name}}", &id[..6]]).prints("alpha");
    host.bulkhead(["ps", "-q", "--filter", "network=alpha", "--format", "{{.Networks}}"]).run().succeeds();
    host.bulkhead(["network", "inspect", "nowhere"]).fails(1, "network nowhere not found");
    host.finish();
}

#[test]
fn removal_and_prune() {
    let host = Host::new("net-rm").with_busybox();
    network(&host, "used", &[]);
    network(&host, "kept", &[]);
    network(&host, "idle", &[]);
    serve(&host, "web", &["--network", "used"]);
    host.bulkhead(["create", "--name", "later", "--network", "kept", "busybox", "true"]).run().succeeds();
    host.bulkhead(["network", "rm", "used"]).fails(1, "has active endpoints");
    host.bulkhead(["network", "prune", "-f"]).prints("Deleted Networks:\nidle");
    host.bulkhead(["network", "rm", "bridge"]).fails(1, "pre-defined network");
    host.bulkhead(["network", "rm", "nowhere"]).fails(1, "network nowhere not found");
    host.bulkhead(["network", "rm", "-f", "nowhere"]).prints("");
    // One whose containers do not run can go; they say so when they start.
    host.bulkhead(["network", "rm", "kept"]).prints("kept");
    host.bulkhead(["start", "later"]).fails(1, "network kept not found");
    host.bulkhead(["rm", "-f", "web", "later"]).run().succeeds();
    let bridge = host.sh("bulkhead network inspect -f '{{slice .Id 0 12}}' used").stdout();
    host.sh(&format!("ip link show bh-{bridge} | grep -c UP")).prints("1");
    host.bulkhead(["network", "rm", "used"]).prints("used");
    host.sh(&format!(
        "ip link show bh-{bridge} 2>/dev/null | wc -l; nft list ruleset | grep -c {bridge} || true"
    ))
    .prints("0\n0");
    // Its subnet is free again.
    network(&host, "next", &["--subnet", "172.18.0.0/16"]);
    host.finish();
}

#[test]
fn what_cannot_be_made_is_refused_and_leaves_nothing() {
    let host = Host::new("net-bad").with_busybox();
    host.sh("ip link add test-r type veth peer name test-s; ip addr add 10.77.0.1/16 dev test-r; ip link set test-r up")
        .prints("");
    network(&host, "first", &["--subnet", "10.9.0.0/24"]);
    for (flags, words) in [
        (vec!["first"], "network with name first already exists"),
        (vec!["bridge"], "predefined"),
        (vec!["a/b"], "invalid network name"),
        (vec!["-d", "overlay", "x"], "network driver \"overlay\" not found"),
        (vec!["-d", "host", "x"], "only one instance"),
        (vec!["--subnet", "10.9.0.128/25", "x"], "Pool overlaps"),
        (vec!["--subnet", "10.77.8.0/24", "x"], "collides with the host's route"),
        (vec!["--subnet", "10.1.0.1/24", "x"], "it should be 10.1.0.0/24"),
        (vec!["--subnet", "10.1.0.0/31", "x"], "no room"),
        (vec!["--subnet", "nonsense", "x"], "invalid subnet"),
        (vec!["--subnet", "127.9.0.0/24", "x"], "no link can have its addresses"),
        (vec!["--subnet", "224.0.0.0/24", "x"], "no link can have its addresses"),
        (vec!["--subnet", "0.0.0.0/2", "x"], "no link can have its addresses"),
        (vec!["--ipv6", "--subnet", "fe80::/64", "x"], "no link can have its addresses"),
        (vec!["--ipv6", "--subnet", "ff02::/64", "x"], "no link can have its addresses"),
        (vec!["--ipv6", "--subnet", "::/64", "x"], "no link can have its addresses"),
        (vec!["-o", "com.docker.network.bridge.name=bhp0", "x"], "names of containers' links"),
        (vec!["--subnet", "10.1.0.0/24", "--gateway", "10.2.0.1", "x"], "no matching subnet for gateway"),
        (vec!["--subnet", "10.1.0.0/24", "--gateway", "10.1.0.0", "x"], "cannot be the gateway"),
        (vec!["--gateway", "10.1.0.1", "x"], "no matching subnet"),
        (vec!["--subnet", "10.1.0.0/24", "--ip-range", "10.2.0.0/25", "x"], "no matching subnet for range"),
        (vec!["--subnet", "10.1.0.0/24", "--subnet", "10.2.0.0/24", "x"], "at most one subnet"),
        (vec!["--subnet", "fd00:1::/64", "x"], "needs --ipv6"),
        (vec!["--ipv4=false", "x"], "must be enabled"),
        (vec!["-o", "com.docker.network.nonsense=1", "x"], "unknown option"),
        (vec!["-o", "com.docker.network.driver.mtu=x", "x"], "invalid value"),
        (vec!["-o", "com.docker.network.bridge.name=much-too-long-a-name", "x"], "longer than 15"),
        (vec!["-o", "com.docker.network.bridge.enable_icc=perhaps", "x"], "true or false"),
        (vec!["--ipam-driver", "dhcp", "x"], "IPAM driver"),
        (vec!["--ingress", "x"], "swarm"),
        (vec!["-d", "macvlan", "x"], "parent"),
    ] {
        let words_of = ["network", "create"].into_iter().chain(flags.clone());
        host.bulkhead(words_of).fails(1, words);
    }
    host.bulkhead(["network", "ls", "-q", "-f", "type=custom"])
        .stdout()
        .lines()
        .for_each(|line| assert_eq!(line.len(), 12));
    assert_eq!(host.bulkhead(["network", "ls", "-q", "-f", "type=custom"]).stdout().lines().count(), 1);
    // Chosen by itself, a subnet is none that the host has a route to.
    host.sh("ip route add 172.18.0.0/15 dev test-r").prints("");
    network(&host, "second", &[]);
    let subnet = host.sh("bulkhead network inspect -f '{{(index .IPAM.Config 0).Subnet}}' second").stdout();
    assert_eq!(subnet, "172.20.0.0/16");
    // Flags of run that make no sense.
    let run = |flags: &[&str]| {
        let words = ["run", "--rm"].into_iter().chain(flags.iter().copied());
        host.bulkhead(words.chain(["busybox", "true"])).run()
    };
    run(&["--ip", "172.17.0.9"]).ends_with(125).says("user defined networks only");
    run(&["--network-alias", "x"]).ends_with(125).says("user-defined networks");
    run(&["--network", "none", "--ip", "10.9.0.9"]).ends_with(125).says("conflicting options");
    run(&["--network", "first", "--network", "host"]).ends_with(125).says("conflicting options");
    run(&["--network", "first", "--network", "first"]).ends_with(125).says("multiple times");
    run(&["--network", "first", "--mac-address", "nonsense"]).ends_with(125).says("MAC address");
    run(&["--network", "name=first,ip=10.9.0.9", "--ip", "10.9.0.10"])
        .ends_with(125)
        .says("cannot specify both");
    run(&["--link-local-ip", "169.254.1.1"]).ends_with(125).says("link-local");
    host.finish();
}

#[test]
fn what_happens_is_told() {
    let host = Host::new("net-events").with_busybox();
    network(&host, "shop", &[]);
    serve(&host, "web", &[]);
    host.bulkhead(["network", "connect", "shop", "web"]).prints("");
    host.bulkhead(["network", "disconnect", "shop", "web"]).prints("");
    host.bulkhead(["rm", "-f", "web"]).prints("web");
    host.bulkhead(["network", "rm", "shop"]).prints("shop");
    let events = host
        .bulkhead([
            "events",
            "--since",
            "1h",
            "--until",
            "0s",
            "--filter",
            "type=network",
            "--format",
            "{{.Action}} {{.Actor.Attributes.name}}",
        ])
        .stdout();
    assert_eq!(
        events,
        "create shop\nconnect bridge\nconnect shop\ndisconnect shop\ndisconnect bridge\ndestroy shop"
    );
    host.finish();
}
