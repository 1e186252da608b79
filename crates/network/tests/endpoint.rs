//! Containers on a bridge reach each other and the host, with what their endpoint says.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

use bulkhead_network::endpoint::{self, Endpoint, MacvlanMode, Uplink};
use bulkhead_network::firewall;
use bulkhead_network::netlink::Socket;
use bulkhead_network::{address, link, route};
use support::{
    Namespace, a_bridge, a_container, a_dual_bridge, a_machine, an_endpoint, ensure, gateway, host_link,
    ipv4, ipv6, presence, send, udp,
};

#[test]
fn two_containers_and_the_host_exchange_packets() {
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.run(|| ensure(&bridge));
    let (a, place_a) = a_container(&host, &bridge, 2);
    let (b, place_b) = a_container(&host, &bridge, 3);

    let in_a = udp(&a, ipv4(&place_a));
    let in_b = udp(&b, ipv4(&place_b));
    let on_host = udp(&host, gateway(&bridge));
    assert_eq!(send(&in_a, &in_b).unwrap(), in_a.local_addr().unwrap());
    assert_eq!(send(&in_b, &in_a).unwrap(), in_b.local_addr().unwrap());
    assert_eq!(send(&in_a, &on_host).unwrap(), in_a.local_addr().unwrap());
    assert_eq!(send(&on_host, &in_b).unwrap(), on_host.local_addr().unwrap());
}

#[test]
fn tcp_carries_a_megabyte_between_containers() {
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.run(|| ensure(&bridge));
    let (a, place_a) = a_container(&host, &bridge, 2);
    let (b, _) = a_container(&host, &bridge, 3);

    let listener = a.run(|| TcpListener::bind((ipv4(&place_a), 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let data = vec![0x5a; 1 << 20];
    let received = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut received = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
            received
        });
        let mut stream = b.run(|| TcpStream::connect(address)).unwrap();
        stream.write_all(&data).unwrap();
        drop(stream);
        receiver.join().unwrap()
    });
    assert!(received == data);
}

#[test]
fn the_container_has_what_its_endpoint_says() {
    let (host, mut bridge) = (Namespace::host(), a_bridge(1));
    bridge.mtu = 1400;
    host.run(|| ensure(&bridge));
    let (container, place) = a_container(&host, &bridge, 9);

    container.run(|| {
        let mut socket = Socket::open().unwrap();
        let eth0 = link::find(&mut socket, "eth0").unwrap().unwrap();
        assert_eq!((eth0.kind.as_str(), eth0.mtu, eth0.up), ("veth", 1400, true));
        assert!(link::find(&mut socket, "lo").unwrap().unwrap().up);
        let addresses = address::list(&mut socket).unwrap();
        assert!(addresses.contains(&address::Address { index: eth0.index, address: place.addresses[0] }));
        // The network's route; the default route is none of a list's.
        assert_eq!(route::list(&mut socket).unwrap(), [bridge.ipv4().unwrap().trunc()]);
    });
    host.run(|| {
        let mut socket = Socket::open().unwrap();
        let index = socket.index_of(&bridge.name).unwrap();
        let near = link::find(&mut socket, host_link(&place)).unwrap().unwrap();
        assert_eq!((near.mtu, near.up, near.master), (1400, true, index));
        assert_eq!(link::find(&mut socket, &bridge.name).unwrap().unwrap().mtu, 1400);
    });
    let described = container.output("ip", &["-o", "link", "show", "eth0"]);
    assert!(described.contains("02:42:0a:4d:01:09"), "{described}");
    // No IPv6 on a network without IPv6: no way around what is said about IPv4.
    assert_eq!(container.output("ip", &["-6", "-o", "address", "show", "dev", "eth0"]), "");
    assert_eq!(host.output("ip", &["-6", "-o", "address", "show", "dev", &bridge.name]), "");
    assert_eq!(host.output("ip", &["-6", "-o", "address", "show", "dev", host_link(&place)]), "");
    assert!(container.output("ip", &["route"]).contains("default via 10.77.1.1 dev eth0"));
}

#[test]
fn a_namespace_with_loopback_only() {
    let alone = Namespace::new();
    let caller = Namespace::new();
    caller.run(|| endpoint::loopback_up(alone.fd())).unwrap();
    let socket = udp(&alone, Ipv4Addr::LOCALHOST);
    send(&socket, &socket).unwrap();
    // The caller is where it was, and nothing is up there.
    let error = caller.run(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.send_to(b"x", "127.0.0.1:9"));
    assert!(error.is_err());
}

#[test]
fn the_pair_goes_with_its_namespace_and_a_leftover_is_no_obstacle() {
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.run(|| ensure(&bridge));
    let (gone, place) = a_container(&host, &bridge, 2);
    // The kernel takes the old pair away some time after this; the restarted container does not wait for it.
    drop(gone);
    let (back, _) = a_container(&host, &bridge, 2);
    let (inside, on_host) = (udp(&back, ipv4(&place)), udp(&host, gateway(&bridge)));
    send(&inside, &on_host).unwrap();
}

#[test]
fn errors_are_sentences_that_name_the_object() {
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    let container = Namespace::new();
    let attach = |place: &endpoint::Endpoint| {
        host.run(|| endpoint::attach(container.fd(), place)).map_err(|e| e.to_string())
    };

    let place = an_endpoint(&bridge, 2);
    let error = attach(&place).unwrap_err();
    assert!(error.contains("no network link bhtest1 in the host's network namespace"), "{error}");

    host.run(|| ensure(&bridge));
    let mut bad = place.clone();
    bad.uplink = Uplink::Bridge {
        name: bridge.name.clone(),
        host_link: "a-name-of-sixteen".to_owned(),
        isolated: false,
    };
    let error = attach(&bad).unwrap_err();
    assert!(error.contains("\"a-name-of-sixteen\"") && error.contains("longer than 15"), "{error}");

    let mut bad = place.clone();
    bad.gateways = vec![Ipv4Addr::new(10, 88, 0, 1).into()];
    let error = attach(&bad).unwrap_err();
    assert!(error.contains("default route over the link eth0"), "{error}");
    assert!(error.contains("Nexthop has invalid gateway"), "the kernel's own words: {error}");

    // eth0 is there now.
    let mut second = an_endpoint(&bridge, 3);
    second.mac = [2; 6];
    let error = attach(&second).unwrap_err();
    assert!(error.contains("cannot create the veth link bh"), "{error}");

    let no_namespace = std::fs::File::open("/dev/null").unwrap();
    let error = host.run(|| endpoint::loopback_up(std::os::fd::AsFd::as_fd(&no_namespace))).unwrap_err();
    assert!(error.to_string().contains("cannot enter the container's network namespace"), "{error}");
    assert!(!error.is_fatal());
}

#[test]
fn two_networks_at_once() {
    let host = Namespace::host();
    let (front, back) = (a_bridge(1), a_bridge(2));
    host.run(|| {
        ensure(&front);
        ensure(&back);
    });
    let (container, _) = a_container(&host, &front, 2);
    let (other, other_place) = a_container(&host, &back, 3);
    // A second endpoint of the same container has another name, and no second default route.
    let mut second = an_endpoint(&back, 2);
    second.container_link = "eth1".to_owned();
    let error = host.run(|| endpoint::attach(container.fd(), &second)).unwrap_err();
    assert_eq!(error.errno(), Some(rustix::io::Errno::EXIST), "{error}");
    host.run(|| firewall::admit(&presence(&second)).unwrap());
    let inside = udp(&container, ipv4(&second));
    assert_eq!(send(&inside, &udp(&other, ipv4(&other_place))).unwrap(), inside.local_addr().unwrap());
}

#[test]
fn forty_at_once_all_reach_the_gateway() {
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.run(|| ensure(&bridge));
    let on_host = udp(&host, gateway(&bridge));
    let gateway = on_host.local_addr().unwrap();
    std::thread::scope(|scope| {
        for worker in 0..8u8 {
            let (host, bridge) = (&host, &bridge);
            scope.spawn(move || {
                for number in 0..5 {
                    let (container, place) = a_container(host, bridge, 2 + worker * 5 + number);
                    let inside = udp(&container, ipv4(&place));
                    inside.send_to(b"here", gateway).unwrap();
                    // Stays until the packet is out: the answer proves it.
                    inside.recv_from(&mut [0; 8]).unwrap();
                }
            });
        }
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 40 {
            let (_, sender) = on_host.recv_from(&mut [0; 8]).unwrap();
            on_host.send_to(b"seen", sender).unwrap();
            seen.insert(sender.ip());
        }
    });
}

#[test]
fn a_namespace_of_another_user_namespace_is_attached_the_same() {
    // As each container's is by default. A process makes it, since a thread cannot.
    let mut process = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-c", "echo ready; exec sleep 60"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    process.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    let netns = std::fs::File::open(format!("/proc/{}/ns/net", process.id())).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();

    let (host, bridge) = (Namespace::host(), a_bridge(1));
    let place = an_endpoint(&bridge, 2);
    host.run(|| {
        ensure(&bridge);
        endpoint::attach(std::os::fd::AsFd::as_fd(&netns), &place).unwrap();
        firewall::admit(&presence(&place)).unwrap();
    });
    let container = Namespace::of(netns.into());
    send(&udp(&container, ipv4(&place)), &udp(&host, gateway(&bridge))).unwrap();
}

#[test]
fn both_families_at_once() {
    let (host, bridge) = (Namespace::host(), a_dual_bridge(1));
    host.run(|| ensure(&bridge));
    let machine = a_machine(&host);
    let (a, place_a) = a_container(&host, &bridge, 2);
    let (b, place_b) = a_container(&host, &bridge, 3);
    let (in_a, in_b) = (udp(&a, ipv6(&place_a)), udp(&b, ipv6(&place_b)));
    assert_eq!(send(&in_a, &in_b).unwrap(), in_a.local_addr().unwrap());
    let outside = udp(&machine, "2001:db8::2".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(send(&in_a, &outside).unwrap().ip().to_string(), "2001:db8::1");
    let addresses = a.output("ip", &["-6", "-o", "address", "show", "dev", "eth0"]);
    assert!(
        addresses.contains("fd77:1::2/64") && addresses.contains("fe80::42:aff:fe4d:102/64"),
        "{addresses}"
    );
    assert!(!addresses.contains("tentative"), "{addresses}");
    assert!(a.output("ip", &["-6", "route"]).contains("default via fd77:1::1 dev eth0"));
    let expected: Vec<ipnet::Ipv6Net> = vec!["fd77:1::/64".parse().unwrap()];
    assert_eq!(a.run(|| route::list_ipv6(&mut Socket::open().unwrap()).unwrap()), expected);
}

#[test]
fn connected_and_disconnected_while_it_runs() {
    let host = Namespace::host();
    let (front, back) = (a_dual_bridge(1), a_dual_bridge(2));
    host.run(|| {
        ensure(&front);
        ensure(&back);
    });
    let (container, first) = a_container(&host, &front, 2);
    let (other, other_place) = a_container(&host, &back, 3);
    let mut second = an_endpoint(&back, 2);
    second.container_link = "eth1".to_owned();
    let gateways = std::mem::take(&mut second.gateways);
    host.run(|| {
        endpoint::attach(container.fd(), &second).unwrap();
        firewall::admit(&presence(&second)).unwrap();
    });
    let inside = udp(&container, ipv4(&second));
    send(&inside, &udp(&other, ipv4(&other_place))).unwrap();
    // Back to one network, and its gateways.
    host.run(|| {
        assert!(endpoint::detach(container.fd(), &first).unwrap());
        assert!(!endpoint::detach(container.fd(), &first).unwrap());
        second.gateways = gateways;
        endpoint::route_by(container.fd(), &second).unwrap();
        endpoint::route_by(container.fd(), &second).unwrap();
    });
    send(&inside, &udp(&other, ipv4(&other_place))).unwrap();
    let links = container.output("ip", &["-o", "link"]);
    assert!(links.contains("eth1") && !links.contains("eth0"), "{links}");
    assert!(container.output("ip", &["route"]).contains("default via 10.77.2.1 dev eth1"));
    assert!(container.output("ip", &["-6", "route"]).contains("default via fd77:2::1 dev eth1"));
}

#[test]
fn a_macvlan_is_a_machine_of_its_own_on_the_hosts_network() {
    let host = Namespace::host();
    let machine = a_machine(&host);
    let place = |last: u8, parent: &str, mode| Endpoint {
        uplink: Uplink::Macvlan { parent: parent.to_owned(), mode },
        container_link: "eth0".to_owned(),
        mac: [2, 0x42, 192, 0, 2, last],
        addresses: vec![
            format!("192.0.2.{last}/24").parse().unwrap(),
            format!("2001:db8::{last}/64").parse().unwrap(),
        ],
        gateways: vec!["192.0.2.1".parse().unwrap()],
        mtu: 1500,
    };
    let outside = udp(&machine, Ipv4Addr::new(192, 0, 2, 2));
    let container = Namespace::new();
    let first = place(50, "inside", MacvlanMode::Bridge);
    assert!(first.senders().is_empty());
    host.run(|| endpoint::attach(container.fd(), &first).unwrap());
    let inside = udp(&container, ipv4(&first));
    assert_eq!(send(&inside, &outside).unwrap(), inside.local_addr().unwrap());
    let described = container.output("ip", &["-d", "link", "show", "eth0"]);
    assert!(
        described.contains("macvlan mode bridge") && described.contains("02:42:c0:00:02:32"),
        "{described}"
    );
    assert!(host.run(|| endpoint::detach(container.fd(), &first).unwrap()));
    assert!(!container.output("ip", &["-o", "link"]).contains("eth0"));

    for (mode, text) in
        [(MacvlanMode::Private, "private"), (MacvlanMode::Vepa, "vepa"), (MacvlanMode::Passthru, "passthru")]
    {
        let container = Namespace::new();
        let place = place(51, "inside", mode);
        host.run(|| endpoint::attach(container.fd(), &place).unwrap());
        assert!(container.output("ip", &["-d", "link", "show", "eth0"]).contains(text));
        assert!(host.run(|| endpoint::detach(container.fd(), &place).unwrap()));
    }

    // A VLAN of a link that is there is made; of one that is not, it is an error.
    let tagged = Namespace::new();
    match host.run(|| endpoint::attach(tagged.fd(), &place(52, "inside.50", MacvlanMode::Bridge))) {
        Ok(()) => assert!(host.output("ip", &["-d", "link", "show", "inside.50"]).contains("id 50")),
        Err(error) => {
            // A kernel without VLANs says so, and of what.
            assert_eq!(error.errno(), Some(rustix::io::Errno::OPNOTSUPP), "{error}");
            assert!(error.to_string().contains("cannot create the VLAN link inside.50"), "{error}");
        }
    }
    for missing in ["nowhere", "nowhere.50", "inside.0", "inside.5000"] {
        let place = place(53, missing, MacvlanMode::Bridge);
        let error = host.run(|| endpoint::attach(Namespace::new().fd(), &place)).unwrap_err().to_string();
        assert!(error.contains(&format!("no network link {missing} in the host's")), "{error}");
    }
}

#[test]
fn names_are_asked_at_port_53_and_answered_from_there() {
    let container = Namespace::host();
    let service = udp(&container, Ipv4Addr::new(127, 0, 0, 11));
    let listener = container.run(|| TcpListener::bind("127.0.0.11:0")).unwrap();
    // The container has a name server of its own besides.
    let own = container.run(|| UdpSocket::bind("0.0.0.0:53")).unwrap();
    let (udp_port, tcp_port) = (service.local_addr().unwrap().port(), listener.local_addr().unwrap().port());
    for _ in 0..2 {
        endpoint::redirect_names(container.fd(), udp_port, tcp_port).unwrap();
    }
    let client = udp(&container, Ipv4Addr::LOCALHOST);
    client.connect("127.0.0.11:53").unwrap();
    client.send(b"who").unwrap();
    let mut text = [0; 8];
    let (_, from) = service.recv_from(&mut text).unwrap();
    service.send_to(b"me", from).unwrap();
    assert_eq!(client.recv(&mut text).unwrap(), 2);
    let mut stream = container.run(|| TcpStream::connect("127.0.0.11:53")).unwrap();
    let (mut accepted, _) = listener.accept().unwrap();
    accepted.write_all(b"me").unwrap();
    stream.read_exact(&mut text[..2]).unwrap();
    let other = udp(&container, Ipv4Addr::LOCALHOST);
    other.send_to(b"own", "127.0.0.1:53").unwrap();
    own.recv_from(&mut text).unwrap();
    let rules = container.output("nft", &["list", "ruleset"]);
    assert_eq!(rules.matches("dnat to 127.0.0.11").count(), 2, "{rules}");
}
