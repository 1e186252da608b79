//! A host, containers and resolvers for the tests of [`super`]. The machine's own namespace is never used.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bulkhead_network::endpoint::loopback_up;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use rustix::event::{PollFd, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::super::Names;
use crate::networks::{Membership, NameService, Upstream};

pub(super) const SERVICE: &str = "127.0.0.11:53";
/// How long an answer may take that must come: longer than two silent rounds.
const LONG: Duration = Duration::from_secs(20);
/// How often a loop looks whether it is to end.
const TICK: Duration = Duration::from_millis(20);

pub(super) fn query(name: &str, kind: RecordType) -> Message {
    crate::names::answer::tests::query(name, kind)
}

/// A network namespace whose loopback link is up.
pub(super) struct Namespace(OwnedFd);

impl Namespace {
    fn new() -> Namespace {
        // A thread of its own, so that nobody else's namespace changes. Deprecated is only its use with flags that are
        // shared memory's (CLONE_FILES).
        #[expect(deprecated)]
        let made = thread::spawn(|| {
            rustix::thread::unshare(UnshareFlags::NEWNET)
                .expect("tests need root, for namespaces of their own");
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::open("/proc/thread-self/ns/net", flags, Mode::empty()).unwrap()
        });
        let namespace = Namespace(made.join().unwrap());
        loopback_up(namespace.0.as_fd()).unwrap();
        namespace
    }

    /// Runs something inside of it.
    pub(super) fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let running = scope.spawn(|| {
                move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                inside()
            });
            running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// A container: its namespace, and its supervisor's loop, as far as it is about names.
pub(super) struct Container {
    namespace: Namespace,
    names: Arc<Mutex<Names>>,
    over: Arc<AtomicBool>,
    supervisor: Option<JoinHandle<()>>,
}

impl Container {
    pub(super) fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        self.namespace.run(inside)
    }

    pub(super) fn netns(&self) -> BorrowedFd<'_> {
        self.namespace.0.as_fd()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.join().unwrap();
        }
    }
}

/// A host.
pub(super) struct World {
    namespace: Namespace,
    state: tempfile::TempDir,
    upstreams: Vec<Upstream>,
}

impl World {
    /// One whose containers ask these resolvers.
    pub(super) fn new(upstreams: &[Upstream]) -> World {
        World {
            namespace: Namespace::new(),
            state: tempfile::tempdir().unwrap(),
            upstreams: upstreams.to_vec(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.state.path()
    }

    pub(super) fn container(&self, id: &str) -> Container {
        let registry = self.folder().to_str().unwrap().to_owned();
        let service = NameService { registry, upstreams: self.upstreams.clone(), resolv_conf: None };
        let names = Arc::new(Mutex::new(Names::new(service, id).unwrap()));
        let over = Arc::new(AtomicBool::new(false));
        let host = self.namespace.0.try_clone().unwrap();
        let (its, ends) = (Arc::clone(&names), Arc::clone(&over));
        let supervisor = thread::spawn(move || {
            move_into_link_name_space(host.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            while !ends.load(Ordering::Relaxed) {
                round(&its);
            }
        });
        Container { namespace: Namespace::new(), names, over, supervisor: Some(supervisor) }
    }

    pub(super) fn join(&self, container: &Container, network: &Membership) {
        let joined = || container.names.lock().unwrap().joined(network, container.netns()).unwrap();
        assert_eq!(self.namespace.run(joined), [""; 0]);
    }

    pub(super) fn change(&self, container: &Container, change: impl FnOnce(&mut Names) + Send) {
        self.namespace.run(|| change(&mut container.names.lock().unwrap()));
    }
}

/// One round of a supervisor's loop.
fn round(names: &Mutex<Names>) {
    let mut ready = Vec::new();
    {
        let names = names.lock().unwrap();
        let (mut wanted, mut events) = (Vec::new(), Vec::new());
        names.watch(&mut |fd, flags, event| {
            wanted.push(PollFd::from_borrowed_fd(fd, flags));
            events.push(event);
        });
        // The lock is not held for long: whoever changes something waits for it.
        let short = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        poll(&mut wanted, Some(&short)).unwrap();
        let hit = events.into_iter().zip(&wanted).filter(|(_, fd)| !fd.revents().is_empty());
        ready.extend(hit.map(|(event, _)| event));
    }
    {
        let mut names = names.lock().unwrap();
        for event in ready {
            names.handle(event);
        }
        names.pass_time();
    }
    thread::yield_now();
}

/// A resolver at port 53 of an address, by UDP and TCP.
pub(super) struct Resolver {
    asked: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Resolver {
    pub(super) fn at(
        world: &World,
        address: &str,
        answers: impl Fn(&Message) -> Vec<Message> + Send + Sync + 'static,
    ) -> Resolver {
        Resolver::start(&world.namespace, address, answers)
    }

    pub(super) fn within(
        container: &Container,
        address: &str,
        answers: impl Fn(&Message) -> Vec<Message> + Send + Sync + 'static,
    ) -> Resolver {
        Resolver::start(&container.namespace, address, answers)
    }

    fn start(
        namespace: &Namespace,
        address: &str,
        answers: impl Fn(&Message) -> Vec<Message> + Send + Sync + 'static,
    ) -> Resolver {
        let (udp, tcp) = namespace
            .run(|| (UdpSocket::bind((address, 53)).unwrap(), TcpListener::bind((address, 53)).unwrap()));
        udp.set_read_timeout(Some(TICK)).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let (asked, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let answers = Arc::new(answers);
        let (theirs, count, end) = (Arc::clone(&answers), Arc::clone(&asked), Arc::clone(&over));
        let datagrams = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !end.load(Ordering::Relaxed) {
                let Ok((length, from)) = udp.recv_from(&mut buffer) else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                for answer in theirs(&Message::from_vec(&buffer[..length]).unwrap()) {
                    udp.send_to(&answer.to_vec().unwrap(), from).unwrap();
                }
            }
        });
        let (count, end) = (Arc::clone(&asked), Arc::clone(&over));
        let connections = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                match tcp.accept() {
                    Ok((mut stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        let question = take(&mut stream);
                        count.fetch_add(1, Ordering::Relaxed);
                        for answer in answers(&question) {
                            send(&mut stream, &answer);
                        }
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        thread::sleep(TICK);
                    }
                }
            }
        });
        Resolver { asked, over, threads: vec![datagrams, connections] }
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking());
        }
    }
}

/// A socket of a container's program, connected to the service.
pub(super) fn udp(container: &Container) -> UdpSocket {
    let socket = container.run(|| UdpSocket::bind(("127.0.0.1", 0)).unwrap());
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket.connect(SERVICE).unwrap();
    socket
}

pub(super) fn tcp(container: &Container) -> TcpStream {
    let address: SocketAddr = SERVICE.parse().unwrap();
    let stream = container.run(|| TcpStream::connect_timeout(&address, LONG).unwrap());
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

pub(super) fn receive(socket: &UdpSocket) -> Message {
    let mut buffer = [0; 65535];
    let length = socket.recv(&mut buffer).unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

pub(super) fn ask_udp(container: &Container, query: &Message) -> Message {
    let socket = udp(container);
    socket.send(&query.to_vec().unwrap()).unwrap();
    receive(&socket)
}

pub(super) fn ask_tcp(container: &Container, query: &Message) -> Message {
    let mut stream = tcp(container);
    send(&mut stream, query);
    take(&mut stream)
}

pub(super) fn send(stream: &mut TcpStream, message: &Message) {
    let bytes = message.to_vec().unwrap();
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, &bytes[..]].concat()).unwrap();
}

pub(super) fn take(stream: &mut TcpStream) -> Message {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut bytes).unwrap();
    Message::from_vec(&bytes).unwrap()
}

/// What an answer's records say.
pub(super) fn answers(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}
