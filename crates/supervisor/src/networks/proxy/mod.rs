//! Connections that the kernel cannot lead to the container: from the host's IPv6 addresses to one that has only IPv4
//! (or the other way round), and from `::1` to an IPv6 one on kernels whose bridges drop the answers.
//!
//! It is part of the supervisor's poll loop, so it never waits for anybody: sockets do not block, a peer that does not
//! take its data holds back nobody else's, and all that it has is bounded. Without such ports there is nothing here: no
//! descriptor, no memory, no wake-up.

mod tcp;
mod udp;

use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bulkhead_network::firewall::Protocol;
use rustix::event::PollFlags;
use rustix::io::Errno;

use tcp::{Connection, Listener, Side};
use udp::Relay;

/// The most connections at once, and how many descriptors each has; further ones wait to be accepted.
const CONNECTIONS: usize = 512;
const DESCRIPTORS: usize = 6;
/// How many are accepted, or datagrams passed on, before others have their turn.
const TURN: usize = 64;
/// The largest datagram, in bytes.
const LARGEST: usize = 65_535;
/// How long nobody is accepted when there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(200);

/// A way that the proxy serves.
pub(crate) struct Way {
    /// The socket that is bound to the host's port.
    pub(crate) socket: Rc<OwnedFd>,
    /// Of this protocol.
    pub(crate) protocol: Protocol,
    /// Where it leads.
    pub(crate) to: SocketAddr,
}

/// What the loop hears of for the proxy.
#[derive(Clone, Copy)]
pub(crate) enum Token {
    /// A new connection, at the listener of that number.
    Listener(usize),
    /// A connection, by its number.
    Connection(u64, Side),
    /// Datagrams for the container, at the relay of that number.
    Datagrams(usize),
    /// Datagrams of the container's for one client, at that relay.
    Answers(usize, u64),
}

/// The proxy of one container.
#[derive(Default)]
pub(crate) struct Proxy {
    listeners: Vec<Listener>,
    connections: Vec<Connection>,
    relays: Vec<Relay>,
    /// What a datagram is read to; empty while there are none.
    buffer: Vec<u8>,
    next: u64,
    most: usize,
    /// Until when nobody is accepted.
    paused: Option<Instant>,
}

impl Proxy {
    /// Serves these ways and no others. Connections that there are go on.
    pub(crate) fn serve(&mut self, ways: &[Way]) -> rustix::io::Result<()> {
        let serves = |socket: &Rc<OwnedFd>| ways.iter().any(|way| Rc::ptr_eq(&way.socket, socket));
        self.listeners.retain(|listener| serves(&listener.socket) || listener.stop().is_err());
        self.relays.retain(|relay| serves(&relay.socket) || relay.stop().is_err());
        for way in ways {
            match way.protocol {
                Protocol::Tcp => match self.listeners.iter_mut().find(|l| Rc::ptr_eq(&l.socket, &way.socket))
                {
                    Some(listener) => listener.to = way.to,
                    None => self.listeners.push(Listener::begin(way)?),
                },
                Protocol::Udp => match self.relays.iter_mut().find(|r| Rc::ptr_eq(&r.socket, &way.socket)) {
                    Some(relay) => relay.lead_to(way.to),
                    None => self.relays.push(Relay::begin(way)?),
                },
                Protocol::Sctp => {}
            }
        }
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
        // Half of what there is stays for everything else.
        self.most = CONNECTIONS.min(files / (2 * DESCRIPTORS)).max(1);
        Ok(())
    }

    /// No more connections than that.
    #[cfg(test)]
    pub(crate) fn allow(&mut self, most: usize) {
        self.most = most;
    }

    /// Serves nobody any more; what there is ends at once.
    pub(crate) fn close(&mut self) {
        *self = Proxy::default();
    }

    /// What is to be heard of.
    pub(crate) fn watch<'a>(&'a self, mut want: impl FnMut(BorrowedFd<'a>, PollFlags, Token)) {
        if self.paused.is_none() && self.connections.len() < self.most {
            for (index, listener) in self.listeners.iter().enumerate() {
                want(listener.fd(), PollFlags::IN, Token::Listener(index));
            }
        }
        for connection in &self.connections {
            connection.watch(|fd, flags, side| want(fd, flags, Token::Connection(connection.number, side)));
        }
        for (index, relay) in self.relays.iter().enumerate() {
            want(relay.fd(), PollFlags::IN, Token::Datagrams(index));
            for flow in &relay.flows {
                want(flow.fd(), PollFlags::IN, Token::Answers(index, flow.number));
            }
        }
    }

    /// Does what that is about.
    pub(crate) fn handle(&mut self, token: Token) {
        match token {
            Token::Listener(index) => self.accept(index),
            Token::Connection(number, side) => {
                let Some(at) = self.connections.iter().position(|one| one.number == number) else { return };
                if let Some(connection) = self.connections.get_mut(at)
                    && !connection.goes_on(side)
                {
                    self.connections.swap_remove(at);
                }
            }
            Token::Datagrams(index) => {
                self.buffer.resize(LARGEST, 0);
                if let Some(relay) = self.relays.get_mut(index) {
                    relay.pass_on(&mut self.buffer, &mut self.next);
                }
            }
            Token::Answers(index, number) => {
                if let Some(relay) = self.relays.get_mut(index) {
                    relay.answer(number, &mut self.buffer);
                }
            }
        }
    }

    fn accept(&mut self, index: usize) {
        let Some(listener) = self.listeners.get(index) else { return };
        for _ in 0..TURN {
            if self.connections.len() >= self.most {
                return;
            }
            match listener.accept(self.next) {
                Ok(connection) => {
                    self.next += 1;
                    self.connections.push(connection);
                }
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    self.paused = Some(Instant::now() + PAUSE);
                    return;
                }
                // Who gave up before being accepted is no reason to keep others waiting.
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// When something is due by the clock.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.relays.iter().filter_map(Relay::due).chain(self.paused).min()
    }

    /// Does what is due.
    pub(crate) fn tidy(&mut self) {
        if self.paused.is_none() && self.relays.is_empty() {
            return;
        }
        self.forget(Instant::now());
    }

    /// Forgets what is over at `now`.
    pub(crate) fn forget(&mut self, now: Instant) {
        self.paused = self.paused.filter(|until| *until > now);
        for relay in &mut self.relays {
            relay.forget_idle(now);
        }
        if !self.buffer.is_empty() && self.relays.iter().all(|relay| relay.flows.is_empty()) {
            self.buffer = Vec::new();
        }
    }
}
