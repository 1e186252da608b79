//! Isolation: each protection is attacked, and the attack is shown to succeed where the protection is not.

use bulkhead_tests::{Host, wait};

use super::outside::{HERE, Outside, THERE};
use super::{address, address6, ask, ask_from, inside, network, serve};

#[test]
fn networks_do_not_reach_each_other_by_any_address() {
    let host = Host::new("isolated").with_busybox();
    network(&host, "red", &["--ipv6"]);
    network(&host, "blue", &["--ipv6"]);
    serve(&host, "in-red", &["--network", "red"]);
    serve(&host, "in-blue", &["--network", "blue"]);
    serve(&host, "by-default", &[]);
    serve(&host, "neighbour", &["--network", "red"]);
    let (blue4, blue6) = (address(&host, "in-blue", "blue"), address6(&host, "in-blue", "blue"));
    let gateway = |name: &str, at: &str| {
        host.inspect(name, &format!("{{{{range .NetworkSettings.Networks}}}}{{{{.{at}}}}}{{{{end}}}}"))
    };
    let red4 = address(&host, "in-red", "red");
    // Within one they do.
    assert!(ask_from(&host, "neighbour", &format!("{red4}:80")).starts_with("in-red to "));
    let targets = [
        format!("{blue4}:80"),
        format!("[{blue6}]:80"),
        format!("{}:80", address(&host, "by-default", "bridge")),
    ];
    for target in &targets {
        let answer = ask_from(&host, "in-red", target);
        assert!(answer.contains("time"), "{target}: {answer}");
    }
    // Nor another network's gateway, behind which are the host's services; its own it does.
    host.sh("mkdir -p /tmp/www; echo the host > /tmp/www/index.html; busybox httpd -p [::]:99 -h /tmp/www")
        .prints("");
    let fetch = |at: &str| {
        inside(&host, "in-red", &format!("curl -sS -g --max-time 2 http://{at}:99/index.html 2>&1 || true"))
    };
    assert_eq!(fetch(&gateway("in-red", "Gateway")), "the host");
    assert_eq!(fetch(&format!("[{}]", gateway("in-red", "IPv6Gateway"))), "the host");
    assert!(fetch(&gateway("in-blue", "Gateway")).contains("time"));
    assert!(fetch(&format!("[{}]", gateway("in-blue", "IPv6Gateway"))).contains("time"));
    assert!(fetch(&gateway("by-default", "Gateway")).contains("time"));
    // Without our table, everything of this is open.
    host.sh("nft delete table inet bulkhead").prints("");
    assert!(ask_from(&host, "in-red", &targets[0]).starts_with("in-blue to "));
    assert!(ask_from(&host, "in-red", &targets[1]).starts_with("in-blue to "));
    assert_eq!(fetch(&gateway("in-blue", "Gateway")), "the host");
    host.sh("pkill -x busybox || true").prints("");
    host.finish();
}

#[test]
fn the_host_s_loopback_is_the_host_s() {
    let host = Host::new("isolated-loopback").with_busybox();
    // With a port published for loopback, packets to 127.0.0.1 may come from the bridge.
    serve(&host, "web", &["-p", "127.0.0.1:8080:80"]);
    host.sh(
        "mkdir -p /tmp/www; echo secret > /tmp/www/index.html; busybox httpd -p 127.0.0.1:99 -h /tmp/www",
    )
    .prints("");
    let gateway = host.inspect("web", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}");
    // A packet for 127.0.0.1 with the bridge's MAC address, made by hand.
    let script = r#"python3 - <<'END'
import socket, struct, subprocess, time
gateway = GATEWAY
subprocess.run(["busybox", "ping", "-c1", "-W1", gateway], stdout=subprocess.DEVNULL)
mac = [l.split()[3] for l in open("/proc/net/arp") if l.startswith(gateway + " ")][0]
own = subprocess.run("ip -o link show eth0", shell=True, capture_output=True, text=True).stdout.split("link/ether ")[1].split()[0]
address = subprocess.run("ip -4 -o addr show eth0", shell=True, capture_output=True, text=True).stdout.split()[3].split("/")[0]
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)); raw.bind(("eth0", 0)); raw.settimeout(2)
def sum16(data):
    if len(data) % 2: data += b"\0"
    total = sum(struct.unpack(">%dH" % (len(data)//2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
source, target = socket.inet_aton(address), socket.inet_aton("127.0.0.1")
tcp = struct.pack(">HHLLBBHHH", 4444, 99, 1, 0, 5 << 4, 2, 8192, 0, 0)
tcp = tcp[:16] + struct.pack(">H", sum16(source + target + struct.pack(">BBH", 0, 6, len(tcp)) + tcp)) + tcp[18:]
ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, source, target)
ip = ip[:10] + struct.pack(">H", sum16(ip)) + ip[12:]
hexed = lambda text: bytes.fromhex(text.replace(":", ""))
raw.send(hexed(mac) + hexed(own) + b"\x08\x00" + ip + tcp)
end = time.time() + 2
while time.time() < end:
    try: packet = raw.recv(2000)
    except socket.timeout: break
    if packet[26:30] == target and packet[47] & 0x12 == 0x12: print("it answered"); break
else: pass
END"#
        .replace("GATEWAY", &format!("{gateway:?}"));
    assert_eq!(inside(&host, "web", &script), "");
    host.sh("nft flush chain inet bulkhead prerouting-filter").prints("");
    assert_eq!(inside(&host, "web", &script), "it answered", "the attack is a real one");
    host.sh("pkill -x busybox || true").prints("");
    host.finish();
}

#[test]
fn an_internal_network_has_no_way_out_and_none_in() {
    let host = Host::new("isolated-internal").with_busybox();
    let outside = Outside::of(&host);
    outside
        .sh("mkdir -p /tmp/there; echo outside > /tmp/there/index.html; busybox httpd -p 81 -h /tmp/there");
    network(&host, "inner", &["--internal", "--ipv6"]);
    serve(&host, "one", &["--network", "inner"]);
    serve(&host, "two", &["--network", "inner"]);
    serve(&host, "public", &["-p", "8080:80"]);
    let two = address(&host, "two", "inner");
    assert!(ask_from(&host, "one", &format!("{two}:80")).starts_with("two to "));
    let fetch = format!("curl -sS --max-time 2 http://{THERE}:81/index.html 2>&1 || true");
    assert!(
        inside(&host, "one", &fetch).contains("Could")
            || inside(&host, "one", &fetch).contains("unreachable")
    );
    // Not even with a route of its own making: outward, to the host's other addresses, to a published port.
    let gateway = host.sh("bulkhead network inspect -f '{{(index .IPAM.Config 0).Gateway}}' inner").stdout();
    inside(&host, "one", &format!("ip route add default via {gateway}"));
    assert!(inside(&host, "one", &fetch).contains("time"));
    assert!(ask_from(&host, "one", &format!("{HERE}:8080")).contains("time"));
    // And nobody outside comes in by a route.
    outside.sh(&format!("ip route add 172.16.0.0/12 via {HERE}"));
    assert!(outside.ask(&format!("{two}:80")).contains("time"));
    // The host itself reaches its containers, as Docker's does.
    assert!(ask(&host, &format!("{two}:80")).starts_with("two to "));
    host.sh("nft delete table inet bulkhead; nft add table ip t; nft add chain ip t p '{ type nat hook postrouting priority 100; }'; nft add rule ip t p oifname test-a masquerade").prints("");
    assert_eq!(inside(&host, "one", &fetch), "outside", "the attack is a real one");
    host.sh("pkill -x busybox || true").prints("");
    outside.end();
    host.finish();
}

#[test]
fn containers_that_are_not_to_talk_do_not() {
    let host = Host::new("isolated-icc").with_busybox();
    network(&host, "quiet", &["-o", "com.docker.network.bridge.enable_icc=false"]);
    serve(&host, "one", &["--network", "quiet", "-p", "8080:80"]);
    serve(&host, "two", &["--network", "quiet"]);
    let one = address(&host, "one", "quiet");
    assert!(
        ask_from(&host, "two", &format!("{one}:80")).contains("time")
            || ask_from(&host, "two", &format!("{one}:80")).contains("No route")
    );
    // Nor by way of the host, which would route it.
    let gateway = host.inspect("two", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}");
    inside(&host, "two", &format!("ip route add {one} via {gateway}"));
    assert!(ask_from(&host, "two", &format!("{one}:80")).contains("time"));
    // The host reaches both.
    assert!(ask(&host, &format!("{one}:80")).starts_with("one to "));
    inside(&host, "one", &format!("ip route add {} via {gateway}", address(&host, "two", "quiet")));
    assert!(ask_from(&host, "two", &format!("{one}:80")).contains("time"), "both ways");
    host.sh("nft delete table inet bulkhead").prints("");
    assert!(ask_from(&host, "two", &format!("{one}:80")).starts_with("one to "), "the attack is a real one");
    host.finish();
}

/// Attacks by packets made by hand: `python3 -c` with the attack's name, from a container's network namespace.
const FORGE: &str = r#"
import socket, struct, subprocess, sys
kind, victim, other = sys.argv[1:4]
own = bytes.fromhex(subprocess.run("ip -o link show eth0", shell=True, capture_output=True, text=True).stdout.split("link/ether ")[1].split()[0].replace(":", ""))
mine = socket.inet_aton(subprocess.run("ip -4 -o addr show eth0", shell=True, capture_output=True, text=True).stdout.split()[3].split("/")[0])
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0); raw.bind(("eth0", 0))
everyone = b"\xff" * 6
def udp(source, mac):
    data = struct.pack(">HHHH", 7777, 7777, 8 + 6, 0) + b"forged"
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 1, 0, 64, 17, 0, source, socket.inet_aton(victim))
    total = sum(struct.unpack(">10H", ip))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    ip = ip[:10] + struct.pack(">H", ~total & 0xffff) + ip[12:]
    return everyone + mac + b"\x08\x00" + ip + data
if kind == "honest": raw.send(udp(mine, own))
if kind == "address": raw.send(udp(socket.inet_aton(other), own))
if kind == "mac": raw.send(udp(mine, b"\x02\x42\x01\x02\x03\x04"))
if kind == "arp":
    raw.send(everyone + own + b"\x08\x06" + struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 2, own, socket.inet_aton(other), everyone, socket.inet_aton(victim)))
"#;

#[test]
fn nobody_sends_as_another() {
    let host = Host::new("isolated-forged").with_busybox();
    network(&host, "shop", &[]);
    for name in ["attacker", "victim", "third"] {
        host.run_detached(["--name", name, "--network", "shop", "busybox", "sleep", "1000"]);
    }
    host.sh("cat > /tmp/forge.py").stdin(FORGE).prints("");
    let (victim, third) = (address(&host, "victim", "shop"), address(&host, "third", "shop"));
    let pid = host.inspect("victim", "{{.State.Pid}}");
    let listen = "import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind((\"0.0.0.0\", 7777)); print(\"listens\", flush=True)
while True:
    print(server.recvfrom(100)[1][0], flush=True)";
    host.sh("cat > /tmp/listen.py").stdin(listen).prints("");
    host.sh(&format!("nsenter -t {pid} -n python3 /tmp/listen.py > /tmp/heard 2>&1 & echo $! > /tmp/listener; until [ -s /tmp/heard ]; do sleep 0.01; done")).prints("");
    let forge =
        |kind: &str| inside(&host, "attacker", &format!("python3 /tmp/forge.py {kind} {victim} {third}"));
    let heard = || host.sh("tail -n +2 /tmp/heard").stdout();
    let attacker = address(&host, "attacker", "shop");
    // Whatever else comes, comes before the honest one.
    for kind in ["address", "mac", "honest"] {
        forge(kind);
    }
    wait::until("the honest one is heard", || heard().contains(&attacker));
    assert_eq!(heard(), attacker);
    // Nor does it answer for another.
    let knows = || inside(&host, "victim", &format!("ip neigh show {third}"));
    inside(&host, "victim", &format!("busybox ping -c1 -W2 {third} > /dev/null"));
    let before = knows();
    forge("arp");
    inside(&host, "victim", &format!("busybox ping -c1 -W2 {attacker} > /dev/null"));
    let mac = |text: &str| text.split_whitespace().nth(4).unwrap_or_default().to_owned();
    assert_eq!(mac(&knows()), mac(&before));
    // Without our table all of it works.
    host.sh("nft delete table bridge bulkhead").prints("");
    forge("address");
    forge("mac");
    wait::until("the forged ones are heard", || heard().lines().count() == 3);
    assert_eq!(heard(), format!("{attacker}\n{third}\n{attacker}"));
    wait::until("the victim believes it", || {
        forge("arp");
        mac(&knows()) != mac(&before)
    });
    host.sh("kill $(cat /tmp/listener)").prints("");
    host.finish();
}

#[test]
fn others_rules_are_left_alone_and_the_user_s_chain_is_theirs() {
    let host = Host::new("isolated-others").with_busybox();
    let theirs = "nft add table inet mine; nft add chain inet mine f '{ type filter hook forward priority 5; }'
        nft add rule inet mine f accept; nft add table ip bulkhead-not; nft list table inet mine; nft list table ip bulkhead-not";
    let before = host.sh(theirs).stdout();
    network(&host, "shop", &[]);
    serve(&host, "web", &["--network", "shop", "-p", "8080:80"]);
    serve(&host, "app", &["--network", "shop"]);
    let web = address(&host, "web", "shop");
    // A rule of the user's holds before ours, and survives what we do.
    host.sh(&format!("nft add rule inet bulkhead bulkhead-user ip daddr {web} tcp dport 80 drop")).prints("");
    let outside = Outside::of(&host);
    assert!(outside.ask(&format!("{HERE}:8080")).contains("time"));
    host.bulkhead(["network", "reload"]).run().succeeds();
    serve(&host, "more", &["--network", "shop", "-p", "8081:80"]);
    assert!(outside.ask(&format!("{HERE}:8080")).contains("time"));
    assert!(outside.ask(&format!("{HERE}:8081")).starts_with("more to "));
    host.sh("nft flush chain inet bulkhead bulkhead-user").prints("");
    assert!(outside.ask(&format!("{HERE}:8080")).starts_with("web to "));
    let after = host.sh("nft list table inet mine; nft list table ip bulkhead-not").stdout();
    assert_eq!(after, before);
    outside.end();
    host.finish();
}

#[test]
fn whoever_else_drops_everything_is_named() {
    let host = Host::new("isolated-foreign").with_busybox();
    host.sh("nft add table ip theirs; nft add chain ip theirs FORWARD '{ type filter hook forward priority 0; policy drop; }'")
        .prints("");
    let run = || host.bulkhead(["run", "--rm", "busybox", "true"]).run();
    run().succeeds().says("the chain FORWARD of the firewall's table ip theirs drops");
    // Once is enough.
    run().succeeds().quietly();
    host.finish();
}
