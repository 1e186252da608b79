//! Bridges are made once, by whoever comes first, and found right by all others.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Barrier;

use bulkhead_network::bridge::{self, Bridge};
use bulkhead_network::netlink::Socket;
use bulkhead_network::{Error, address, link};
use support::{Namespace, a_bridge, a_container, a_dual_bridge, a_machine, ensure};

fn describe(bridge: &Bridge) -> (link::Link, Vec<address::Address>) {
    let mut socket = Socket::open().unwrap();
    let found = link::find(&mut socket, &bridge.name).unwrap().unwrap();
    let mut addresses = address::list(&mut socket).unwrap();
    addresses.retain(|address| address.index == found.index);
    (found, addresses)
}

#[test]
fn twice_is_once() {
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.run(|| {
        assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), "0\n");
        ensure(&bridge);
        let first = describe(&bridge);
        assert!(first.0.up);
        assert_eq!(first.0.kind, "bridge");
        assert_eq!(first.1[0].address.to_string(), "10.77.1.1/24");
        ensure(&bridge);
        assert_eq!(describe(&bridge), first);
        assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), "1\n");
    });
}

#[test]
fn many_at_once_all_succeed_and_make_one() {
    let host = Namespace::host();
    for round in 1..=5 {
        let bridge = a_bridge(round);
        let others = [a_bridge(100 + round), a_bridge(200 + round)];
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (host, start, bridge, others) = (&host, &start, &bridge, &others);
                scope.spawn(move || {
                    host.run(|| {
                        start.wait();
                        ensure(others.get(number).unwrap_or(bridge));
                    });
                });
            }
        });
        host.run(|| assert_eq!(describe(&bridge).1.len(), 1));
    }
}

#[test]
fn what_was_broken_is_put_right() {
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.run(|| ensure(&bridge));
    host.output("ip", &["address", "flush", "dev", &bridge.name]);
    host.output("ip", &["link", "set", &bridge.name, "down", "mtu", "1300"]);
    host.run(|| {
        ensure(&bridge);
        let (found, addresses) = describe(&bridge);
        assert_eq!((found.up, found.mtu, addresses.len()), (true, 1500, 1));
    });
}

#[test]
fn the_bridge_keeps_its_mac_address_and_mtu_when_containers_come() {
    let (host, mut bridge) = (Namespace::host(), a_bridge(1));
    bridge.mtu = 1450;
    host.run(|| ensure(&bridge));
    let (_container, _) = a_container(&host, &bridge, 2);
    let described = host.output("ip", &["-o", "link", "show", &bridge.name]);
    assert!(described.contains("02:42:0a:4d:01:01"), "{described}");
    assert!(described.contains("mtu 1450"), "{described}");
}

#[test]
fn a_link_that_is_no_bridge_is_left_alone() {
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.output("ip", &["link", "add", &bridge.name, "type", "veth"]);
    host.run(|| {
        for error in
            [bridge::ensure(&bridge).map(drop).unwrap_err(), bridge::remove(&bridge).map(drop).unwrap_err()]
        {
            assert!(matches!(error, Error::NotABridge { .. }));
            assert!(error.to_string().contains("bhtest1 as a bridge"), "{error}");
            assert!(error.to_string().contains("of kind veth"), "{error}");
        }
        assert_eq!(describe(&bridge).0.kind, "veth");
    });
}

#[test]
fn names_and_gateways_that_cannot_be_are_refused_before_anything_is_done() {
    let host = Namespace::host();
    host.run(|| {
        for name in ["", "much-too-long-a-name", "a/b", "eth%d"] {
            let bad = Bridge { name: name.to_owned(), ..a_bridge(1) };
            assert!(matches!(bridge::ensure(&bad), Err(Error::LinkName { .. })), "{name}");
        }
        for gateway in ["10.77.1.0", "10.77.1.255"] {
            let bad = Bridge { addresses: vec![format!("{gateway}/24").parse().unwrap()], ..a_bridge(1) };
            let error = bridge::ensure(&bad).map(drop).unwrap_err().to_string();
            assert!(error.contains(gateway) && error.contains("10.77.1.0/24"), "{error}");
        }
        let anycast = Bridge { addresses: vec!["fd77:1::/64".parse().unwrap()], ..a_bridge(1) };
        assert!(matches!(bridge::ensure(&anycast), Err(Error::Gateway { .. })));
        let mut two = a_bridge(1);
        two.addresses.push("10.78.1.1/24".parse().unwrap());
        let error = bridge::ensure(&two).map(drop).unwrap_err().to_string();
        assert!(error.contains("both 10.77.1.1/24 and 10.78.1.1/24"), "{error}");
        assert_eq!(Socket::open().unwrap().index_of("bhtest1").unwrap(), None);
    });
}

#[test]
fn a_router_of_ipv6_only_for_networks_with_it_and_advertisements_are_heard_as_before() {
    let host = Namespace::host();
    let machine = a_machine(&host);
    let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{name}")).unwrap();
    host.output("ip", &["link", "add", "deaf", "type", "veth"]);
    host.run(|| {
        std::fs::write("/proc/sys/net/ipv6/conf/deaf/accept_ra", "0").unwrap();
        ensure(&a_bridge(1));
        assert_eq!((read("all/forwarding"), read("inside/accept_ra")), ("0\n".into(), "1\n".into()));
        ensure(&a_dual_bridge(2));
        assert_eq!((read("all/forwarding"), read("inside/accept_ra")), ("1\n".into(), "2\n".into()));
        assert_eq!((read("deaf/accept_ra"), read("bhtest2/accept_ra")), ("0\n".into(), "0\n".into()));
    });
    drop(machine);
}

#[test]
fn with_ipv6_alone_or_without_any_address() {
    let host = Namespace::host();
    let mut bridge = a_dual_bridge(1);
    bridge.addresses.remove(0);
    let none = Bridge { addresses: Vec::new(), ..a_bridge(2) };
    host.run(|| {
        std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
        for _ in 0..2 {
            ensure(&bridge);
            ensure(&none);
        }
        let (_, addresses) = describe(&bridge);
        let texts: Vec<_> = addresses.iter().map(|found| found.address.to_string()).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(
            texts.contains(&"fd77:1::1/64".to_owned()) && texts.iter().any(|text| text.starts_with("fe80::"))
        );
        let (link, addresses) = describe(&none);
        assert!(link.up && addresses.is_empty());
        assert_eq!(std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), "0\n");
    });
}

#[test]
fn removed_is_gone_and_removing_again_is_no_error() {
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.run(|| {
        ensure(&bridge);
        assert!(bridge::remove(&bridge).unwrap());
        assert!(!bridge::remove(&bridge).unwrap());
        assert_eq!(Socket::open().unwrap().index_of(&bridge.name).unwrap(), None);
    });
}

#[test]
fn the_kernels_refusals_say_what_is_missing() {
    // A user namespace of another's has no power over this network namespace.
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    let error = host.run(|| {
        let none = rustix::thread::CapabilitySets {
            effective: rustix::thread::CapabilitySet::empty(),
            permitted: rustix::thread::CapabilitySet::empty(),
            inheritable: rustix::thread::CapabilitySet::empty(),
        };
        rustix::thread::set_capabilities(None, none).unwrap();
        bridge::ensure(&bridge).map(drop).unwrap_err()
    });
    assert_eq!(error.errno(), Some(rustix::io::Errno::PERM));
    let text = error.to_string();
    assert!(text.contains("cannot create the bridge bhtest1") && text.contains("CAP_NET_ADMIN"), "{text}");
}

#[test]
fn a_bridge_of_somebody_else_s_stays_as_it_was() {
    let (host, bridge) = (Namespace::host(), a_dual_bridge(1));
    let made =
        "ip link add bhtest1 type bridge; ip address add 192.0.2.77/24 dev bhtest1; ip link set bhtest1 up";
    host.output("sh", &["-ec", made]);
    host.run(|| {
        ensure(&bridge);
        assert_eq!(describe(&bridge).1.len(), 5);
        assert!(!bridge::remove(&bridge).unwrap());
        let kept: Vec<String> = describe(&bridge).1.iter().map(|one| one.address.to_string()).collect();
        assert!(kept.contains(&"192.0.2.77/24".to_owned()), "{kept:?}");
        assert!(
            !kept
                .iter()
                .any(|one| one.contains("77:1:") || one.starts_with("10.") || one.starts_with("fe80::42:a")),
            "{kept:?}"
        );
    });
}

#[test]
fn no_bridge_has_the_name_of_a_container_s_link() {
    let bridge = Bridge { name: "bhp0".to_owned(), ..a_bridge(1) };
    let error = Namespace::host().run(|| bridge::ensure(&bridge).map(drop).unwrap_err().to_string());
    assert!(error.contains("the names of containers' links"), "{error}");
}
