//! `network connect` and `disconnect`, of containers that run and that do not.

use bulkhead_tests::Host;

use super::{address, address6, ask, ask_from, inside, network, serve};

#[test]
fn a_running_container_comes_and_goes() {
    let host = Host::new("connect").with_busybox();
    network(&host, "red", &[]);
    network(&host, "blue", &["--ipv6"]);
    serve(&host, "web", &["--network", "red", "-p", "8080:80"]);
    serve(&host, "client", &["--network", "blue"]);
    host.bulkhead(["network", "connect", "--alias", "shop", "blue", "web"]).prints("");
    let (four, six) = (address(&host, "web", "blue"), address6(&host, "web", "blue"));
    let own = host.bulkhead(["exec", "web", "ip", "addr", "show", "eth1"]).stdout();
    assert!(own.contains(&four) && own.contains(&six), "{own}");
    assert!(ask_from(&host, "client", &format!("{four}:80")).starts_with("web to "));
    assert!(ask_from(&host, "client", &format!("[{six}]:80")).starts_with("web to "));
    host.bulkhead(["exec", "client", "nslookup", "shop", "127.0.0.11"]).run().succeeds().shows(&four);
    host.bulkhead(["exec", "web", "cat", "/etc/hosts"]).run().succeeds().shows(&format!("{four}\tweb"));
    // Twice is an error, and changes nothing.
    host.bulkhead(["network", "connect", "blue", "web"]).fails(1, "already exists in network blue");
    // Off the first network its port leads to the other.
    host.bulkhead(["network", "disconnect", "red", "web"]).prints("");
    assert!(ask(&host, "127.0.0.1:8080").starts_with("web to "));
    let route = host.bulkhead(["exec", "web", "ip", "route"]).stdout();
    assert!(!route.contains("eth0"), "{route}");
    host.bulkhead(["network", "disconnect", "red", "web"]).fails(1, "is not connected to network red");
    // The address is free for others, and the lowest link's name is used again.
    host.bulkhead(["network", "connect", "--ip", "172.18.0.77", "red", "web"]).prints("");
    host.bulkhead(["exec", "web", "ip", "addr", "show", "eth0"]).run().succeeds().shows("172.18.0.77");
    host.bulkhead(["network", "disconnect", "blue", "web"]).prints("");
    assert!(
        ask_from(&host, "client", &format!("{four}:80")).contains("time")
            || ask_from(&host, "client", &format!("{four}:80")).contains("No route")
    );
    host.bulkhead(["exec", "client", "nslookup", "shop", "127.0.0.11"]).run().ends_with(1);
    host.bulkhead(["exec", "web", "grep", "-c", &four, "/etc/hosts"]).run().ends_with(1);
    // It is as it was after a restart.
    host.bulkhead(["restart", "-t", "0", "web"]).prints("web");
    assert_eq!(inside(&host, "web", "ip -o link | cut -d: -f2 | cut -d@ -f1 | tr -d ' \\n'"), "loeth0");
    host.finish();
}

#[test]
fn from_the_default_network_to_one_with_names() {
    let host = Host::new("connect-default").with_busybox();
    network(&host, "shop", &[]);
    serve(&host, "old", &[]);
    serve(&host, "db", &["--network", "shop"]);
    host.bulkhead(["network", "connect", "shop", "old"]).prints("");
    host.bulkhead(["exec", "old", "cat", "/etc/resolv.conf"]).run().succeeds().shows("nameserver 127.0.0.11");
    host.bulkhead(["exec", "old", "nslookup", "db", "127.0.0.11"])
        .run()
        .succeeds()
        .shows(&address(&host, "db", "shop"));
    host.bulkhead(["exec", "db", "nslookup", "old", "127.0.0.11"])
        .run()
        .succeeds()
        .shows(&address(&host, "old", "shop"));
    host.finish();
}

#[test]
fn one_that_does_not_run_has_it_when_it_starts() {
    let host = Host::new("connect-stopped").with_busybox();
    network(&host, "red", &[]);
    network(&host, "blue", &[]);
    host.bulkhead(["create", "--name", "web", "--network", "red", "busybox", "sleep", "1000"])
        .run()
        .succeeds();
    host.bulkhead(["network", "connect", "--gw-priority", "5", "blue", "web"]).prints("");
    host.bulkhead(["start", "web"]).prints("web");
    let route = host.bulkhead(["exec", "web", "ip", "route"]).stdout();
    assert!(route.contains("default via 172.19.0.1 dev eth1"), "the higher priority: {route}");
    host.bulkhead(["stop", "-t", "0", "web"]).prints("web");
    host.bulkhead(["network", "disconnect", "blue", "web"]).prints("");
    host.bulkhead(["start", "web"]).prints("web");
    let route = host.bulkhead(["exec", "web", "ip", "route"]).stdout();
    assert!(route.contains("default via 172.18.0.1 dev eth0") && !route.contains("eth1"), "{route}");
    // All of them.
    host.bulkhead(["network", "disconnect", "red", "web"]).prints("");
    host.bulkhead(["restart", "-t", "0", "web"]).prints("web");
    host.bulkhead(["exec", "web", "ls", "/sys/class/net"]).prints("lo");
    host.finish();
}

#[test]
fn what_cannot_be_connected_is_refused() {
    let host = Host::new("connect-refused").with_busybox();
    network(&host, "red", &["--subnet", "10.9.0.0/29"]);
    let sleep = ["busybox", "sleep", "1000"];
    for (name, mode) in [("on-host", "host"), ("alone", "none")] {
        host.run_detached(["--name", name, "--network", mode].into_iter().chain(sleep));
        host.bulkhead(["network", "connect", "red", name]).fails(1, "");
    }
    host.run_detached(["--name", "web", "--network", "red"].into_iter().chain(sleep));
    host.run_detached(["--name", "joined", "--network", "container:web"].into_iter().chain(sleep));
    host.bulkhead(["network", "connect", "bridge", "joined"]).fails(1, "sharing network namespace");
    host.bulkhead(["network", "connect", "host", "web"]).fails(1, "host");
    host.bulkhead(["network", "connect", "nowhere", "web"]).fails(1, "network nowhere not found");
    host.bulkhead(["network", "connect", "red", "nobody"]).fails(1, "No such container: nobody");
    host.run_detached(["--name", "other"].into_iter().chain(sleep));
    for (flags, words) in [
        (vec!["--ip", "10.9.0.2"], "Address already in use"),
        (vec!["--ip", "10.9.0.1"], "invalid address"),
        (vec!["--ip", "10.9.0.7"], "invalid address"),
        (vec!["--ip", "10.8.0.2"], "invalid address"),
        (vec!["--ip", "x"], "invalid IPv4 address"),
        (vec!["--ip6", "fd00::2"], "invalid address"),
        (vec!["--link-local-ip", "169.254.1.1"], "link-local"),
        (vec!["--driver-opt", "a=b"], "unknown driver option"),
        (vec!["--link", ":x"], "invalid link"),
    ] {
        let connect = ["network", "connect"].into_iter().chain(flags).chain(["red", "other"]);
        host.bulkhead(connect).fails(1, words);
        assert_eq!(host.inspect("other", "{{len .NetworkSettings.Networks}}"), "1");
    }
    // Full: 10.9.0.2 to .6 are five.
    for number in 3..=6 {
        host.run_detached(["--network", "red", "--ip", &format!("10.9.0.{number}")].into_iter().chain(sleep));
    }
    host.bulkhead(["network", "connect", "red", "other"]).fails(1, "no address is free in 10.9.0.0/29");
    assert_eq!(inside(&host, "other", "ip -o link | grep -c eth"), "1");
    host.finish();
}

#[test]
fn what_a_container_makes_of_its_hosts_file_is_its_own() {
    let host = Host::new("connect-hosts").with_busybox();
    network(&host, "red", &[]);
    for file in [r"printf '\377\n'", "head -c 2000000 /dev/zero"] {
        host.run_detached(["--name", "web", "busybox", "sleep", "1000"]);
        let write = format!("{file} > /etc/hosts; cp /etc/hosts /etc/resolv.conf; cp /etc/hosts /before");
        host.bulkhead(["exec", "web", "sh", "-c", &write]).prints("");
        host.bulkhead(["network", "connect", "red", "web"]).prints("");
        host.bulkhead(["network", "disconnect", "bridge", "web"]).prints("");
        let same = "cmp /etc/hosts /before && cmp /etc/resolv.conf /before";
        host.bulkhead(["exec", "web", "sh", "-c", same]).prints("");
        host.bulkhead(["rm", "-f", "web"]).run().succeeds();
    }
    host.finish();
}
