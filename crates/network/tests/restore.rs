//! After a flush, or an update of ours, everything is as it was, and what is the user's was never touched.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::{IpAddr, SocketAddr};

use bulkhead_network::bridge::Bridge;
use bulkhead_network::endpoint;
use bulkhead_network::firewall::{self, Found, Presence, Protocol, PublishedPort};
use support::traffic::Server;
use support::{
    Namespace, a_bridge, a_container, a_dual_bridge, a_machine, ensure, host_link, ipv4, presence,
};

fn ports(to: SocketAddr, numbers: std::ops::Range<u16>) -> Vec<PublishedPort> {
    let address = IpAddr::from([0, 0, 0, 0]);
    numbers.map(|port| PublishedPort { address, port, protocol: Protocol::Tcp, to }).collect()
}

/// The table of layout 1 (but for a name that `nft` does not read), with a chain that the user has put there.
const LAYOUT_1: &str = r#"
    table inet bulkhead {
        comment "layout 1, kept by bulkhead"
        set bridges { type ifname; elements = { "bhtest1" }; }
        set masquerade_ { type ifname; elements = { "bhtest1" }; }
        map ports { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
        set bulkhead-user-friends { type ipv4_addr; elements = { 192.0.2.77 }; }
        chain bulkhead-user-more { ip daddr 192.0.2.78 drop; }
        chain bulkhead-user { iifname @bridges ip daddr @bulkhead-user-friends counter drop; jump bulkhead-user-more; }
        chain forward {
            type filter hook forward priority 0;
            iifname @bridges accept
            oifname @bridges accept
        }
        chain postrouting {
            type nat hook postrouting priority 100;
            iifname @masquerade_ oifname != @bridges masquerade
        }
    }"#;

#[test]
fn the_users_chain_outlives_everything_but_a_flush() {
    let (host, bridge) = (Namespace::host(), a_dual_bridge(1));
    host.output("nft", &[LAYOUT_1]);
    let users = || {
        ["bulkhead-user", "bulkhead-user-more"]
            .map(|chain| host.output("nft", &["list", "chain", "inet", "bulkhead", chain]))
    };
    let before = users();
    assert!(before[0].contains("@bulkhead-user-friends counter"), "{before:?}");

    host.run(|| assert_eq!(firewall::ensure(&[&bridge]).unwrap(), Found::Broken));
    assert_eq!(users(), before, "an update");
    host.run(|| assert_eq!(firewall::ensure(&[&bridge]).unwrap(), Found::Whole));
    host.run(|| firewall::restore(&[&bridge], &[]).unwrap());
    assert_eq!(users(), before, "a reload");
    host.output("nft", &["flush chain inet bulkhead forward"]);
    host.run(|| assert_eq!(firewall::ensure(&[&bridge]).unwrap(), Found::Broken));
    host.run(|| firewall::forget(&[&bridge]).unwrap());
    assert_eq!(users(), before, "a repair");
    let all = host.output("nft", &["list", "ruleset"]);
    assert!(!all.contains("masquerade_") && !all.contains("layout 1, kept by bulkhead\"\n\ttype"), "{all}");
    assert!(all.contains("jump bulkhead-user\n"), "{all}");
}

#[test]
fn what_the_user_drops_is_dropped_first() {
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.run(|| ensure(&bridge));
    let machine = a_machine(&host);
    let container = a_container(&host, &bridge, 2);
    let server = Server::new(&machine, Protocol::Tcp, "192.0.2.2".parse().unwrap());
    let to = SocketAddr::new("192.0.2.2".parse().unwrap(), server.port());
    server.asked(&container.0, to);
    host.output("nft", &["add rule inet bulkhead bulkhead-user ip daddr 192.0.2.2 drop"]);
    assert!(server.is_out_of_reach(&container.0, to));
}

#[test]
fn after_a_flush_all_is_as_it_was() {
    let (host, bridge) = (Namespace::host(), a_dual_bridge(1));
    host.run(|| ensure(&bridge));
    let machine = a_machine(&host);
    let web = a_container(&host, &bridge, 2);
    let server = Server::new(&web.0, Protocol::Tcp, "0.0.0.0".parse().unwrap());
    let mut whole = presence(&web.1);
    whole.ports = ports(SocketAddr::new(ipv4(&web.1).into(), server.port()), 8000..8010);
    host.run(|| firewall::admit(&whole).unwrap());
    let at = "192.0.2.1:8009".parse().unwrap();
    server.asked(&machine, at);
    let lists = || {
        ["inet", "bridge"].map(|family| {
            // Elements have no order of their own.
            let text = host.output("nft", &["list", "table", family, "bulkhead"]);
            let mut words: Vec<_> =
                text.split_whitespace().map(|word| word.trim_end_matches(',').to_owned()).collect();
            words.sort();
            words
        })
    };
    let before = lists();
    for damage in [
        "flush ruleset",
        "flush table inet bulkhead",
        "flush map inet bulkhead ports_any",
        "flush set bridge bulkhead senders",
    ] {
        host.output("nft", &[damage]);
        assert!(server.is_out_of_reach(&machine, at), "{damage}");
        host.run(|| firewall::restore(&[&bridge], std::slice::from_ref(&whole)).unwrap());
        server.asked(&machine, at);
        assert_eq!(lists(), before, "after {damage}");
    }
    // What nobody claims any more is not put back, and goes.
    let gone = Presence { senders: Vec::new(), ports: ports("10.77.1.9:80".parse().unwrap(), 9000..9003) };
    host.run(|| {
        firewall::admit(&gone).unwrap();
        firewall::ensure(&[&a_bridge(2)]).unwrap();
        firewall::restore(&[&bridge], std::slice::from_ref(&whole)).unwrap();
    });
    assert_eq!(lists(), before);
}

#[test]
fn another_engines_networks_stay() {
    let host = Namespace::host();
    let (ours, theirs, dead) = (a_dual_bridge(1), a_dual_bridge(2), a_dual_bridge(3));
    host.run(|| [&ours, &theirs].into_iter().for_each(ensure));
    let machine = a_machine(&host);
    let web = a_container(&host, &theirs, 2);
    let beside = a_container(&host, &theirs, 3);
    let server = Server::new(&web.0, Protocol::Tcp, "::".parse().unwrap());
    let published = ports(SocketAddr::new(ipv4(&web.1).into(), server.port()), 8080..8081);
    host.run(|| {
        firewall::admit(&Presence { senders: Vec::new(), ports: published }).unwrap();
        endpoint::reflect(host_link(&web.1)).unwrap();
        // A bridge whose link is gone is nobody's.
        firewall::ensure(&[&dead]).unwrap();
        firewall::restore(&[&ours], &[]).unwrap();
    });
    server.asked(&machine, "192.0.2.1:8080".parse().unwrap());
    server.asked(&web.0, "192.0.2.1:8080".parse().unwrap());
    for address in &web.1.addresses {
        server.asked(&beside.0, SocketAddr::new(address.addr(), server.port()));
    }
    let senders = host.output("nft", &["list", "set", "bridge", "bulkhead", "senders6"]);
    assert!(senders.contains(host_link(&web.1)) && senders.contains("fe80::"), "{senders}");
    let bridges = host.output("nft", &["list", "set", "inet", "bulkhead", "bridges"]);
    assert!(bridges.contains("bhtest2") && !bridges.contains("bhtest3"), "{bridges}");
}

#[test]
fn thousands_at_once() {
    let host = Namespace::host();
    let bridges: Vec<Bridge> = (1..=200).map(a_dual_bridge).collect();
    let bridges: Vec<&Bridge> = bridges.iter().collect();
    let many = Presence { senders: Vec::new(), ports: ports("10.77.1.2:80".parse().unwrap(), 1000..11000) };
    host.run(|| {
        firewall::restore(&bridges, std::slice::from_ref(&many)).unwrap();
        firewall::restore(&bridges, std::slice::from_ref(&many)).unwrap();
    });
    let count =
        || host.output("nft", &["list", "map", "inet", "bulkhead", "ports_any"]).matches(" tcp . ").count();
    assert_eq!(count(), 10_000);
    host.run(|| {
        firewall::dismiss(&many).unwrap();
        assert_eq!(firewall::ensure(&bridges).unwrap(), Found::Whole);
    });
    assert_eq!(count(), 0);
    // Those that lead elsewhere are all replaced.
    let elsewhere = Presence { ports: ports("10.77.1.3:80".parse().unwrap(), 1000..11000), ..many.clone() };
    host.run(|| {
        firewall::admit(&many).unwrap();
        firewall::admit(&elsewhere).unwrap();
    });
    let list = host.output("nft", &["list", "map", "inet", "bulkhead", "ports_any"]);
    assert_eq!((list.matches("10.77.1.2").count(), list.matches("10.77.1.3").count()), (0, 10_000));
}

#[test]
fn a_bridge_that_has_changed_is_known_as_it_is() {
    let (host, mut bridge) = (Namespace::host(), a_dual_bridge(1));
    host.run(|| assert_eq!(firewall::ensure(&[&bridge]).unwrap(), Found::Broken));
    bridge.addresses.truncate(1);
    bridge.addresses[0] = "10.77.9.1/24".parse().unwrap();
    bridge.policy.icc = false;
    bridge.policy.internal = true;
    host.run(|| assert_eq!(firewall::ensure(&[&bridge]).unwrap(), Found::Whole));
    let changed = host.output("nft", &["list", "ruleset"]);
    let fresh = Namespace::host();
    fresh.run(|| firewall::ensure(&[&bridge]).unwrap());
    assert_eq!(changed, fresh.output("nft", &["list", "ruleset"]));
}

#[test]
fn many_come_and_go_at_once() {
    let (host, bridge) = (Namespace::host(), a_dual_bridge(1));
    host.run(|| ensure(&bridge));
    let before = host.output("nft", &["list", "ruleset"]);
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (host, bridge) = (&host, &bridge);
            scope.spawn(move || {
                let place = support::an_endpoint(bridge, 2 + worker);
                let mut whole = presence(&place);
                let first = 1000 + u16::from(worker) * 10;
                whole.ports = ports(SocketAddr::new(ipv4(&place).into(), 80), first..first + 10);
                host.run(|| {
                    for _ in 0..50 {
                        firewall::admit(&whole).unwrap();
                        assert_eq!(firewall::ensure(&[bridge]).unwrap(), Found::Whole);
                        firewall::dismiss(&whole).unwrap();
                    }
                });
            });
        }
    });
    assert_eq!(host.output("nft", &["list", "ruleset"]), before);
}
