//! The proxy, from clients of IPv6 to servers of IPv4.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bulkhead_network::firewall::Protocol;
use rustix::event::{PollFd, Timespec, poll};

use super::{on_a_host, publish};
use crate::networks::ports::take;
use crate::networks::proxy::{Proxy, Way};

const PATIENCE: Duration = Duration::from_secs(20);

/// Serves `[::1]:PORT` as a supervisor does while `test` runs, and gives what is left of the proxy.
fn served<T: Send>(
    protocol: Protocol,
    to: SocketAddr,
    most: usize,
    test: impl FnOnce(SocketAddr) -> T + Send,
) -> T {
    let leases = take(&[publish(Some("::1"), (0, 0), 80, protocol)], Path::new("/none")).unwrap();
    let [lease] = leases.as_slice() else { panic!("one port was asked for") };
    let mut proxy = Proxy::default();
    assert!(proxy.due().is_none());
    proxy.watch(|_, _, _| panic!("nothing is watched without ports"));
    proxy.serve(&[Way { socket: Rc::clone(&lease.socket), protocol, to }]).unwrap();
    proxy.allow(most);
    let at = SocketAddr::new(lease.address, lease.port);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (over, test) = (
            &over,
            scope.spawn(|| {
                let over = Over(&over);
                let result = test(at);
                drop(over);
                result
            }),
        );
        let mut turns = 0u64;
        while !over.load(Ordering::Relaxed) {
            let ready: Vec<_> = {
                let (mut wanted, mut tokens) = (Vec::new(), Vec::new());
                proxy.watch(|fd, flags, token| {
                    wanted.push(PollFd::from_borrowed_fd(fd, flags));
                    tokens.push(token);
                });
                poll(&mut wanted, Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 })).unwrap();
                wanted
                    .iter()
                    .map(|fd| !fd.revents().is_empty())
                    .zip(tokens)
                    .filter(|(ready, _)| *ready)
                    .collect()
            };
            for (_, token) in ready {
                proxy.handle(token);
            }
            proxy.tidy();
            turns += 1;
            assert!(turns < 1_000_000, "it turns without doing anything");
        }
        test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The loop ends with the test, however that ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn connect(at: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(at).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    client
}

fn accept(server: &TcpListener) -> TcpStream {
    let (stream, from) = server.accept().unwrap();
    assert!(from.is_ipv4());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn a_server() -> (TcpListener, SocketAddr) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap();
    (server, at)
}

#[test]
fn bytes_and_the_ends_of_both_ways_arrive() {
    on_a_host(|| {
        let (server, to) = a_server();
        let sent: Vec<u8> =
            (0..3_000_000u32).map(|number| number.to_le_bytes()[(number % 3) as usize]).collect();
        served(Protocol::Tcp, to, 8, |at| {
            std::thread::scope(|scope| {
                let sent = &sent;
                scope.spawn(move || {
                    let mut stream = accept(&server);
                    let mut heard = Vec::new();
                    // Only an end that is passed on ends this; and the other way goes on.
                    stream.read_to_end(&mut heard).unwrap();
                    assert!(heard == *sent);
                    heard.reverse();
                    stream.write_all(&heard).unwrap();
                });
                let mut client = connect(at);
                client.write_all(sent).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).unwrap();
                assert!(answer.len() == sent.len() && answer.iter().rev().eq(sent));
            });
        });
    });
}

#[test]
fn one_that_takes_nothing_holds_back_nobody_else() {
    on_a_host(|| {
        let (server, to) = a_server();
        served(Protocol::Tcp, to, 8, |at| {
            let slow = connect(at);
            let mut to_slow = accept(&server);
            to_slow.set_nonblocking(true).unwrap();
            // As much as everything between them holds.
            let mut held = 0;
            while let Ok(count) = to_slow.write(&[7; 65_536]) {
                held += count;
            }
            assert!(held > 0);
            for _ in 0..10 {
                let mut client = connect(at);
                let mut stream = accept(&server);
                client.write_all(b"ping").unwrap();
                let mut heard = [0; 4];
                stream.read_exact(&mut heard).unwrap();
                stream.write_all(&heard).unwrap();
                client.read_exact(&mut heard).unwrap();
                assert_eq!(&heard, b"ping");
            }
            drop(slow);
        });
    });
}

#[test]
fn a_broken_side_breaks_the_other() {
    on_a_host(|| {
        let (server, to) = a_server();
        served(Protocol::Tcp, to, 8, |at| {
            // The client's.
            let client = connect(at);
            let mut stream = accept(&server);
            rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
            drop(client);
            assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
            // There is no server any more.
            drop((server, stream));
            let mut client = connect(at);
            assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        });
    });
}

#[test]
fn who_comes_when_there_are_too_many_waits_for_one_to_go() {
    on_a_host(|| {
        let (server, to) = a_server();
        served(Protocol::Tcp, to, 2, |at| {
            let clients: Vec<TcpStream> = (0..3).map(|_| connect(at)).collect();
            let first = accept(&server);
            let second = accept(&server);
            server.set_nonblocking(true).unwrap();
            assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
            server.set_nonblocking(false).unwrap();
            drop((clients, first));
            drop(accept(&server));
            drop(second);
        });
    });
}

#[test]
fn datagrams_come_and_the_answers_go_to_whoever_asked() {
    on_a_host(|| {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        served(Protocol::Udp, server.local_addr().unwrap(), 8, |at| {
            let clients: Vec<UdpSocket> = (0..5)
                .map(|_| {
                    let client = UdpSocket::bind("[::1]:0").unwrap();
                    client.set_read_timeout(Some(PATIENCE)).unwrap();
                    client.connect(at).unwrap();
                    client
                })
                .collect();
            let large = vec![9; 60_000];
            for (number, client) in (0u8..).zip(&clients) {
                client.send(&[number]).unwrap();
            }
            clients[0].send(&large).unwrap();
            let mut buffer = vec![0; 65_535];
            let mut froms = std::collections::BTreeSet::new();
            for _ in 0..6 {
                let (length, from) = server.recv_from(&mut buffer).unwrap();
                froms.insert(from);
                if length == 1 {
                    server.send_to(&[buffer[0] + 100], from).unwrap();
                } else {
                    assert_eq!(length, 60_000);
                }
            }
            assert_eq!(froms.len(), 5, "each client has a socket of its own");
            for (number, client) in (0u8..).zip(&clients) {
                assert_eq!(client.recv(&mut buffer).unwrap(), 1);
                assert_eq!(buffer[0], number + 100);
            }
        });
    });
}

#[test]
fn clients_of_datagrams_are_bounded_and_forgotten() {
    on_a_host(|| {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let leases = take(&[publish(Some("::1"), (0, 0), 80, Protocol::Udp)], Path::new("/none")).unwrap();
        let way = Way {
            socket: Rc::clone(&leases[0].socket),
            protocol: Protocol::Udp,
            to: server.local_addr().unwrap(),
        };
        let mut proxy = Proxy::default();
        proxy.serve(&[way]).unwrap();
        let watched = |proxy: &Proxy| {
            let mut tokens = Vec::new();
            proxy.watch(|_, _, token| tokens.push(token));
            tokens
        };
        assert!(proxy.due().is_none(), "a port alone wakes nobody");
        for _ in 0..300 {
            let client = UdpSocket::bind("[::1]:0").unwrap();
            client.send_to(b"x", ("::1", leases[0].port)).unwrap();
            proxy.handle(watched(&proxy)[0]);
        }
        assert_eq!(watched(&proxy).len(), 1 + 256);
        let due = proxy.due().unwrap();
        assert!(due > Instant::now());
        proxy.forget(due + PATIENCE * 100);
        assert_eq!(watched(&proxy).len(), 1);
        proxy.serve(&[]).unwrap();
        assert!(watched(&proxy).is_empty() && proxy.due().is_none());
    });
}
