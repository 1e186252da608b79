//! Published ports: from other machines, from the host's own addresses, from loopback, from containers; over IPv4 and
//! IPv6; and what is shown of them.

use bulkhead_tests::{Host, wait};

use super::outside::{HERE, HERE6, Outside, THERE, THERE6};
use super::{address, address6, ask, ask_from, network, serve};

/// Whether bridged packets go through the IP firewall on a host (br_netfilter), which changes the path that they take.
fn with_bridge_filter(host: &Host, on: bool) {
    let value = u8::from(on);
    host.sh(&format!(
        "cd /proc/sys/net/bridge 2>/dev/null || exit 0; echo {value} | tee bridge-nf-call-iptables > bridge-nf-call-ip6tables"
    ))
    .prints("");
}

#[test]
fn a_port_is_reached_by_every_way_and_by_no_other() {
    for filter in [false, true] {
        let host = Host::new("published").with_busybox();
        with_bridge_filter(&host, filter);
        let outside = Outside::of(&host);
        serve(&host, "web", &["-p", "8080:80"]);
        serve(&host, "other", &[]);
        network(&host, "elsewhere", &[]);
        serve(&host, "far", &["--network", "elsewhere"]);
        let gateway = host.inspect("web", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}");
        // The client's own address is kept.
        assert_eq!(outside.ask(&format!("{HERE}:8080")), format!("web to {THERE}"));
        assert_eq!(ask(&host, &format!("{HERE}:8080")), format!("web to {HERE}"));
        // From loopback it cannot be: there is no way back to it.
        assert_eq!(ask(&host, "127.0.0.1:8080"), format!("web to {gateway}"));
        assert_eq!(ask(&host, "127.1.2.3:8080"), format!("web to {gateway}"));
        // From containers, of the same network, another one, and from itself.
        for from in ["other", "far", "web"] {
            let answer = ask_from(&host, from, &format!("{HERE}:8080"));
            assert!(answer.starts_with("web to "), "from {from}, bridge filter {filter}: {answer}");
        }
        // IPv6 leads to a container that has IPv4 alone.
        for at in ["[::1]:8080", &format!("[{HERE6}]:8080")] {
            assert!(ask(&host, at).starts_with("web to "), "{at}: {}", ask(&host, at));
        }
        assert!(outside.ask(&format!("[{HERE6}]:8080")).starts_with("web to "));
        // What is not published is not there, not even with a route to it.
        assert!(outside.ask(&format!("{HERE}:80")).contains("Couldn't connect"));
        let (web, other) = (address(&host, "web", "bridge"), address(&host, "other", "bridge"));
        outside.sh(&format!("ip route add 172.16.0.0/12 via {HERE}"));
        for at in [&web, &other] {
            let answer = outside.ask(&format!("{at}:80"));
            assert!(answer.contains("time"), "{at} by a route: {answer}");
        }
        host.bulkhead(["rm", "-f", "web"]).prints("web");
        assert!(ask(&host, "127.0.0.1:8080").contains("Couldn't connect"));
        outside.end();
        host.finish();
    }
}

#[test]
fn one_address_alone_and_both_protocols() {
    let host = Host::new("published-one").with_busybox();
    let outside = Outside::of(&host);
    serve(&host, "local", &["-p", "127.0.0.1:8080:80"]);
    serve(&host, "public", &["-p", &format!("{HERE}:8080:80")]);
    assert!(ask(&host, "127.0.0.1:8080").starts_with("local to "));
    assert_eq!(outside.ask(&format!("{HERE}:8080")), format!("public to {THERE}"));
    assert_eq!(ask(&host, &format!("{HERE}:8080")), format!("public to {HERE}"));
    let published = |name: &str| host.bulkhead(["port", name]).stdout();
    assert_eq!(published("local"), "80/tcp -> 127.0.0.1:8080");
    assert_eq!(host.bulkhead(["port", "public", "80"]).stdout(), format!("{HERE}:8080"));
    host.bulkhead(["port", "public", "81"]).fails(1, "no public port '81/tcp' published for public");
    // UDP: an answer comes back from where it was sent to.
    let echo = "import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(('0.0.0.0', 53))
while True:
    data, sender = server.recvfrom(100); server.sendto(b'%s from %s' % (data, sender[0].encode()), sender)";
    host.run_detached(["--name", "dns", "-p", "5353:53/udp", "busybox", "sleep", "1000"]);
    let pid = host.inspect("dns", "{{.State.Pid}}");
    host.sh(&format!("nsenter -t {pid} -n python3 -c \"{echo}\" >/dev/null 2>&1 & echo $! > /tmp/echo"))
        .prints("");
    let send = |family: &str, to: &str| {
        format!(
            "python3 -c \"
import socket
client = socket.socket(socket.{family}, socket.SOCK_DGRAM); client.settimeout(3)
client.connect(('{to}', 5353)); client.send(b'hello'); print(client.recv(100).decode())\""
        )
    };
    wait::until("the UDP server answers", || {
        host.sh(&format!("{} 2>/dev/null || true", send("AF_INET", HERE))).stdout()
            == format!("hello from {HERE}")
    });
    assert_eq!(outside.sh(&send("AF_INET", HERE)), format!("hello from {THERE}"));
    assert!(host.sh(&send("AF_INET", "127.0.0.1")).stdout().starts_with("hello from "));
    assert!(host.sh(&send("AF_INET6", "::1")).stdout().starts_with("hello from "));
    host.sh("kill $(cat /tmp/echo)").prints("");
    outside.end();
    host.finish();
}

#[test]
fn ipv6_networks_publish_in_the_kernel() {
    for filter in [false, true] {
        let host = Host::new("published-six").with_busybox();
        with_bridge_filter(&host, filter);
        let outside = Outside::of(&host);
        network(&host, "six", &["--ipv6"]);
        serve(&host, "web", &["--network", "six", "-p", "8080:80"]);
        serve(&host, "other", &["--network", "six"]);
        assert_eq!(outside.ask(&format!("[{HERE6}]:8080")), format!("web to {THERE6}"));
        assert_eq!(ask(&host, &format!("[{HERE6}]:8080")), format!("web to {HERE6}"));
        assert!(ask(&host, "[::1]:8080").starts_with("web to "), "bridge filter {filter}");
        assert!(ask_from(&host, "other", &format!("[{HERE6}]:8080")).starts_with("web to "));
        // Not by a route.
        let web = address6(&host, "web", "six");
        assert!(ask_from(&host, "other", &format!("[{web}]:80")).starts_with("web to "));
        outside.sh(&format!("ip -6 route add fd00::/8 via {HERE6}"));
        assert!(outside.ask(&format!("[{web}]:80")).contains("time"));
        // Outward it has the host's address.
        outside.sh("mkdir -p /tmp/there; echo outside > /tmp/there/index.html; busybox httpd -p [::]:81 -h /tmp/there");
        let fetch = format!("curl -sS -g --max-time 3 http://[{THERE6}]:81/index.html");
        assert_eq!(super::inside(&host, "web", &fetch), "outside");
        host.sh("pkill -x busybox || true").prints("");
        outside.end();
        host.finish();
    }
}

#[test]
fn ranges_and_ports_of_the_kernel_s_choice() {
    let host = Host::new("published-ranges").with_busybox();
    serve(&host, "range", &["-p", "9000-9002:80-82", "-p", "7000-7003:90"]);
    host.bulkhead(["port", "range"]).prints(
        "80/tcp -> 0.0.0.0:9000\n80/tcp -> [::]:9000\n81/tcp -> 0.0.0.0:9001\n81/tcp -> [::]:9001\n\
         82/tcp -> 0.0.0.0:9002\n82/tcp -> [::]:9002\n90/tcp -> 0.0.0.0:7000\n90/tcp -> [::]:7000",
    );
    // The next free one of a range.
    serve(&host, "next", &["-p", "7000-7003:90"]);
    host.bulkhead(["port", "next", "90"]).prints("0.0.0.0:7001\n[::]:7001");
    host.bulkhead(["ps", "--filter", "name=range", "--format", "{{.Ports}}"]).prints(
        "0.0.0.0:9000-9002->80-82/tcp, 0.0.0.0:7000->90/tcp, [::]:9000-9002->80-82/tcp, [::]:7000->90/tcp",
    );
    // All that are exposed, each somewhere; the same number for both families.
    serve(&host, "all", &["--expose", "80", "--expose", "53/udp", "-P"]);
    let ports = host.bulkhead(["port", "all", "80"]).stdout();
    let (four, six) = ports.split_once('\n').unwrap();
    let port = four.strip_prefix("0.0.0.0:").unwrap();
    assert_eq!(six, format!("[::]:{port}"));
    assert!(ask(&host, &format!("127.0.0.1:{port}")).starts_with("all to "));
    assert_eq!(host.bulkhead(["port", "all"]).stdout().lines().count(), 4);
    // One that does not run has none, and exposed ports are shown.
    host.bulkhead(["run", "--name", "done", "-p", "1234:80", "--expose", "81", "busybox", "true"]).prints("");
    host.bulkhead(["port", "done"]).prints("");
    assert_eq!(host.inspect("done", "{{json .NetworkSettings.Ports}}"), "{}");
    serve(&host, "shown", &["--expose", "81", "-p", "127.0.0.1:1234:80"]);
    assert_eq!(
        host.inspect("shown", "{{json .NetworkSettings.Ports}}"),
        r#"{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"1234"}],"81/tcp":null}"#
    );
    host.finish();
}

#[test]
fn where_nothing_can_be_published_it_is_said() {
    let host = Host::new("published-nowhere").with_busybox();
    let run = |flags: &[&str]| {
        let words = ["run", "--rm"].into_iter().chain(flags.iter().copied());
        host.bulkhead(words.chain(["busybox", "echo", "ran"])).run()
    };
    run(&["--network=host", "-p", "80:80"]).succeeds().says("Published ports are discarded");
    run(&["--network=none", "-p", "80:80"]).succeeds().quietly();
    serve(&host, "web", &[]);
    run(&["--network=container:web", "-p", "80:80"])
        .ends_with(125)
        .says("conflicting options: port publishing");
    network(&host, "inner", &["--internal"]);
    run(&["--network=inner", "-p", "80:80"]).succeeds().says("Published ports are discarded");
    for bad in ["0:80", "80:x", "1.2.3:80:80", "80:80/what", "70000:80"] {
        run(&["-p", bad]).ends_with(125).says("publish");
    }
    // An address that the host does not have.
    run(&["-p", "203.0.113.9:80:80"]).ends_with(125).says("203.0.113.9");
    host.finish();
}

#[test]
fn a_network_s_own_address_for_ports() {
    let host = Host::new("published-binding").with_busybox();
    network(&host, "local", &["-o", "com.docker.network.bridge.host_binding_ipv4=127.0.0.1"]);
    serve(&host, "web", &["--network", "local", "-p", "8080:80"]);
    host.bulkhead(["port", "web"]).prints("80/tcp -> 127.0.0.1:8080");
    assert!(ask(&host, "127.0.0.1:8080").starts_with("web to "));
    host.finish();
}

#[test]
fn a_restarted_container_has_its_port_again() {
    let host = Host::new("published-again").with_busybox();
    serve(&host, "web", &["-p", "8080:80", "--restart", "always"]);
    for _ in 0..3 {
        host.bulkhead(["restart", "-t", "0", "web"]).prints("web");
        wait::until("it serves again", || ask(&host, "127.0.0.1:8080").starts_with("web to "));
    }
    // Its own end, too, is followed by another run.
    let pid = host.inspect("web", "{{.State.Pid}}");
    host.sh(&format!("kill -9 {pid}")).prints("");
    wait::until("it serves again", || ask(&host, "127.0.0.1:8080").starts_with("web to "));
    host.bulkhead(["stop", "-t", "0", "web"]).prints("web");
    assert!(ask(&host, "127.0.0.1:8080").contains("Couldn't connect"));
    host.finish();
}
