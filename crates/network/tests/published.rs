//! Published ports are reached from everywhere that they should be, with the client's own address wherever the kernel
//! can keep it; and nothing else of a container is.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::{IpAddr, SocketAddr};

use bulkhead_network::bridge::{self, Bridge};
use bulkhead_network::endpoint::{self, Endpoint};
use bulkhead_network::firewall::{self, Presence, Protocol, PublishedPort};
use support::traffic::Server;
use support::{
    Namespace, a_container, a_dual_bridge, a_machine, bridges_call_firewall, ensure, host_link, ipv4, ipv6,
    presence,
};

const PROTOCOLS: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A host with two networks, two containers on the first, one on the second, and another machine.
struct World {
    host: Namespace,
    machine: Namespace,
    bridges: [Bridge; 2],
    web: (Namespace, Endpoint),
    beside: (Namespace, Endpoint),
    elsewhere: (Namespace, Endpoint),
}

impl World {
    fn new(call_firewall: bool) -> Self {
        let host = Namespace::host();
        bridges_call_firewall(&host, call_firewall);
        let bridges = [a_dual_bridge(1), a_dual_bridge(2)];
        host.run(|| bridges.iter().for_each(ensure));
        let machine = a_machine(&host);
        let web = a_container(&host, &bridges[0], 2);
        let beside = a_container(&host, &bridges[0], 3);
        let elsewhere = a_container(&host, &bridges[1], 2);
        Self { host, machine, bridges, web, beside, elsewhere }
    }

    /// Publishes a port of `web` at these addresses of the host.
    fn publish(&self, addresses: &[&str], protocol: Protocol, port: u16, to: SocketAddr) -> Presence {
        let port = |address: &&str| PublishedPort { address: ip(address), port, protocol, to };
        let ports = Presence { senders: Vec::new(), ports: addresses.iter().map(port).collect() };
        self.host.run(|| {
            firewall::admit(&ports).unwrap();
            bridge::allow_loopback(&self.bridges[0].name, &self.web.1.addresses).unwrap();
            endpoint::reflect(host_link(&self.web.1)).unwrap();
        });
        ports
    }
}

fn from_everywhere(call_firewall: bool) {
    let world = World::new(call_firewall);
    let web = &world.web.1;
    for protocol in PROTOCOLS {
        for (any, own, machine, inside) in [
            ("0.0.0.0", "192.0.2.1", "192.0.2.2", IpAddr::from(ipv4(web))),
            ("::", "2001:db8::1", "2001:db8::2", ipv6(web)),
        ] {
            let server = Server::new(&world.web.0, protocol, ip(any));
            let to = SocketAddr::new(inside, server.port());
            let at = |address: IpAddr| SocketAddr::new(address, 8080);
            let own = ip(own);
            let ours = |container: &(Namespace, Endpoint)| {
                if own.is_ipv4() { ipv4(&container.1).into() } else { ipv6(&container.1) }
            };
            // Without it nobody is there.
            assert!(server.is_out_of_reach(&world.machine, at(own)));
            let ports = world.publish(&[any], protocol, 8080, to);

            assert_eq!(server.asked(&world.machine, at(own)).ip(), ip(machine), "another machine");
            assert_eq!(server.asked(&world.host, at(own)).ip(), own, "the host by its own address");
            assert_eq!(
                server.asked(&world.elsewhere.0, at(own)).ip(),
                ours(&world.elsewhere),
                "another network"
            );
            server.asked(&world.beside.0, at(own));
            server.asked(&world.web.0, at(own));
            if own.is_ipv4() {
                server.asked(&world.host, at(ip("127.0.0.1")));
                server.asked(&world.host, at(ip("127.1.2.3")));
            } else {
                assert!(server.is_out_of_reach(&world.host, at(ip("::1"))), "::1 is an element of its own");
                let loopback = world.publish(&["::1"], protocol, 8080, to);
                if call_firewall {
                    assert!(!world.host.run(|| bridge::allow_loopback("bhtest1", &web.addresses)).unwrap());
                } else {
                    server.asked(&world.host, at(ip("::1")));
                }
                world.host.run(|| firewall::dismiss(&loopback).unwrap());
            }
            // Gone it is gone, for those who asked before too.
            world.host.run(|| {
                firewall::dismiss(&ports).unwrap();
                bulkhead_network::conntrack::forget(&ports.ports).unwrap();
            });
            assert!(server.is_out_of_reach(&world.machine, at(own)));
            assert!(server.is_out_of_reach(&world.host, at(own)));
        }
    }
}

#[test]
fn from_everywhere_where_bridges_do_not_call_the_firewall() {
    from_everywhere(false);
}

#[test]
fn from_everywhere_where_bridges_call_the_firewall() {
    from_everywhere(true);
}

#[test]
fn an_address_of_the_host_is_that_alone() {
    let world = World::new(false);
    let server = Server::new(&world.web.0, Protocol::Tcp, ip("::"));
    for (address, other, to) in [
        ("192.0.2.1", "10.77.1.1", IpAddr::from(ipv4(&world.web.1))),
        ("2001:db8::1", "fd77:1::1", ipv6(&world.web.1)),
        ("127.0.0.1", "192.0.2.1", IpAddr::from(ipv4(&world.web.1))),
    ] {
        let to = SocketAddr::new(to, server.port());
        let ports = world.publish(&[address], Protocol::Tcp, 8080, to);
        server.asked(&world.host, SocketAddr::new(ip(address), 8080));
        assert!(server.is_out_of_reach(&world.host, SocketAddr::new(ip(other), 8080)), "{other}");
        assert!(server.is_out_of_reach(&world.machine, SocketAddr::new(ip(other), 8080)), "{other}");
        world.host.run(|| firewall::dismiss(&ports).unwrap());
    }
}

#[test]
fn nobody_outside_uses_a_port_of_127_0_0_1() {
    // A container sends to 127.0.0.1 by the host: route_localnet is on. (Another machine does in `isolation.rs`.)
    let world = World::new(false);
    let inside = support::udp(&world.web.0, ipv4(&world.web.1));
    world.publish(&["127.0.0.1"], Protocol::Udp, 8080, inside.local_addr().unwrap());
    for (attacker, gateway) in [(&world.elsewhere.0, "10.77.2.1"), (&world.beside.0, "10.77.1.1")] {
        let script = format!(
            "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet
             ip rule add priority 1 table main
             ip rule add priority 2 table local
             ip rule del priority 0
             ip route add 127.0.0.1/32 via {gateway} dev eth0"
        );
        attacker.output("sh", &["-ec", &script]);
    }
    let attack = |attacker: &(Namespace, Endpoint), text: &str| {
        let socket = support::udp(&attacker.0, ipv4(&attacker.1));
        socket.send_to(text.as_bytes(), "127.0.0.1:8080").unwrap();
    };
    let heard = || {
        let mut text = [0; 16];
        let (length, _) = inside.recv_from(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    // Both that it is dropped, and that it is not translated.
    let off = "flush chain inet bulkhead prerouting-filter
               insert rule inet bulkhead prerouting dnat ip to ip daddr . meta l4proto . th dport map @ports";
    world.host.output("nft", &[off]);
    attack(&world.beside, "attack");
    assert_eq!(heard(), "attack");
    world.host.run(|| ensure(&world.bridges[0]));
    attack(&world.beside, "again");
    attack(&world.elsewhere, "and again");
    support::udp(&world.host, ip("127.0.0.1")).send_to(b"the host", "127.0.0.1:8080").unwrap();
    assert_eq!(heard(), "the host");
}

#[test]
fn a_port_that_another_had_leads_to_the_new_one() {
    let world = World::new(false);
    let old = Server::new(&world.web.0, Protocol::Tcp, ip("0.0.0.0"));
    let new = Server::new(&world.beside.0, Protocol::Tcp, ip("0.0.0.0"));
    let at = SocketAddr::new(ip("192.0.2.1"), 8080);
    let first = world.publish(
        &["0.0.0.0"],
        Protocol::Tcp,
        8080,
        SocketAddr::new(ipv4(&world.web.1).into(), old.port()),
    );
    old.asked(&world.machine, at);
    let to = SocketAddr::new(ipv4(&world.beside.1).into(), new.port());
    world.publish(&["0.0.0.0", "192.0.2.1"], Protocol::Tcp, 8080, to);
    world.publish(&["0.0.0.0", "192.0.2.1"], Protocol::Tcp, 8080, to);
    new.asked(&world.machine, at);
    // What is partly gone already goes wholly.
    let mut ports = first.clone();
    ports.ports.push(PublishedPort { port: 9999, ..first.ports[0] });
    ports.ports.push(PublishedPort { address: at.ip(), ..first.ports[0] });
    world.host.run(|| {
        firewall::dismiss(&ports).unwrap();
        firewall::dismiss(&ports).unwrap();
        firewall::dismiss(&presence(&world.web.1)).unwrap();
    });
    assert!(new.is_out_of_reach(&world.machine, at));
}

#[test]
fn datagrams_of_an_old_client_go_where_the_port_leads_now() {
    let world = World::new(false);
    let on_host = Server::at(&world.host, Protocol::Udp, "192.0.2.1:5353".parse().unwrap());
    let (Server::Udp(on_host), port) = (&on_host, on_host.port()) else { unreachable!() };
    let inside = support::udp(&world.web.0, ipv4(&world.web.1));
    let client = support::udp(&world.machine, ip("192.0.2.2"));
    let say = |text: &str| client.send_to(text.as_bytes(), ("192.0.2.1", port)).unwrap();
    on_host.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    say("before");
    on_host.recv_from(&mut [0; 8]).unwrap();
    let to = inside.local_addr().unwrap();
    let ports = world.publish(&["0.0.0.0"], Protocol::Udp, port, to);
    // The flow is the host's own still, and this is what would happen without.
    say("astray");
    on_host.recv_from(&mut [0; 8]).unwrap();
    let forget = || world.host.run(|| bulkhead_network::conntrack::forget(&ports.ports).unwrap());
    assert_eq!(forget(), 1);
    say("after");
    inside.recv_from(&mut [0; 8]).unwrap();
    world.host.run(|| firewall::dismiss(&ports).unwrap());
    assert_eq!(forget(), 1);
    say("again");
    on_host.recv_from(&mut [0; 8]).unwrap();
    let tcp = PublishedPort { protocol: Protocol::Tcp, ..ports.ports[0] };
    assert_eq!(world.host.run(|| bulkhead_network::conntrack::forget(&[tcp]).unwrap()), 0);
}

#[test]
fn on_a_network_without_talk_a_published_port_is_reached_by_the_hosts_address() {
    let (host, mut bridge) = (Namespace::host(), a_dual_bridge(1));
    bridges_call_firewall(&host, false);
    bridge.policy.icc = false;
    host.run(|| ensure(&bridge));
    let (web, beside) = (a_container(&host, &bridge, 2), a_container(&host, &bridge, 3));
    for protocol in PROTOCOLS {
        let server = Server::new(&web.0, protocol, ip("0.0.0.0"));
        let inside = SocketAddr::new(ipv4(&web.1).into(), server.port());
        let ports = vec![PublishedPort { address: ip("0.0.0.0"), port: 8080, protocol, to: inside }];
        host.run(|| firewall::admit(&Presence { senders: Vec::new(), ports }).unwrap());
        assert!(server.is_out_of_reach(&beside.0, inside));
        server.asked(&beside.0, "10.77.1.1:8080".parse().unwrap());
        server.asked(&web.0, "10.77.1.1:8080".parse().unwrap());
    }
}
