//! The name service's sockets in the container's namespace, and who talks to them. All of it is part of the supervisor's
//! one loop: nothing waits for anybody, and in each round of the loop only so much is done before the rest of the
//! supervisor has its turn.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use bulkhead_isolation::{Error, Result, Step};
use bulkhead_network::endpoint::redirect_names;
use hickory_proto::op::ResponseCode;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, bind, getsockname, listen,
    recvfrom, sendto, socket_with,
};

use super::answer::{LONGEST, Names, Question};
use super::framing::{Inbox, Outbox};
use super::resolvers::Resolvers;
use super::upstream::{Flight, Origin, from_inside, random};

/// Where a container's programs ask. (The service itself has another port: see [`redirect_names`].)
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;
/// How many questions others are asked at a time. Who asks more is told so.
const FLIGHTS: usize = 100;
/// How many connections there are at a time. For another, the one that has been idle longest goes.
const CLIENTS: usize = 32;
/// How long a connection is kept on which nothing moves.
const IDLE: Duration = Duration::from_secs(10);
/// How long nobody is heard when there are no descriptors left.
const REST: Duration = Duration::from_secs(1);
/// How many datagrams, or new connections, have their turn in a round.
const AT_ONCE: usize = 32;
/// A socket that fails so often without a success between is broken: root in the container can do that (sock_diag(7)).
const BROKEN: u32 = 16;

/// What there is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ready {
    Datagram,
    Connection,
    Client(u64),
    Answer(u64),
}

/// What is to be known of the container meanwhile.
pub(super) struct World<'a, N> {
    pub(super) names: &'a N,
    pub(super) resolvers: &'a mut Resolvers,
    /// Whether it has a way out of its networks.
    pub(super) out: bool,
}

/// The service.
#[derive(Debug)]
pub(super) struct Server {
    netns: OwnedFd,
    datagrams: Door,
    connections: Door,
    clients: Vec<Client>,
    flights: Vec<Flight>,
    next: u64,
    /// Until when new connections wait.
    rests: Option<Instant>,
}

/// A socket that anybody in the container may come to.
#[derive(Debug)]
struct Door {
    socket: Option<OwnedFd>,
    failures: u32,
}

#[derive(Debug)]
struct Client {
    number: u64,
    socket: OwnedFd,
    inbox: Inbox,
    out: Option<Outbox>,
    /// Whether others are being asked for it.
    waits: bool,
    deadline: Instant,
}

enum Said {
    Now(Vec<u8>),
    Later,
    Nothing,
}

impl Server {
    /// Opens the service in a network namespace whose loopback link is up.
    pub(super) fn open(netns: BorrowedFd<'_>) -> Result<Server> {
        let step = "names";
        let what = || "open the container's name service";
        let (mut udp, mut tcp) = from_inside(netns, || sockets(0)).step(step, what)?;
        let ports = (port(&udp).step(step, what)?, port(&tcp).step(step, what)?);
        match redirect_names(netns, ports.0, ports.1) {
            Ok(()) => {}
            // The kernel cannot lead from one port to another: then the service is where it is looked for.
            Err(bulkhead_network::Error::NoFirewall { .. }) => {
                (udp, tcp) = from_inside(netns, || sockets(PORT)).step(step, what)?;
            }
            Err(error) => return Err(Error::new(step, error.to_string())),
        }
        let door = |socket| Door { socket: Some(socket), failures: 0 };
        Ok(Server {
            netns: netns.try_clone_to_owned().step(step, what)?,
            datagrams: door(udp),
            connections: door(tcp),
            clients: Vec::new(),
            flights: Vec::new(),
            next: 0,
            rests: None,
        })
    }

    pub(super) fn watch<'a>(&'a self, want: &mut impl FnMut(BorrowedFd<'a>, PollFlags, Ready)) {
        if let Some(socket) = &self.datagrams.socket {
            want(socket.as_fd(), PollFlags::IN, Ready::Datagram);
        }
        if let Some(socket) = self.connections.socket.as_ref().filter(|_| self.rests.is_none()) {
            want(socket.as_fd(), PollFlags::IN, Ready::Connection);
        }
        for client in self.clients.iter().filter(|client| !client.waits) {
            let flags = if client.out.is_some() { PollFlags::OUT } else { PollFlags::IN };
            want(client.socket.as_fd(), flags, Ready::Client(client.number));
        }
        for flight in &self.flights {
            if let Some((socket, flags)) = flight.watched() {
                want(socket, flags, Ready::Answer(flight.number));
            }
        }
    }

    /// When something is due by the clock: never, while nobody asks.
    pub(super) fn due(&self) -> Option<Instant> {
        let clients = self.clients.iter().filter(|client| !client.waits).map(|client| client.deadline);
        clients.chain(self.flights.iter().map(|flight| flight.deadline)).chain(self.rests).min()
    }

    pub(super) fn handle(&mut self, ready: Ready, world: &mut World<'_, impl Names>) {
        match ready {
            Ready::Datagram => self.take_datagrams(world),
            Ready::Connection => self.welcome(),
            Ready::Client(number) => self.serve(number, world),
            Ready::Answer(number) => {
                let Some(flight) = self.flights.iter_mut().find(|flight| flight.number == number) else {
                    return;
                };
                if let Some(answer) = flight.ready(self.netns.as_fd()) {
                    self.land(number, &answer);
                }
            }
        }
    }

    /// Does what is due by the clock.
    pub(super) fn pass_time(&mut self) {
        let now = Instant::now();
        self.rests = self.rests.filter(|until| *until > now);
        self.clients.retain(|client| client.waits || client.deadline > now);
        let mut over = Vec::new();
        for flight in self.flights.iter_mut().filter(|flight| flight.deadline <= now) {
            if let Some(answer) = flight.next(self.netns.as_fd()) {
                over.push((flight.number, answer));
            }
        }
        for (number, answer) in over {
            self.land(number, &answer);
        }
    }

    fn take_datagrams(&mut self, world: &mut World<'_, impl Names>) {
        for _ in 0..AT_ONCE {
            let Some(socket) = &self.datagrams.socket else { return };
            let mut buffer = [0; LONGEST as usize];
            match recvfrom(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((_, length, Some(from))) => {
                    self.datagrams.failures = 0;
                    let Ok(from) = SocketAddr::try_from(from) else { continue };
                    let bytes = buffer.get(..length).unwrap_or_default();
                    let origin = Origin::Datagram(from);
                    if let Said::Now(answer) = self.ask(bytes, &origin, world) {
                        self.deliver(&origin, &answer);
                    }
                }
                Ok((_, _, None)) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.datagrams.fail(),
            }
        }
    }

    fn welcome(&mut self) {
        for _ in 0..AT_ONCE {
            let Some(listener) = &self.connections.socket else { return };
            match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => {
                    self.connections.failures = 0;
                    if self.clients.len() >= CLIENTS {
                        self.drop_the_idlest();
                    }
                    let number = self.number();
                    let deadline = Instant::now() + IDLE;
                    let inbox = Inbox::default();
                    self.clients.push(Client { number, socket, inbox, out: None, waits: false, deadline });
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return,
                Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                    self.rests = Some(Instant::now() + REST);
                    return;
                }
                Err(_) => return self.connections.fail(),
            }
        }
    }

    fn drop_the_idlest(&mut self) {
        let idle = self.clients.iter().enumerate();
        if let Some((index, _)) = idle.min_by_key(|(_, client)| (client.waits, client.deadline)) {
            self.clients.remove(index);
        }
    }

    /// Takes one question from a connection, or sends more of an answer: the next question is read when that is done.
    fn serve(&mut self, number: u64, world: &mut World<'_, impl Names>) {
        let Some(client) = self.clients.iter_mut().find(|client| client.number == number) else { return };
        if client.out.is_some() {
            if !client.flush() {
                self.clients.retain(|client| client.number != number);
            }
            return;
        }
        match client.inbox.receive(&client.socket, LONGEST) {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                let origin = Origin::Client(number);
                match self.ask(&bytes, &origin, world) {
                    Said::Now(answer) => self.deliver(&origin, &answer),
                    Said::Later => {}
                    Said::Nothing => self.clients.retain(|client| client.number != number),
                }
            }
            Err(_) => self.clients.retain(|client| client.number != number),
        }
    }

    fn ask(&mut self, bytes: &[u8], origin: &Origin, world: &mut World<'_, impl Names>) -> Said {
        let question = match Question::read(bytes, origin.transport()) {
            Ok(question) => question,
            Err(refusal) => return refusal.map_or(Said::Nothing, Said::Now),
        };
        if let Some(answer) = question.answer(world.names, world.resolvers.any(world.out), random().into()) {
            return Said::Now(answer);
        }
        // An impatient client's question of before.
        if self.flights.iter().any(|flight| flight.origin == *origin && flight.question.is(&question)) {
            return Said::Later;
        }
        if self.flights.len() >= FLIGHTS {
            return Said::Now(question.failed(ResponseCode::ServFail));
        }
        let resolvers = world.resolvers.now(world.out);
        let mut flight = Flight::new(self.number(), origin.clone(), question, bytes, resolvers);
        if let Some(answer) = flight.next(self.netns.as_fd()) {
            return Said::Now(answer);
        }
        self.flights.push(flight);
        if let Some(client) = self.client(origin) {
            client.waits = true;
        }
        Said::Later
    }

    /// A question to others has its answer.
    fn land(&mut self, number: u64, answer: &[u8]) {
        let Some(index) = self.flights.iter().position(|flight| flight.number == number) else { return };
        let flight = self.flights.remove(index);
        self.deliver(&flight.origin, answer);
    }

    fn deliver(&mut self, origin: &Origin, answer: &[u8]) {
        if let Origin::Datagram(to) = origin {
            if let Some(socket) = &self.datagrams.socket {
                // Who has no room for it, or has gone, asks again or does not.
                let _ = sendto(socket, answer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL, to);
            }
        } else if let Some(client) = self.client(origin) {
            client.waits = false;
            client.out = Outbox::new(answer);
            if client.out.is_none() || !client.flush() {
                let number = client.number;
                self.clients.retain(|client| client.number != number);
            }
        }
    }

    fn client(&mut self, origin: &Origin) -> Option<&mut Client> {
        let Origin::Client(number) = origin else { return None };
        self.clients.iter_mut().find(|client| client.number == *number)
    }

    /// How many connections there are.
    #[cfg(test)]
    pub(super) fn clients(&self) -> usize {
        self.clients.len()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Client {
    /// Sends what waits. `false`: nobody is there any more.
    fn flush(&mut self) -> bool {
        let Some(out) = &mut self.out else { return true };
        self.deadline = Instant::now() + IDLE;
        match out.send(&self.socket) {
            Ok(true) => self.out = None,
            Ok(false) => {}
            Err(_) => return false,
        }
        true
    }
}

impl Door {
    /// It failed. One that does nothing else must not keep the loop awake.
    fn fail(&mut self) {
        self.failures += 1;
        if self.failures >= BROKEN {
            self.socket = None;
        }
    }
}

fn sockets(port: u16) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let open = |kind| -> io::Result<OwnedFd> {
        let socket = socket_with(AddressFamily::INET, kind, flags, None)?;
        bind(&socket, &SocketAddrV4::new(ADDRESS, port))?;
        Ok(socket)
    };
    let (udp, tcp) = (open(SocketType::DGRAM)?, open(SocketType::STREAM)?);
    listen(&tcp, 64)?;
    Ok((udp, tcp))
}

fn port(socket: &OwnedFd) -> io::Result<u16> {
    Ok(SocketAddr::try_from(getsockname(socket)?)?.port())
}
