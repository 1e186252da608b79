//! Taking ports, and who is in the way.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bulkhead_isolation::Result;
use bulkhead_network::firewall::Protocol;
use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};

use super::{on_a_host, ourselves, publish, said};
use crate::networks::ports::{Lease, take};
use crate::networks::{Publish, published};

const RUNNING: &str = r#"{"state":"running","first":null,"supervisor":{"pid":7,"started":8,"boot":"b"},"started_at":"2026-01-01T00:00:00Z","finished_at":null,"exit_code":0,"oom_killed":false,"error":""}"#;

fn taken(publish: &[Publish]) -> Result<Vec<Lease>> {
    take(publish, Path::new("/none"))
}

/// Why that cannot be had.
fn refused(publish: &[Publish]) -> String {
    taken(publish).err().expect("it is not free").message
}

fn tcp(address: Option<&str>, port: u16) -> Publish {
    publish(address, (port, port), 80, Protocol::Tcp)
}

#[test]
fn without_an_address_both_families_have_the_port_and_nobody_else_can() {
    on_a_host(|| {
        let leases = taken(&[tcp(None, 8080)]).unwrap();
        let addresses: Vec<String> = leases.iter().map(|lease| lease.address.to_string()).collect();
        assert_eq!(addresses, ["0.0.0.0", "::"]);
        for address in ["0.0.0.0", "127.0.0.1", "::", "::1"] {
            refused(&[tcp(Some(address), 8080)]);
            assert!(TcpListener::bind((address, 8080)).is_err(), "{address}: {:?}", leases.len());
        }
        assert!(TcpStream::connect("127.0.0.1:8080").is_err(), "it is kept, and not listened at");
        // Of the other protocol it is free, and of one address others are.
        taken(&[publish(None, (8080, 8080), 80, Protocol::Udp)]).unwrap();
        let one = taken(&[tcp(Some("127.0.0.1"), 8081)]).unwrap();
        taken(&[tcp(Some("127.0.0.2"), 8081)]).unwrap();
        drop((leases, one));
        taken(&[tcp(None, 8080), tcp(None, 8081)]).unwrap();
    });
}

#[test]
fn a_taken_port_is_dockers_error_and_names_the_process_and_nothing_stays_behind() {
    on_a_host(|| {
        let server = TcpListener::bind("0.0.0.0:8080").unwrap();
        let error = refused(&[tcp(None, 8079), tcp(None, 8080)]);
        let start = "Bind for 0.0.0.0:8080 failed: port is already allocated: process ";
        assert!(error.starts_with(&format!("{start}{} (", std::process::id())), "{error}");
        assert!(error.ends_with(") has it"), "{error}");
        // Neither the ports before it nor the other family's half.
        drop(server);
        taken(&[tcp(None, 8079), tcp(None, 8080)]).unwrap();

        let _server = UdpSocket::bind("[::1]:53").unwrap();
        let error = refused(&[publish(None, (53, 53), 53, Protocol::Udp)]);
        let start = "Bind for [::]:53 failed: port is already allocated: process ";
        assert!(error.starts_with(&format!("{start}{} (", std::process::id())), "{error}");
    });
}

#[test]
fn a_taken_port_names_the_container_or_the_same_containers_other_port() {
    on_a_host(|| {
        let folder = tempfile::tempdir().unwrap();
        let container = folder.path().join("container");
        fs::create_dir(&container).unwrap();
        fs::write(container.join("status.json"), RUNNING).unwrap();
        let mut holder = said("web", "ab", ourselves(), "0.0.0.0", 8080);
        holder.folder = container.to_str().unwrap().into();
        let _theirs = taken(&[tcp(None, 8080)]).unwrap();
        published::write(folder.path(), &holder).unwrap();
        let refused = |publish: &[Publish]| take(publish, folder.path()).err().unwrap().message;
        assert_eq!(
            refused(&[tcp(Some("127.0.0.1"), 8080)]),
            "Bind for 127.0.0.1:8080 failed: port is already allocated: container web (abababababab) has it"
        );
        assert_eq!(
            refused(&[tcp(None, 8081), publish(Some("::1"), (8081, 8081), 81, Protocol::Tcp)]),
            "Bind for [::1]:8081 failed: port is already allocated: this container has it for its port 80/tcp"
        );
    });
}

#[test]
fn the_port_of_a_container_that_has_ended_is_waited_for() {
    on_a_host(|| {
        let folder = tempfile::tempdir().unwrap();
        let theirs = taken(&[tcp(None, 8080)]).unwrap();
        // Removed already, while its supervisor still clears away.
        published::write(folder.path(), &said("web", "ab", ourselves(), "0.0.0.0", 8080)).unwrap();
        let theirs: Vec<OwnedFd> =
            theirs.into_iter().map(|lease| Rc::try_unwrap(lease.socket).unwrap()).collect();
        let clearing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(theirs);
        });
        take(&[tcp(None, 8080)], folder.path()).unwrap();
        clearing.join().unwrap();
    });
}

#[test]
fn a_range_gives_its_first_free_port_and_an_error_when_there_is_none() {
    on_a_host(|| {
        let _server = TcpListener::bind("127.0.0.1:8000").unwrap();
        let range = || publish(None, (8000, 8002), 80, Protocol::Tcp);
        let leases = taken(&[range(), range()]).unwrap();
        let ports: Vec<u16> = leases.iter().map(|lease| lease.port).collect();
        assert_eq!(ports, [8001, 8001, 8002, 8002]);
        assert_eq!(refused(&[range()]), "Bind for 0.0.0.0:8000-8002 failed: all ports are allocated");
        let error = refused(&[publish(None, (8002, 8000), 80, Protocol::Tcp)]);
        assert!(error.contains("8002-8000: a range begins with its lowest port"), "{error}");
    });
}

#[test]
fn any_port_is_the_same_for_both_families_and_each_time_another() {
    on_a_host(|| {
        let any = publish(None, (0, 0), 80, Protocol::Tcp);
        let leases = taken(&vec![any; 50]).unwrap();
        let ports: BTreeSet<u16> = leases.iter().map(|lease| lease.port).collect();
        assert_eq!((leases.len(), ports.len()), (100, 50));
        for pair in leases.chunks(2) {
            assert!(pair[0].port == pair[1].port && pair[0].address.is_ipv4() && pair[1].address.is_ipv6());
        }
        let one = taken(&[publish(Some("::1"), (0, 0), 53, Protocol::Udp)]).unwrap();
        assert_eq!(one[0].address, IpAddr::V6(Ipv6Addr::LOCALHOST));
    });
}

#[test]
fn what_is_left_of_old_connections_keeps_nobody_from_a_port_but_it_is_still_kept_from_others() {
    on_a_host(|| {
        // The server closes first, so that its side waits (TIME_WAIT).
        let server = TcpListener::bind("127.0.0.1:8080").unwrap();
        let mut client = TcpStream::connect("127.0.0.1:8080").unwrap();
        drop(server.accept().unwrap());
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop((client, server));
        let plain = |reuse: bool| {
            let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            sockopt::set_socket_reuseaddr(&socket, reuse).unwrap();
            bind(&socket, &std::net::SocketAddr::from(([0, 0, 0, 0], 8080))).map(|()| socket)
        };
        assert!(plain(false).is_err(), "there is something left");
        let leases = taken(&[tcp(None, 8080)]).unwrap();
        assert!(plain(true).is_err(), "though it would share");
        assert!(TcpStream::connect("127.0.0.1:8080").is_err());
        drop(leases);
        assert!(plain(true).is_ok());
    });
}

#[test]
fn where_there_is_no_ipv6_nobody_asked_for_it() {
    on_a_host(|| {
        fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
        for ports in [(8080, 8080), (0, 0)] {
            let leases = taken(&[publish(None, ports, 80, Protocol::Tcp)]).unwrap();
            assert!(leases.len() == 1 && leases[0].address.is_ipv4());
        }
        let error = refused(&[tcp(Some("::1"), 8080)]);
        assert!(error.ends_with(": the host does not have that address"), "{error}");
    });
}

#[test]
fn what_cannot_be_had_is_said_in_a_sentence() {
    on_a_host(|| {
        let error = refused(&[tcp(Some("192.0.2.7"), 8080)]);
        assert_eq!(
            error,
            "cannot publish port 8080/tcp at 192.0.2.7: cannot assign requested address: the host does not have that \
             address"
        );
        let error = refused(&[tcp(Some("2001:db8::7"), 8080)]);
        assert!(error.starts_with("cannot publish port 8080/tcp at [2001:db8::7]: "), "{error}");
    });
}
