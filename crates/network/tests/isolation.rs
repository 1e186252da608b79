//! Networks are kept apart, and containers from sending as another. Each attack is first seen to succeed with the rule
//! taken away that is against it.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use bulkhead_network::bridge::{Bridge, Policy};
use bulkhead_network::endpoint::Endpoint;
use bulkhead_network::firewall::{self, Protocol};
use support::traffic::Server;
use support::{
    Namespace, a_container, a_dual_bridge, a_machine, bridges_call_firewall, ensure, gateway, host_link,
    ipv4, ipv6, udp,
};

const ALL: [&str; 2] = ["0.0.0.0", "::"];
const SENDERS: &str = "flush chain bridge bulkhead prerouting";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The container's address of the family of `other`.
fn address(place: &Endpoint, other: &str) -> IpAddr {
    if ip(other).is_ipv4() { ipv4(place).into() } else { ipv6(place) }
}

/// Two containers on one network with both families: one is up to no good.
struct Pair {
    host: Namespace,
    bridge: Bridge,
    mallory: (Namespace, Endpoint),
    bob: (Namespace, Endpoint),
}

impl Pair {
    fn new() -> Self {
        let (host, bridge) = (Namespace::host(), a_dual_bridge(1));
        host.run(|| ensure(&bridge));
        let mallory = a_container(&host, &bridge, 3);
        let bob = a_container(&host, &bridge, 4);
        Self { host, bridge, mallory, bob }
    }

    /// Sends what is false with the protection off, then on, and then what is true: gives what bob heard first.
    fn heard(&self, protected: bool, send: impl FnOnce(IpAddr, u16), family: &str) -> String {
        if protected {
            self.host.run(|| ensure(&self.bridge));
        } else {
            self.host.output("nft", &[SENDERS]);
        }
        let bob = udp(&self.bob.0, address(&self.bob.1, family));
        let to = bob.local_addr().unwrap();
        send(to.ip(), to.port());
        let genuine = format!("true of {}", self.mallory.1.container_link);
        udp(&self.mallory.0, address(&self.mallory.1, family)).send_to(genuine.as_bytes(), to).unwrap();
        let mut text = [0; 32];
        let (length, _) = bob.recv_from(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    }
}

#[test]
fn nobody_sends_with_an_address_that_is_not_its_own() {
    let pair = Pair::new();
    pair.mallory.0.output("ip", &["address", "add", "10.77.1.9/24", "dev", "eth0"]);
    pair.mallory.0.output("ip", &["address", "add", "fd77:1::9/64", "dev", "eth0", "nodad"]);
    for false_one in ["10.77.1.9", "fd77:1::9"] {
        let spoof = |to: IpAddr, port: u16| {
            udp(&pair.mallory.0, ip(false_one)).send_to(b"false", (to, port)).unwrap();
        };
        assert_eq!(pair.heard(false, spoof, false_one), "false");
        assert_eq!(pair.heard(true, spoof, false_one), "true of eth0");
    }
}

#[test]
fn nobody_sends_with_a_mac_address_that_is_not_its_own() {
    let pair = Pair::new();
    let mac = |text| pair.mallory.0.output("ip", &["link", "set", "eth0", "address", text]);
    for family in ["10.77.1.3", "fd77:1::3"] {
        let spoof = |to: IpAddr, port: u16| {
            let socket = udp(&pair.mallory.0, ip(family));
            // The neighbour is found with the true one, so that only the packet itself is false.
            socket.send_to(b"first", (to, 9)).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
            mac("02:42:0a:4d:01:63");
            let bob = format!("02:42:0a:4d:01:{:02x}", 4);
            let neighbour =
                ["neigh", "replace", &to.to_string(), "lladdr", &bob, "dev", "eth0", "nud", "permanent"];
            pair.mallory.0.output("ip", &neighbour);
            socket.send_to(b"false", (to, port)).unwrap();
            mac("02:42:0a:4d:01:03");
            pair.mallory.0.output("ip", &neighbour);
        };
        assert_eq!(pair.heard(false, spoof, family), "false");
        assert_eq!(pair.heard(true, spoof, family), "true of eth0");
    }
}

#[test]
fn nobody_answers_for_an_address_that_is_not_its_own() {
    // ARP, and neighbour advertisements: whoever asks for the address gets no answer.
    let pair = Pair::new();
    pair.mallory.0.output("ip", &["address", "add", "10.77.1.9/24", "dev", "eth0"]);
    pair.mallory.0.output("ip", &["address", "add", "fd77:1::9/64", "dev", "eth0", "nodad"]);
    for (stolen, any) in [("10.77.1.9", "0.0.0.0"), ("fd77:1::9", "::")] {
        let server = Server::new(&pair.mallory.0, Protocol::Udp, ip(stolen));
        let to = SocketAddr::new(ip(stolen), server.port());
        pair.host.output("nft", &[SENDERS]);
        server.asked(&pair.bob.0, to);
        pair.host.run(|| ensure(&pair.bridge));
        pair.bob.0.output("ip", &["neigh", "flush", "all"]);
        assert!(server.is_out_of_reach(&pair.bob.0, to));
        let neighbours = pair.bob.0.output("ip", &["neigh", "show", stolen]);
        assert!(!neighbours.contains("lladdr"), "{neighbours}");
        // Its own it does answer for.
        let own = address(&pair.mallory.1, any);
        let server = Server::new(&pair.mallory.0, Protocol::Udp, own);
        server.asked(&pair.bob.0, SocketAddr::new(own, server.port()));
    }
}

/// Sends an ICMPv6 message to all nodes of a container's link.
fn icmpv6(from: &Namespace, body: &[u8]) {
    from.run(|| {
        use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket, sockopt};
        let socket = socket(AddressFamily::INET6, SocketType::RAW, Some(ipproto::ICMPV6)).unwrap();
        sockopt::set_ipv6_multicast_hops(&socket, 255).unwrap();
        let link = rustix::net::netdevice::name_to_index(&socket, "eth0").unwrap();
        let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        sendto(&socket, body, SendFlags::empty(), &SocketAddrV6::new(all, 0, 0, link)).unwrap();
    });
}

#[test]
fn nobody_is_a_router_or_speaks_for_another() {
    let pair = Pair::new();
    // No default route of its own, and one that comes by an advertisement would be taken.
    pair.bob.0.output("ip", &["-6", "route", "del", "default"]);
    let heard = |protected, body: &[u8]| {
        let send = |_: IpAddr, _| icmpv6(&pair.mallory.0, body);
        assert_eq!(pair.heard(protected, send, "fd77:1::3"), "true of eth0");
    };
    let router = [134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
    let routes = || pair.bob.0.output("ip", &["-6", "route", "show", "default"]);
    heard(true, &router);
    assert_eq!(routes(), "");
    heard(false, &router);
    assert!(routes().contains("proto ra"), "{}", routes());

    // An unasked advertisement that overrides who the gateway is.
    let mut advertisement = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    advertisement.extend("fd77:1::1".parse::<Ipv6Addr>().unwrap().octets());
    advertisement.extend([2, 1, 0x02, 0x42, 0x0a, 0x4d, 0x01, 0x03]);
    let gateway =
        ["neigh", "replace", "fd77:1::1", "lladdr", "02:42:0a:4d:01:01", "dev", "eth0", "nud", "stale"];
    pair.bob.0.output("ip", &gateway);
    let known = || pair.bob.0.output("ip", &["neigh", "show", "fd77:1::1"]);
    heard(true, &advertisement);
    assert!(known().contains("02:42:0a:4d:01:01"), "{}", known());
    heard(false, &advertisement);
    assert!(known().contains("02:42:0a:4d:01:03"), "{}", known());
}

#[test]
fn nothing_is_sent_before_it_is_allowed() {
    let pair = Pair::new();
    let server = Server::new(&pair.bob.0, Protocol::Udp, ip("0.0.0.0"));
    let to = SocketAddr::new(ipv4(&pair.bob.1).into(), server.port());
    server.asked(&pair.mallory.0, to);
    pair.host.run(|| firewall::dismiss(&support::presence(&pair.mallory.1)).unwrap());
    assert!(server.is_out_of_reach(&pair.mallory.0, to));
    pair.host.run(|| firewall::admit(&support::presence(&pair.mallory.1)).unwrap());
    server.asked(&pair.mallory.0, to);
}

#[test]
fn networks_do_not_reach_each_other() {
    for call_firewall in [false, true] {
        let (host, bridges) = (Namespace::host(), [a_dual_bridge(1), a_dual_bridge(2)]);
        bridges_call_firewall(&host, call_firewall);
        host.run(|| bridges.iter().for_each(ensure));
        let (ours, theirs) = (a_container(&host, &bridges[0], 2), a_container(&host, &bridges[1], 2));
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for any in ALL {
                let server = Server::new(&theirs.0, protocol, ip(any));
                let to = SocketAddr::new(address(&theirs.1, any), server.port());
                host.output("nft", &["flush chain inet bulkhead forward"]);
                server.asked(&ours.0, to);
                host.run(|| ensure(&bridges[0]));
                assert!(server.is_out_of_reach(&ours.0, to), "{to}");

                // What listens at the gateway is for its own network.
                let gateways = bridges.each_ref().map(|bridge| {
                    bridge
                        .addresses
                        .iter()
                        .map(|own| own.addr())
                        .find(|own| own.is_ipv4() == ip(any).is_ipv4())
                });
                let [_, service] = gateways.map(|own| Server::new(&host, protocol, own.unwrap()));
                let other = SocketAddr::new(gateways[1].unwrap(), service.port());
                service.asked(&theirs.0, other);
                host.output("nft", &["flush chain inet bulkhead input"]);
                service.asked(&ours.0, other);
                host.run(|| ensure(&bridges[0]));
                assert!(service.is_out_of_reach(&ours.0, other), "{other}");
            }
        }
    }
}

#[test]
fn another_machine_with_a_route_reaches_nothing_unpublished() {
    let (host, bridge) = (Namespace::host(), a_dual_bridge(1));
    host.run(|| ensure(&bridge));
    let machine = a_machine(&host);
    let container = a_container(&host, &bridge, 2);
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for any in ALL {
            let server = Server::new(&container.0, protocol, ip(any));
            let to = SocketAddr::new(address(&container.1, any), server.port());
            host.output("nft", &["flush chain inet bulkhead forward"]);
            server.asked(&machine, to);
            host.run(|| ensure(&bridge));
            assert!(server.is_out_of_reach(&machine, to), "{to}");
            // The host itself does.
            server.asked(&host, to);
        }
    }
}

#[test]
fn an_internal_network_has_no_way_out_nor_in() {
    let (host, mut bridge) = (Namespace::host(), a_dual_bridge(1));
    bridge.policy.internal = true;
    host.run(|| ensure(&bridge));
    let machine = a_machine(&host);
    let (a, b) = (a_container(&host, &bridge, 2), a_container(&host, &bridge, 3));
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for (any, outside, own) in
            [(ALL[0], "192.0.2.2", "192.0.2.1"), (ALL[1], "2001:db8::2", "2001:db8::1")]
        {
            let server = Server::new(&machine, protocol, ip(any));
            let to = SocketAddr::new(ip(outside), server.port());
            let service = Server::new(&host, protocol, ip(own));
            let of_host = SocketAddr::new(ip(own), service.port());
            host.output("nft", &["flush chain inet bulkhead forward; flush chain inet bulkhead input"]);
            server.asked(&a.0, to);
            service.asked(&a.0, of_host);
            host.run(|| ensure(&bridge));
            assert!(server.is_out_of_reach(&a.0, to), "{to}");
            assert!(service.is_out_of_reach(&a.0, of_host), "{of_host}");
            let inside = Server::new(&b.0, protocol, ip(any));
            inside.asked(&a.0, SocketAddr::new(address(&b.1, any), inside.port()));
        }
    }
}

#[test]
fn containers_of_a_network_without_talk_reach_its_gateway_alone() {
    for call_firewall in [false, true] {
        let (host, mut bridge) = (Namespace::host(), a_dual_bridge(1));
        bridges_call_firewall(&host, call_firewall);
        bridge.policy = Policy { icc: false, ..Policy::default() };
        host.run(|| ensure(&bridge));
        let (a, b) = (a_container(&host, &bridge, 2), a_container(&host, &bridge, 3));
        let isolate = |how| {
            for place in [&a.1, &b.1] {
                host.output(
                    "ip",
                    &["link", "set", host_link(place), "type", "bridge_slave", "isolated", how],
                );
            }
        };
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            for any in ALL {
                let server = Server::new(&b.0, protocol, ip(any));
                let to = SocketAddr::new(address(&b.1, any), server.port());
                assert!(server.is_out_of_reach(&a.0, to), "{to}");
                isolate("off");
                host.output("nft", &["flush chain inet bulkhead forward"]);
                server.asked(&a.0, to);
                isolate("on");
                host.run(|| ensure(&bridge));
                let service = Server::new(&host, protocol, ip(any));
                service.asked(&a.0, SocketAddr::new(gateway(&bridge).into(), service.port()));
            }
        }
    }
}

#[test]
fn nobody_listens_in_on_ports_of_others_bridges() {
    // A bridge of somebody else's, whose ports may send as they like.
    let host = Namespace::host();
    host.run(|| ensure(&a_dual_bridge(1)));
    let (theirs, inside) = (Namespace::host(), Namespace::host());
    for (number, namespace) in [(1, &theirs), (2, &inside)] {
        let path =
            format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&namespace.fd()));
        let script = format!(
            "ip link show br0 2>/dev/null || ip link add br0 type bridge; ip link set br0 up
             ip link add veth{number} type veth peer name eth0 netns {path}; ip link set veth{number} master br0 up
             nsenter --net={path} ip address add 10.1.0.{number}/24 dev eth0; nsenter --net={path} ip link set eth0 up"
        );
        host.output("sh", &["-ec", &script]);
    }
    let socket: UdpSocket = udp(&inside, ip("10.1.0.2"));
    udp(&theirs, ip("10.1.0.1")).send_to(b"hello", socket.local_addr().unwrap()).unwrap();
    socket.recv_from(&mut [0; 8]).unwrap();
}

/// Addresses that a bridge takes for its own (IEEE 802.1D): frames to them come to the host by the port, not by the
/// bridge, and pass no chain of the family `bridge` (LLDP), or its `input` alone.
const LINK_LOCAL: [&str; 2] = ["01:80:c2:00:00:0e", "01:80:c2:00:00:02"];

#[test]
fn nobody_gets_past_the_bridge_by_its_own_multicast_addresses() {
    let pair = Pair::new();
    let other = a_dual_bridge(2);
    pair.host.run(|| ensure(&other));
    // The host has the port's IPv6, if it has the port's IPv4.
    pair.mallory.0.output("ip", &["address", "add", "10.77.1.9/24", "dev", "eth0"]);
    pair.mallory.0.output("ip", &["address", "add", "fd77:1::9/64", "dev", "eth0", "nodad"]);
    for (false_one, own, service) in
        [("10.77.1.9", "10.77.1.1", "10.77.2.1"), ("fd77:1::9", "fd77:1::1", "fd77:2::1")]
    {
        for mac in LINK_LOCAL {
            let neighbour = ["neigh", "replace", own, "lladdr", mac, "dev", "eth0", "nud", "permanent"];
            pair.mallory.0.output("ip", &neighbour);
            let server = udp(&pair.host, ip(service));
            let send = || {
                let socket = udp(&pair.mallory.0, ip(false_one));
                socket.send_to(b"false", server.local_addr().unwrap()).unwrap();
            };
            pair.host.output("nft", &["flush chain inet bulkhead prerouting-filter"]);
            send();
            let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
            assert_eq!(from.ip(), ip(false_one));
            pair.host.run(|| ensure(&pair.bridge));
            server.set_read_timeout(Some(std::time::Duration::from_millis(250))).unwrap();
            send();
            assert!(server.recv_from(&mut [0; 8]).is_err(), "{service} by {mac}");
        }
    }
}

#[test]
fn nobody_takes_what_is_sent_to_another() {
    // A frame that the bridge looks at itself must not teach it where an address is.
    for mac in LINK_LOCAL {
        let pair = Pair::new();
        let neighbour = ["neigh", "replace", "10.77.1.1", "lladdr", mac, "dev", "eth0", "nud", "permanent"];
        pair.mallory.0.output("ip", &neighbour);
        let bob = udp(&pair.bob.0, ipv4(&pair.bob.1));
        let heard = |patience| {
            let own = |text| pair.mallory.0.output("ip", &["link", "set", "eth0", "address", text]);
            // Bob is where he is, then perhaps elsewhere.
            udp(&pair.bob.0, ipv4(&pair.bob.1)).send_to(b"here", (gateway(&pair.bridge), 9)).unwrap();
            own("02:42:0a:4d:01:04");
            pair.mallory.0.output("ip", &neighbour);
            udp(&pair.mallory.0, ip("10.77.1.3")).send_to(b"false", (gateway(&pair.bridge), 9)).unwrap();
            own("02:42:0a:4d:01:03");
            bob.set_read_timeout(Some(std::time::Duration::from_millis(patience))).unwrap();
            udp(&pair.host, gateway(&pair.bridge)).send_to(b"secret", bob.local_addr().unwrap()).unwrap();
            bob.recv_from(&mut [0; 8]).is_ok()
        };
        assert!(heard(5000), "{mac}");
        let learn = |how| ["link", "set", "bhtest1", "type", "bridge", "no_linklocal_learn", how];
        pair.host.output("ip", &learn("0"));
        assert!(!heard(250), "{mac}");
        // A bridge that an older version made is put right.
        pair.host.run(|| ensure(&pair.bridge));
        assert!(heard(5000), "{mac}");
    }
}

#[test]
fn another_machine_does_not_reach_what_is_published_at_a_loopback_address() {
    let (host, bridge) = (Namespace::host(), a_dual_bridge(1));
    host.run(|| ensure(&bridge));
    let machine = a_machine(&host);
    let container = a_container(&host, &bridge, 2);
    // It takes all of 127.0.0.0/8 but one address for the host's.
    machine.output(
        "sh",
        &[
            "-ec",
            "ip address add 127.0.0.99/32 dev lo; ip address del 127.0.0.1/8 dev lo
             ip route add 127.0.0.1 via 192.0.2.1
             for link in all outside; do echo 1 > /proc/sys/net/ipv4/conf/$link/route_localnet; done",
        ],
    );
    let loopback = ip("127.0.0.1");
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let server = Server::new(&container.0, protocol, ip("0.0.0.0"));
        let to = SocketAddr::new(ipv4(&container.1).into(), server.port());
        let port = firewall::PublishedPort { address: loopback, port: 8080, protocol, to };
        let at = SocketAddr::new(loopback, 8080);
        host.run(|| {
            firewall::admit(&firewall::Presence { senders: Vec::new(), ports: vec![port] }).unwrap();
            bulkhead_network::bridge::allow_loopback(&bridge.name, &container.1.addresses).unwrap();
        });
        server.asked(&host, at);
        let before =
            "insert rule inet bulkhead prerouting dnat ip to ip daddr . meta l4proto . th dport map @ports";
        host.output("nft", &[before]);
        server.asked(&machine, at);
        host.run(|| ensure(&bridge));
        assert!(server.is_out_of_reach(&machine, at));
        server.asked(&host, at);
    }
}
