//! Names: containers of a network find each other by name, alias, short ID and NAME.NETWORK, and everything else by the
//! host's resolvers.

use bulkhead_tests::{Host, images::Image, wait};

use super::outside::{Outside, THERE};
use super::{address, address6, inside, network};

/// What a container's own resolver says of a name: its addresses, sorted.
#[track_caller]
fn look_up(host: &Host, from: &str, name: &str) -> String {
    let script = format!("getent ahosts {name} | cut -d' ' -f1 | sort -u | tr '\\n' ' ' || true");
    host.bulkhead(["exec", from, "sh", "-c", &script]).stdout().trim().to_owned()
}

/// The same by a question of one type, over UDP or TCP, without the container's resolver: an answer a line.
#[track_caller]
fn dig(host: &Host, from: &str, name: &str, kind: &str, tcp: bool) -> String {
    let flag = if tcp { "+tcp" } else { "+notcp" };
    inside(host, from, &format!("dig @127.0.0.11 {flag} +time=3 +tries=1 +short {name} {kind} 2>&1 || true"))
}

#[test]
fn containers_of_a_network_find_each_other() {
    let host = Host::new("names").with(Image::Apache);
    network(&host, "shop", &["--ipv6"]);
    let sleep = ["debian-apache", "sleep", "1000"];
    let run = |flags: &[&str]| host.run_detached(flags.iter().copied().chain(sleep));
    let id = run(&[
        "--name",
        "db",
        "--hostname",
        "database",
        "--network",
        "shop",
        "--network-alias",
        "store.local",
    ]);
    run(&["--name", "app", "--network", "shop"]);
    run(&["--name", "stranger"]);
    let (four, six) = (address(&host, "db", "shop"), address6(&host, "db", "shop"));
    for name in ["db", "DB", "store.local", &id[..12], "db.shop", "database", "store.local.shop"] {
        assert_eq!(dig(&host, "app", name, "A", false), four, "{name}");
        assert_eq!(dig(&host, "app", name, "A", true), four, "{name} over TCP");
        assert_eq!(dig(&host, "app", name, "AAAA", false), six, "{name}");
    }
    // By the container's own C library; it has itself as well.
    assert_eq!(look_up(&host, "app", "db"), format!("{four} {six}"));
    assert!(look_up(&host, "db", "db").contains(&four));
    // Backwards.
    assert_eq!(inside(&host, "app", &format!("dig @127.0.0.11 +short -x {four}")), "db.shop.");
    assert_eq!(inside(&host, "app", &format!("dig @127.0.0.11 +short -x {six}")), "db.shop.");
    // Not on the default network, nor on another.
    assert_eq!(look_up(&host, "stranger", "db"), "");
    network(&host, "other", &[]);
    run(&["--name", "elsewhere", "--network", "other"]);
    assert_eq!(look_up(&host, "elsewhere", "db"), "");
    assert_eq!(look_up(&host, "elsewhere", "db.shop"), "");
    // A name that is known, without an address of that kind, is no reason to ask others.
    assert_eq!(dig(&host, "elsewhere", "elsewhere", "AAAA", false), "");
    // Changes are seen at once.
    host.bulkhead(["rename", "db", "base"]).prints("");
    assert_eq!(dig(&host, "app", "base", "A", false), four);
    assert_eq!(look_up(&host, "app", "db"), "");
    assert_eq!(dig(&host, "app", "store.local", "A", false), four);
    host.bulkhead(["stop", "-t", "0", "base"]).prints("base");
    assert_eq!(look_up(&host, "app", "base"), "");
    host.bulkhead(["start", "base"]).prints("base");
    assert_eq!(dig(&host, "app", "base", "A", false), four);
    // One whose supervisor is killed is not found any more, and the others are.
    let pid = host.sh("bulkhead inspect -f '{{.Id}}' base").stdout();
    host.sh(&format!(
        "kill -9 $(python3 -c \"import json; print(json.load(open('/var/lib/bulkhead/containers/{pid}/status.json'))['supervisor']['pid'])\")"
    ))
    .prints("");
    wait::until("the dead one is forgotten", || look_up(&host, "app", "base").is_empty());
    assert_eq!(dig(&host, "app", "app", "A", false), address(&host, "app", "shop"));
    host.finish();
}

#[test]
fn an_alias_of_several_goes_round() {
    let host = Host::new("names-round").with(Image::Apache);
    network(&host, "shop", &[]);
    let mut all = Vec::new();
    for name in ["w1", "w2", "w3"] {
        host.run_detached([
            "--name",
            name,
            "--network",
            "shop",
            "--network-alias",
            "web",
            "debian-apache",
            "sleep",
            "1000",
        ]);
        all.push(address(&host, name, "shop"));
    }
    let mut firsts = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let answers = dig(&host, "w1", "web", "A", false);
        let mut sorted: Vec<_> = answers.lines().map(str::to_owned).collect();
        firsts.extend(sorted.first().cloned());
        sorted.sort();
        all.sort();
        assert_eq!(sorted, all);
        if firsts.len() == 3 {
            break;
        }
    }
    assert_eq!(firsts.len(), 3, "each is the first now and then");
    host.finish();
}

/// A resolver on the other machine that knows `known.example` alone.
const RESOLVER: &str = r#"import socket, struct, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(("192.0.2.2", 53)); print("there", flush=True)
while True:
    query, client = server.recvfrom(4096)
    known = b"\x05known\x07example\x00" in query.lower()
    end = query.index(b"\x00", 12) + 5
    kind = struct.unpack(">H", query[end-4:end-2])[0]
    answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xcb\x00\x71\x07" if known and kind == 1 else b""
    flags = 0x8180 if known else 0x8183
    server.sendto(query[:2] + struct.pack(">HHHHH", flags, 1, 1 if answer else 0, 0, 0) + query[12:end] + answer, client)
"#;

#[test]
fn other_names_are_asked_of_the_host_s_resolvers() {
    let host = Host::new("names-forward").with(Image::Apache);
    let outside = Outside::of(&host);
    host.sh("cat > /tmp/resolver.py").stdin(RESOLVER).prints("");
    outside.sh("python3 /tmp/resolver.py > /tmp/resolver.out 2>&1 & echo $! > /tmp/resolver.pid; until [ -s /tmp/resolver.out ]; do sleep 0.01; done");
    host.sh(&format!("printf 'nameserver {THERE}\\nsearch example\\n' > /etc/resolv.conf")).prints("");
    network(&host, "shop", &[]);
    network(&host, "inner", &["--internal"]);
    host.run_detached(["--name", "app", "--network", "shop", "debian-apache", "sleep", "1000"]);
    let conf = host.bulkhead(["exec", "app", "cat", "/etc/resolv.conf"]).stdout();
    assert!(conf.contains("nameserver 127.0.0.11\nsearch example\noptions ndots:0"), "{conf}");
    assert_eq!(dig(&host, "app", "known.example", "A", false), "203.0.113.7");
    assert_eq!(look_up(&host, "app", "known.example"), "203.0.113.7");
    // By the search domain.
    assert_eq!(look_up(&host, "app", "known"), "203.0.113.7");
    assert!(inside(&host, "app", "dig @127.0.0.11 nobody.example").contains("NXDOMAIN"));
    // An internal network has no way out, not even by names.
    host.run_detached(["--name", "closed", "--network", "inner", "debian-apache", "sleep", "1000"]);
    assert_eq!(look_up(&host, "closed", "known.example"), "");
    assert_eq!(look_up(&host, "closed", "closed"), address(&host, "closed", "inner"));
    // A resolver on the host's loopback device works, too.
    host.sh("kill $(cat /tmp/resolver.pid); sed -i s/192.0.2.2/127.0.0.53/ /tmp/resolver.py
        rm /tmp/resolver.out; python3 /tmp/resolver.py > /tmp/resolver.out 2>&1 & echo $! > /tmp/resolver.pid
        until [ -s /tmp/resolver.out ]; do sleep 0.01; done; echo nameserver 127.0.0.53 > /etc/resolv.conf")
        .prints("");
    host.run_detached(["--name", "stub", "--network", "shop", "debian-apache", "sleep", "1000"]);
    assert_eq!(dig(&host, "stub", "known.example", "A", false), "203.0.113.7");
    // And one of the container's own choice is asked from where the container is.
    host.run_detached([
        "--name",
        "own",
        "--network",
        "shop",
        "--dns",
        "127.0.0.53",
        "debian-apache",
        "sleep",
        "1000",
    ]);
    assert_eq!(look_up(&host, "own", "known.example"), "");
    assert_eq!(dig(&host, "own", "stub", "A", false), address(&host, "stub", "shop"));
    host.sh("kill $(cat /tmp/resolver.pid)").prints("");
    outside.end();
    host.finish();
}

#[test]
fn the_container_s_own_port_53_is_its_own() {
    let host = Host::new("names-port").with_busybox();
    network(&host, "shop", &[]);
    host.run_detached(["--name", "app", "--network", "shop", "busybox", "sleep", "1000"]);
    let bind = "import socket
for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
    taken = socket.socket(socket.AF_INET, kind); taken.bind((\\\"0.0.0.0\\\", 53))
print(\\\"bound\\\")";
    assert_eq!(inside(&host, "app", &format!("python3 -c \"{bind}\"")), "bound");
    host.bulkhead(["exec", "app", "nslookup", "app", "127.0.0.11"]).run().succeeds().shows("Name:");
    host.finish();
}

#[test]
fn hostile_packets_end_nothing() {
    let host = Host::new("names-hostile").with_busybox();
    network(&host, "shop", &[]);
    host.run_detached(["--name", "app", "--network", "shop", "busybox", "sleep", "1000"]);
    let attack = r#"python3 - <<'END'
import os, random, socket, struct
random.seed(1)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.connect(("127.0.0.11", 53))
good = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03app\x00\x00\x01\x00\x01"
for n in range(20000):
    packet = bytearray(random.choice([good, os.urandom(random.randrange(0, 600))]))
    for _ in range(random.randrange(4)):
        if packet: packet[random.randrange(len(packet))] = random.randrange(256)
    try: udp.send(bytes(packet))
    except OSError: pass
# Compression that leads round in a circle, and a TCP length that never comes.
udp.send(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01")
held = []
for n in range(300):
    tcp = socket.socket(); tcp.settimeout(1)
    try: tcp.connect(("127.0.0.11", 53)); tcp.send(b"\xff\xff" + os.urandom(10)); held.append(tcp)
    except OSError: pass
END"#;
    inside(&host, "app", attack);
    host.bulkhead(["exec", "app", "nslookup", "app", "127.0.0.11"]).run().succeeds().shows("Name:");
    assert_eq!(host.inspect("app", "{{.State.Status}}"), "running");
    host.finish();
}

#[test]
fn links_are_names_for_one_container_alone() {
    let host = Host::new("names-links").with(Image::Apache);
    network(&host, "shop", &[]);
    let run =
        |flags: &[&str]| host.run_detached(flags.iter().copied().chain(["debian-apache", "sleep", "1000"]));
    run(&["--name", "db", "--network", "shop"]);
    run(&["--name", "app", "--network", "shop", "--link", "db:store"]);
    run(&["--name", "other", "--network", "shop"]);
    assert_eq!(dig(&host, "app", "store", "A", false), address(&host, "db", "shop"));
    assert_eq!(look_up(&host, "other", "store"), "");
    // On the default network they are lines of /etc/hosts.
    run(&["--name", "olddb"]);
    run(&["--name", "oldapp", "--link", "olddb:store", "--link", "olddb"]);
    let at = address(&host, "olddb", "bridge");
    assert_eq!(look_up(&host, "oldapp", "store"), at);
    assert_eq!(look_up(&host, "oldapp", "olddb"), at);
    host.bulkhead(["stop", "-t", "0", "olddb"]).prints("olddb");
    host.bulkhead(["run", "--rm", "--link", "olddb", "debian-apache", "true"])
        .fails(125, "Cannot link to a non running container");
    host.bulkhead(["run", "--rm", "--link", "nobody", "debian-apache", "true"]).fails(125, "nobody");
    host.finish();
}

#[test]
fn lines_of_one_s_own_and_the_host_s_gateway() {
    let host = Host::new("names-hosts").with_busybox();
    network(&host, "shop", &["--ipv6"]);
    let gateway = host.sh("bulkhead network inspect -f '{{(index .IPAM.Config 0).Gateway}}' shop").stdout();
    let flags = [
        "run",
        "--rm",
        "--name",
        "app",
        "--network",
        "shop",
        "--add-host=up:host-gateway",
        "--add-host=db:192.0.2.9",
    ];
    let hosts = host.bulkhead(flags.into_iter().chain(["busybox", "cat", "/etc/hosts"])).stdout();
    assert!(hosts.contains(&format!("{gateway}\tup\n192.0.2.9\tdb\n")), "{hosts}");
    // Both of its own addresses.
    assert_eq!(
        hosts.lines().filter(|line| line.ends_with(char::is_alphanumeric) && line.contains("\t")).count(),
        10,
        "{hosts}"
    );
    host.finish();
}
