//! Network namespaces for tests: each test makes its own "host" and "containers", and they end with it. The machine's
//! own namespace is never used.
// Not each test uses all of it; and outside of test functions clippy takes this for production code.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub(crate) mod traffic;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::thread;
use std::time::Duration;

use bulkhead_network::bridge::{self, Bridge, Policy};
use bulkhead_network::endpoint::{self, Endpoint, Uplink};
use bulkhead_network::firewall::{self, Presence};
use bulkhead_network::mac;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// A network namespace that lives as long as this value.
pub(crate) struct Namespace(OwnedFd);

impl Namespace {
    /// Makes one, with nothing up.
    pub(crate) fn new() -> Self {
        // A thread of its own, so that nobody else's namespace changes. Deprecated is only its use with flags that
        // are shared memory's (CLONE_FILES).
        #[expect(deprecated)]
        let made = thread::spawn(|| {
            rustix::thread::unshare(UnshareFlags::NEWNET)
                .expect("tests need root, for namespaces of their own");
            rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .unwrap()
        });
        Self(made.join().unwrap())
    }

    /// One that somebody else made.
    pub(crate) fn of(netns: OwnedFd) -> Self {
        Self(netns)
    }

    /// Makes one whose loopback device is up: a host.
    pub(crate) fn host() -> Self {
        let host = Self::new();
        host.run(|| endpoint::loopback_up(host.fd())).unwrap();
        host
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Runs something inside of it.
    pub(crate) fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let running = scope.spawn(|| {
                move_into_link_name_space(self.fd(), Some(LinkNameSpaceType::Network)).unwrap();
                inside()
            });
            running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs a program inside of it and gives what it printed.
    pub(crate) fn output(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(|| Command::new(program).args(arguments).output().unwrap());
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {text}");
        text
    }
}

/// A bridge 10.77.N.1/24.
pub(crate) fn a_bridge(number: u8) -> Bridge {
    let own = format!("10.77.{number}.1/24").parse().unwrap();
    Bridge { name: format!("bhtest{number}"), addresses: vec![own], mtu: 1500, policy: Policy::default() }
}

/// The same with IPv6, fd77:N::1/64.
pub(crate) fn a_dual_bridge(number: u8) -> Bridge {
    let mut bridge = a_bridge(number);
    bridge.addresses.push(format!("fd77:{number}::1/64").parse().unwrap());
    bridge
}

/// The container with the last byte `last` on that bridge.
pub(crate) fn an_endpoint(bridge: &Bridge, last: u8) -> Endpoint {
    let own = bridge.ipv4().unwrap();
    let [a, b, c, _] = own.addr().octets();
    let address = Ipv4Addr::new(a, b, c, last);
    Endpoint {
        uplink: Uplink::Bridge {
            name: bridge.name.clone(),
            host_link: endpoint::host_link_name(&format!("{}-{last}", bridge.name)),
            isolated: !bridge.policy.icc,
        },
        container_link: "eth0".to_owned(),
        mac: mac::of_address(address),
        addresses: bridge.addresses.iter().map(|own| beside(*own, last)).collect(),
        gateways: bridge.addresses.iter().map(IpNet::addr).collect(),
        mtu: bridge.mtu,
    }
}

/// The address with the last byte `last` in the same subnet.
fn beside(own: IpNet, last: u8) -> IpNet {
    match own {
        IpNet::V4(own) => {
            let [a, b, c, _] = own.addr().octets();
            Ipv4Net::new([a, b, c, last].into(), own.prefix_len()).unwrap().into()
        }
        IpNet::V6(own) => {
            let mut octets = own.addr().octets();
            octets[15] = last;
            Ipv6Net::new(octets.into(), own.prefix_len()).unwrap().into()
        }
    }
}

/// The bridge's IPv4 address.
pub(crate) fn gateway(bridge: &Bridge) -> Ipv4Addr {
    bridge.ipv4().unwrap().addr()
}

/// The container's IPv4 address.
pub(crate) fn ipv4(place: &Endpoint) -> Ipv4Addr {
    let found = place.addresses.iter().find_map(|address| match address {
        IpNet::V4(address) => Some(address.addr()),
        IpNet::V6(_) => None,
    });
    found.unwrap()
}

/// The container's IPv6 address.
pub(crate) fn ipv6(place: &Endpoint) -> IpAddr {
    place.addresses.iter().map(IpNet::addr).find(IpAddr::is_ipv6).unwrap()
}

/// The near end of its pair.
pub(crate) fn host_link(place: &Endpoint) -> &str {
    match &place.uplink {
        Uplink::Bridge { host_link, .. } => host_link,
        Uplink::Macvlan { .. } => panic!("not on a bridge"),
    }
}

/// Makes sure of a bridge, with the firewall's table.
pub(crate) fn ensure(bridge: &Bridge) {
    let _ = bridge::ensure(bridge).unwrap();
}

/// A new container on a bridge of `host`, which the firewall lets send.
pub(crate) fn a_container(host: &Namespace, bridge: &Bridge, last: u8) -> (Namespace, Endpoint) {
    let container = Namespace::new();
    let place = an_endpoint(bridge, last);
    host.run(|| {
        endpoint::attach(container.fd(), &place).unwrap();
        firewall::admit(&presence(&place)).unwrap();
    });
    (container, place)
}

/// What a container has in the firewall, but for ports.
pub(crate) fn presence(place: &Endpoint) -> Presence {
    Presence { senders: place.senders(), ports: Vec::new() }
}

/// Another machine, on a link of the host's that is none of our bridges: the host has 192.0.2.1 and 2001:db8::1 there,
/// the machine 192.0.2.2 and 2001:db8::2, and routes to all networks of these tests by the host.
pub(crate) fn a_machine(host: &Namespace) -> Namespace {
    let machine = Namespace::host();
    let script = "
        ip link add outside type veth peer name inside
        ip link set outside netns /proc/self/fd/9
        ip address add 192.0.2.1/24 dev inside
        ip address add 2001:db8::1/64 dev inside nodad
        ip link set inside up
        exec nsenter --net=/proc/self/fd/9 sh -ec '
            ip address add 192.0.2.2/24 dev outside
            ip address add 2001:db8::2/64 dev outside nodad
            ip link set outside up
            ip route add 10.77.0.0/16 via 192.0.2.1
            ip route add fd77::/16 via 2001:db8::1'";
    let netns = format!("/proc/{}/fd/{}", std::process::id(), machine.fd().as_raw_fd());
    let script = script.replace("/proc/self/fd/9", &netns);
    host.output("sh", &["-ec", &script]);
    machine
}

/// Whether packets within the host's bridges pass its firewall.
pub(crate) fn bridges_call_firewall(host: &Namespace, do_they: bool) {
    host.run(|| {
        for name in ["iptables", "ip6tables"] {
            let path = format!("/proc/sys/net/bridge/bridge-nf-call-{name}");
            if std::path::Path::new(&path).exists() {
                std::fs::write(path, if do_they { "1" } else { "0" }).unwrap();
            }
        }
    });
}

/// A UDP socket inside of a namespace that gives up after some seconds.
pub(crate) fn udp(namespace: &Namespace, address: impl Into<IpAddr>) -> UdpSocket {
    let address = address.into();
    let socket = namespace.run(|| UdpSocket::bind((address, 0)).unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

/// Sends a packet from one to the other; gives the address that it came from.
pub(crate) fn send(from: &UdpSocket, to: &UdpSocket) -> std::io::Result<SocketAddr> {
    from.send_to(b"flood", to.local_addr()?)?;
    let mut buffer = [0; 64];
    let (length, sender) = to.recv_from(&mut buffer)?;
    assert_eq!(&buffer[..length], b"flood");
    Ok(sender)
}
