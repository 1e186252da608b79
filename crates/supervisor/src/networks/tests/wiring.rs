//! A container's place on its networks, from birth to end: links, firewall, file and ports together.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use bulkhead_network::bridge::{self, Bridge, Policy};
use bulkhead_network::firewall::Protocol;
use rustix::net::sockopt;

use super::{Namespace, membership, ourselves, publish, said};
use crate::networks::published::{self, read};
use crate::networks::{Membership, Publish, Wiring, read_published};

const ID: &str = "abababababababababababababababababababababababababababababababab";

/// The bridge of the network `number`, on this host.
fn a_bridge(number: u8) {
    let addresses = vec![
        format!("10.77.{number}.1/24").parse().unwrap(),
        format!("fd77:{number}::1/64").parse().unwrap(),
    ];
    let policy = Policy::default();
    let bridge = Bridge { name: format!("bhtest{number}"), addresses, mtu: 1500, policy };
    let _ = bridge::ensure(&bridge).unwrap();
}

fn wiring(state: &Path, memberships: Vec<Membership>, publish: &[Publish]) -> Wiring {
    let folder = state.join("published");
    Wiring::new((ID, "web", "/none"), folder, memberships, publish).unwrap()
}

fn links(namespace: &Namespace) -> Vec<String> {
    namespace.run(|| {
        let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        text.lines().skip(2).filter_map(|line| Some(line.trim().split_once(':')?.0.to_owned())).collect()
    })
}

/// What the program in `container` at its port 80 answers with to whoever comes to `at` on the host.
fn asked(host: &Namespace, container: &Namespace, at: &str) -> std::io::Result<()> {
    let server = container.run(|| TcpListener::bind("[::]:80"))?;
    let client = host.run(|| TcpStream::connect(at))?;
    let (met, _) = server.accept()?;
    sockopt::set_socket_linger(&met, Some(Duration::ZERO))?;
    drop(client);
    Ok(())
}

#[test]
fn networks_come_and_go_and_ports_follow() {
    let host = Namespace::host();
    let container = Namespace::new();
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("published");
    host.run(|| {
        a_bridge(1);
        a_bridge(2);
        let one = membership(1, &["10.77.1.2/24"], true);
        let two = membership(2, &["10.77.2.2/24"], false);
        let tcp = |port| publish(Some("127.0.0.1"), (port, port), 80, Protocol::Tcp);
        let mut wiring = wiring(state.path(), vec![one.clone()], &[tcp(8080), tcp(8081)]);
        assert!(!folder.exists(), "nothing is said before there is anything");
        wiring.connect_newborn(container.fd()).unwrap();
        assert_eq!(links(&container), ["lo", "eth0"]);
        let leads = || {
            let said = read_published(&folder, ID).unwrap().unwrap();
            let to: Vec<String> =
                said.ports.iter().map(|port| port.to.map_or("nowhere".into(), |to| to.to_string())).collect();
            assert_eq!(said.presence.ports.len(), to.iter().filter(|to| *to != "nowhere").count());
            to[0].clone()
        };
        assert_eq!(leads(), "10.77.1.2:80");
        asked(&host, &container, "127.0.0.1:8080").unwrap();

        wiring.join(container.fd(), two.clone()).unwrap();
        assert_eq!(links(&container), ["lo", "eth0", "eth1"]);
        assert_eq!(leads(), "10.77.1.2:80");
        // One that cannot be connected changes nothing.
        assert!(wiring.join(container.fd(), membership(3, &["10.77.3.2/24"], true)).is_err());
        assert_eq!((wiring.memberships.len(), leads().as_str()), (2, "10.77.1.2:80"));

        wiring.leave(container.fd(), 0).unwrap();
        assert_eq!(leads(), "10.77.2.2:80");
        asked(&host, &container, "127.0.0.1:8081").unwrap();
        wiring.leave(container.fd(), 0).unwrap();
        assert_eq!(links(&container), ["lo"]);
        assert_eq!(leads(), "nowhere");
        assert!(asked(&host, &container, "127.0.0.1:8080").is_err());
        wiring.join(container.fd(), one).unwrap();
        assert_eq!(leads(), "10.77.1.2:80");
        asked(&host, &container, "127.0.0.1:8080").unwrap();

        wiring.rename("renamed").unwrap();
        assert_eq!(read_published(&folder, ID).unwrap().unwrap().name, "renamed");
        wiring.withdraw();
        assert!(read(&folder.join(ID)).unwrap().is_none());
        assert_eq!(std::fs::read_dir(folder.join("ports")).unwrap().count(), 0);
        // Who has the port from now on is met there.
        let server = TcpListener::bind("127.0.0.1:8080").unwrap();
        server.set_nonblocking(true).unwrap();
        let client = TcpStream::connect("127.0.0.1:8080").unwrap();
        assert_eq!(server.accept().unwrap().1, client.local_addr().unwrap());
    });
}

#[test]
fn a_birth_that_fails_leaves_nothing() {
    let host = Namespace::host();
    let state = tempfile::tempdir().unwrap();
    let container = Namespace::new();
    host.run(|| {
        let tcp = publish(None, (8080, 8080), 80, Protocol::Tcp);
        let mut wiring = wiring(state.path(), vec![membership(1, &["10.77.1.2/24"], true)], &[tcp]);
        let error = wiring.connect_newborn(container.fd()).unwrap_err();
        assert_eq!(error.step, "network");
        assert!(error.message.contains("no network link bhtest1"), "{error}");
        drop(wiring);
        assert!(read(&state.path().join("published").join(ID)).unwrap().is_none());
        TcpListener::bind("0.0.0.0:8080").unwrap();
    });
}

#[test]
fn the_next_run_takes_over_what_the_last_one_left() {
    let host = Namespace::host();
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("published");
    let container = Namespace::new();
    host.run(|| {
        a_bridge(1);
        let one = membership(1, &["10.77.1.2/24"], true);
        // Two that are dead: the container's own last run, and another that had the port at another address.
        let dead = crate::status::ProcessId { started: 1, ..ourselves() };
        std::fs::create_dir_all(&folder).unwrap();
        let other = said("db", "cd", dead.clone(), "127.0.0.1", 8080);
        published::write(&folder, &other).unwrap();
        published::write(&folder, &said("web", "ab", dead, "0.0.0.0", 9090)).unwrap();
        let tcp = publish(None, (8080, 8080), 80, Protocol::Tcp);
        let mut wiring = wiring(state.path(), vec![one.clone()], &[tcp]);
        wiring.connect_newborn(container.fd()).unwrap();
        assert!(read(&folder.join(&other.id)).unwrap().is_none());
        let ports = std::fs::read_dir(folder.join("ports")).unwrap().map(|port| port.unwrap().file_name());
        assert_eq!(ports.collect::<Vec<_>>(), ["tcp-8080"]);

        // A run that is over takes nothing from the next one.
        let mut said = read_published(&folder, ID).unwrap().unwrap();
        said.supervisor.started += 1;
        published::write(&folder, &said).unwrap();
        wiring.withdraw();
        assert_eq!(read(&folder.join(ID)).unwrap(), Some(said));
        TcpListener::bind("0.0.0.0:8080").unwrap();
    });
}

#[test]
fn everybody_comes_by_a_port_of_both_families_whether_or_not_bridges_call_the_firewall() {
    for calls in ["0", "1"] {
        let host = Namespace::host();
        let container = Namespace::new();
        let state = tempfile::tempdir().unwrap();
        host.run(|| {
            for family in ["iptables", "ip6tables"] {
                let file = format!("/proc/sys/net/bridge/bridge-nf-call-{family}");
                // A kernel that cannot does not.
                if Path::new(&file).exists() {
                    std::fs::write(file, calls).unwrap();
                }
            }
            a_bridge(1);
            let tcp = publish(None, (8080, 8080), 80, Protocol::Tcp);
            let network = membership(1, &["10.77.1.2/24", "fd77:1::2/64"], true);
            let mut wiring = wiring(state.path(), vec![network], &[tcp]);
            wiring.connect_newborn(container.fd()).unwrap();
            for at in ["127.0.0.1:8080", "10.77.1.1:8080", "[fd77:1::1]:8080"] {
                asked(&host, &container, at).unwrap_or_else(|error| panic!("{at} with {calls}: {error}"));
            }
            // The kernel can, or else the proxy listens.
            let kernel = read_published(&state.path().join("published"), ID).unwrap().unwrap().presence.ports;
            let mut proxied = 0;
            wiring.proxy.watch(|_, _, _| proxied += 1);
            assert_eq!((kernel.len(), proxied), if calls == "0" { (3, 0) } else { (2, 1) });
            if calls == "0" {
                asked(&host, &container, "[::1]:8080").unwrap();
            }
            // By the host's address, to itself.
            for at in ["10.77.1.1:8080", "[fd77:1::1]:8080"] {
                asked(&container, &container, at)
                    .unwrap_or_else(|error| panic!("{at} with {calls}: {error}"));
            }
        });
    }
}

#[test]
fn datagrams_of_a_client_that_was_there_before_come_too_and_go_nowhere_after() {
    let host = Namespace::host();
    let container = Namespace::new();
    let state = tempfile::tempdir().unwrap();
    host.run(|| {
        a_bridge(1);
        let udp = publish(None, (5300, 5300), 53, Protocol::Udp);
        let network = membership(1, &["10.77.1.2/24"], true);
        let mut wiring = wiring(state.path(), vec![network], &[udp]);
        // It goes on asking from the same port, and the host knows the way that it took.
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.send_to(b"early", "127.0.0.1:5300").unwrap();
        wiring.connect_newborn(container.fd()).unwrap();
        let server = container.run(|| UdpSocket::bind("0.0.0.0:53")).unwrap();
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.send_to(b"now", "127.0.0.1:5300").unwrap();
        let mut buffer = [0; 16];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"now");
        server.send_to(b"answer", from).unwrap();
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from.to_string().as_str()), (&b"answer"[..], "127.0.0.1:5300"));

        wiring.withdraw();
        let other = UdpSocket::bind("127.0.0.1:5300").unwrap();
        other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.send_to(b"after", "127.0.0.1:5300").unwrap();
        let (length, from) = other.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (&b"after"[..], client.local_addr().unwrap()));
    });
}
