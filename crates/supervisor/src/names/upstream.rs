//! A question that others are asked: which resolver now, over which socket, and until when.
//!
//! Each attempt has a socket of its own, connected, at a port that the kernel chooses, and a random number: whoever would
//! forge an answer must guess both. What is no answer to the question is not heard. A resolver that is silent,
//! refuses or fails is followed by the next; if all were silent, each is asked once more, as the C library does.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use bulkhead_network::netlink::visit;
use hickory_proto::op::ResponseCode;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with, sockopt,
};

use super::answer::{LONGEST, Question, Transport, with_id};
use super::framing::{Inbox, Outbox};
use crate::networks::Upstream;

/// Where resolvers are.
const PORT: u16 = 53;
/// How long one may think. (Whoever asks waits 5 seconds, then asks again.)
const PATIENCE: Duration = Duration::from_secs(2);
/// How often each is asked.
const ROUNDS: usize = 2;
/// How many datagrams are looked at before others have their turn.
const AT_ONCE: usize = 8;

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Datagram(SocketAddr),
    Client(u64),
}

impl Origin {
    pub(super) fn transport(&self) -> Transport {
        match self {
            Origin::Datagram(_) => Transport::Udp,
            Origin::Client(_) => Transport::Tcp,
        }
    }
}

/// A question on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) number: u64,
    pub(super) origin: Origin,
    pub(super) question: Question,
    pub(super) deadline: Instant,
    query: Box<[u8]>,
    resolvers: Vec<Upstream>,
    attempt: usize,
    id: u16,
    line: Option<Line>,
    /// What a resolver said that could not help.
    refusal: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Line {
    Datagram(OwnedFd),
    Stream { socket: OwnedFd, out: Option<Outbox>, inbox: Inbox },
}

impl Flight {
    pub(super) fn new(
        number: u64,
        origin: Origin,
        question: Question,
        query: &[u8],
        resolvers: Vec<Upstream>,
    ) -> Flight {
        Flight {
            number,
            origin,
            question,
            deadline: Instant::now(),
            query: query.into(),
            resolvers,
            attempt: 0,
            id: 0,
            line: None,
            refusal: None,
        }
    }

    /// Asks the next resolver; `netns` is the container's. Gives the answer if there is none left.
    pub(super) fn next(&mut self, netns: BorrowedFd<'_>) -> Option<Vec<u8>> {
        self.line = None;
        let count = self.resolvers.len();
        while self.attempt < ROUNDS * count && !(self.attempt >= count && self.refusal.is_some()) {
            let resolver = self.resolvers.get(self.attempt % count).cloned();
            self.attempt += 1;
            self.id = random();
            let Some(query) = with_id(&self.query, self.id) else { break };
            let Some(resolver) = resolver else { break };
            let address = SocketAddr::new(resolver.address, PORT);
            let call = || call(address, &query, self.origin.transport());
            if let Ok(line) = if resolver.inside { from_inside(netns, call) } else { call() } {
                self.line = Some(line);
                self.deadline = Instant::now() + PATIENCE;
                return None;
            }
        }
        Some(self.refusal.take().unwrap_or_else(|| self.question.failed(ResponseCode::ServFail)))
    }

    /// What to wait for.
    pub(super) fn watched(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.line.as_ref().map(|line| match line {
            Line::Datagram(socket) => (socket.as_fd(), PollFlags::IN),
            Line::Stream { socket, out: Some(_), .. } => (socket.as_fd(), PollFlags::OUT),
            Line::Stream { socket, .. } => (socket.as_fd(), PollFlags::IN),
        })
    }

    /// Something has come. Gives the answer, once there is one.
    pub(super) fn ready(&mut self, netns: BorrowedFd<'_>) -> Option<Vec<u8>> {
        match self.hear() {
            Ok(None) => None,
            Ok(Some((answer, code))) => match code {
                ResponseCode::ServFail | ResponseCode::Refused | ResponseCode::NotImp => {
                    self.refusal = Some(answer);
                    self.next(netns)
                }
                _ => Some(answer),
            },
            Err(_) => self.next(netns),
        }
    }

    fn hear(&mut self) -> io::Result<Option<(Vec<u8>, ResponseCode)>> {
        let (question, id) = (&self.question, self.id);
        match &mut self.line {
            None => Ok(None),
            Some(Line::Datagram(socket)) => {
                let mut buffer = [0; LONGEST as usize];
                for _ in 0..AT_ONCE {
                    match recv(&*socket, &mut buffer[..], RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
                        Ok((_, length)) => {
                            let bytes = buffer.get(..length).unwrap_or(&buffer);
                            if let Some(code) = question.outcome(bytes, id) {
                                return Ok(Some((question.passed_on(bytes, length), code)));
                            }
                        }
                        Err(Errno::INTR) => {}
                        Err(Errno::AGAIN) => break,
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(None)
            }
            Some(Line::Stream { socket, out, inbox }) => {
                if let Some(message) = out {
                    sockopt::socket_error(&*socket)??;
                    if message.send(&*socket)? {
                        *out = None;
                    }
                    return Ok(None);
                }
                let Some(bytes) = inbox.receive(&*socket, u16::MAX)? else { return Ok(None) };
                // A connection has one answer: who gives another's is not asked further.
                let code = question.outcome(&bytes, id).ok_or(io::ErrorKind::InvalidData)?;
                Ok(Some((question.passed_on(&bytes, bytes.len()), code)))
            }
        }
    }
}

fn call(address: SocketAddr, query: &[u8], transport: Transport) -> io::Result<Line> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    match transport {
        Transport::Udp => {
            let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
            connect(&socket, &address)?;
            send(&socket, query, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
            Ok(Line::Datagram(socket))
        }
        Transport::Tcp => {
            let socket = socket_with(family, SocketType::STREAM, flags, None)?;
            match connect(&socket, &address) {
                Ok(()) | Err(Errno::INPROGRESS) => {}
                Err(error) => return Err(error.into()),
            }
            let out = Outbox::new(query).ok_or(io::ErrorKind::InvalidInput)?;
            Ok(Line::Stream { socket, out: Some(out), inbox: Inbox::default() })
        }
    }
}

/// Does something in the container's network namespace, and comes back.
pub(super) fn from_inside<T>(netns: BorrowedFd<'_>, inside: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match visit(netns, || Ok(inside())) {
        Ok(done) => done,
        // All that this process does from here on would happen in the wrong place.
        Err(error) if error.is_fatal() => std::process::exit(125),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// A number that nobody can guess.
pub(super) fn random() -> u16 {
    let mut bytes = [0; 2];
    // So few bytes never fail once the machine is up (getrandom(2)).
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u16::from_ne_bytes(bytes)
}
