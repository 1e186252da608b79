//! A small synchronous netlink socket: requests in, acknowledgements out (netlink(7), rtnetlink(7)).
//!
//! The kernel handles a netlink request while send(2) runs, so when send returns all answers are in the socket's
//! queue (a dump's later parts are made while they are read). Nothing here can hang: reads do not wait, and an
//! answer that is not there is an error. Several requests may go in one send; the kernel carries them out in order,
//! and goes on after one that fails.
//!
//! Why no crate for the messages: this is linked into each container's supervisor, where a page of memory counts a
//! thousand times, and the same few lines of encoder serve nf_tables, for which there is no crate with a permissive
//! licence. The tests compare what is built here with what the `netlink-packet-route` crate reads from it.

mod answer;
mod attributes;
mod request;

use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{RecvFlags, SendFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Error, Refusal, Result};
use answer::{Answer, answers};
pub(crate) use attributes::{Attributes, address, number, number_be, text};
pub(crate) use request::{ACK, CREATE, DUMP, EXCLUSIVE, Message, REPLACE, Requests};

/// The families of addresses, as the first byte of most messages gives them.
pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;
/// Enough for an acknowledgement with the kernel's words: it is on the stack of processes that count pages.
const ACK_BUFFER: usize = 2048;
/// Enough for one answer: a link's description is the longest.
const ANSWER_BUFFER: usize = 8192;
/// What the kernel fills at most in one part of a dump.
const DUMP_BUFFER: usize = 32 * 1024;
/// What a socket sends with the buffer that it has from the start.
const USUAL_MESSAGE: usize = 64 * 1024;
/// How often a dump is repeated when things change while it is read.
const DUMP_TRIES: u32 = 5;

/// A netlink socket. It stays in the network namespace in which it was opened, wherever its owner goes.
#[derive(Debug)]
pub struct Socket {
    socket: netlink_sys::Socket,
    sequence: u32,
}

impl Socket {
    /// Opens a socket for links, addresses and routes in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When the kernel refuses a socket: too many open files, or no memory.
    pub fn open() -> Result<Self> {
        Self::of_protocol(NETLINK_ROUTE)
    }

    /// Opens a socket in the network namespace `netns`, by going there and coming back.
    ///
    /// Only the calling thread moves, so it may be used in programs with several threads; but a signal handler that
    /// runs meanwhile would find itself over there.
    ///
    /// # Errors
    /// When `netns` is no network namespace, or not one that the caller may enter. [`Error::NamespaceLost`] when
    /// coming back fails: then the process must end.
    pub fn open_in(netns: BorrowedFd<'_>) -> Result<Self> {
        visit(netns, Self::open)
    }

    /// Opens a socket for nf_tables in the network namespace `netns`, like [`open_in`](Self::open_in).
    pub(crate) fn open_netfilter_in(netns: BorrowedFd<'_>) -> Result<Self> {
        visit(netns, Self::open_netfilter)
    }

    /// Opens a socket for nf_tables in the network namespace of the calling thread.
    pub(crate) fn open_netfilter() -> Result<Self> {
        Self::of_protocol(NETLINK_NETFILTER)
    }

    fn of_protocol(protocol: isize) -> Result<Self> {
        let refused = |error: std::io::Error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            Refusal::new("open a netlink socket", "", errno)
        };
        let socket = netlink_sys::Socket::new(protocol).map_err(refused)?;
        socket.set_ext_ack(true).map_err(refused)?;
        socket.set_cap_ack(true).map_err(refused)?;
        // Connected to the kernel (port 0), the socket takes messages from nobody else: in a container's namespace
        // its root could otherwise send acknowledgements of its own making.
        rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))
            .map_err(|errno| Refusal::new("connect a netlink socket to the kernel", "", errno))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The index of the link with that name in the socket's namespace.
    ///
    /// # Errors
    /// When the kernel refuses for another reason than that there is no such link.
    pub fn index_of(&self, name: &str) -> Result<Option<u32>> {
        match rustix::net::netdevice::name_to_index(&self.socket, name) {
            Ok(index) => Ok(Some(index)),
            Err(Errno::NODEV) => Ok(None),
            Err(errno) => Err(Refusal::new("look up the link", name, errno).into()),
        }
    }

    /// Starts a list of requests whose sequence numbers follow those that the socket has used.
    pub(crate) fn requests<'a>(&self) -> Requests<'a> {
        Requests::starting_at(self.sequence.wrapping_add(1))
    }

    /// Sends the requests at once and reads an acknowledgement for each. The first that was refused is the error;
    /// those after it were still carried out, or refused too.
    pub(crate) fn run(&mut self, requests: &Requests<'_>) -> Result<()> {
        self.send(requests)?;
        let mut buffer = [0; ACK_BUFFER];
        let mut refused = None;
        let mut waiting = requests.len();
        while waiting > 0 {
            let received = self.receive(&mut buffer, requests)?;
            for answer in answers(received) {
                let Answer::Result { sequence, errno, message } = answer else { continue };
                let Some(step) = requests.step(sequence) else { continue };
                waiting -= 1;
                if let Some(errno) = errno.filter(|errno| !step.tolerates(*errno) && refused.is_none()) {
                    refused = Some(step.refusal(errno, message));
                }
            }
        }
        refused.map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// Sends a batch of nf_tables: a request that begins it, those of which all or none take effect, and one that
    /// ends it. Only the last but one asks for an acknowledgement, and gets it after those before it got theirs, if
    /// they were refused. A refusal of the first is one of the whole batch, and the only answer.
    pub(crate) fn run_batch(&mut self, requests: &Requests<'_>) -> Result<()> {
        self.send(requests)?;
        let mut buffer = [0; ACK_BUFFER];
        let mut refused = None;
        loop {
            let received = self.receive(&mut buffer, requests)?;
            for answer in answers(received) {
                let Answer::Result { sequence, errno, message } = answer else { continue };
                let (Some(position), Some(step)) = (requests.position(sequence), requests.step(sequence))
                else {
                    continue;
                };
                if let Some(errno) = errno.filter(|_| refused.is_none()) {
                    refused = Some(step.refusal(errno, message));
                }
                if position == 0 || position + 2 == requests.len() {
                    return refused.map_or(Ok(()), |refusal| Err(refusal.into()));
                }
            }
        }
    }

    /// Sends requests that have one answer each, and gives each to `take`: the number of the request in the list,
    /// and the answer's payload, or the errno if it was refused.
    pub(crate) fn ask(
        &mut self,
        requests: &Requests<'_>,
        mut take: impl FnMut(usize, std::result::Result<&[u8], Errno>),
    ) -> Result<()> {
        self.send(requests)?;
        let mut buffer = [0; ANSWER_BUFFER];
        let mut waiting = requests.len();
        while waiting > 0 {
            let received = self.receive(&mut buffer, requests)?;
            for answer in answers(received) {
                let (sequence, outcome) = match answer {
                    Answer::Data { sequence, payload, .. } => (sequence, Ok(payload)),
                    Answer::Result { sequence, errno: Some(errno), .. } => (sequence, Err(errno)),
                    Answer::Result { .. } | Answer::Done { .. } => continue,
                };
                let Some(position) = requests.position(sequence) else { continue };
                waiting -= 1;
                take(position, outcome);
            }
        }
        Ok(())
    }

    /// Sends one request for a dump and collects what `take` makes of each message's payload.
    ///
    /// When things change while the kernel lists them, the list may lack some: then it is read anew, a few times.
    pub(crate) fn dump<'a, T>(
        &mut self,
        build: impl Fn(&mut Requests<'a>),
        mut take: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>> {
        let mut buffer = vec![0; DUMP_BUFFER];
        let mut found = Vec::new();
        for _ in 0..DUMP_TRIES {
            let mut requests = self.requests();
            build(&mut requests);
            self.send(&requests)?;
            found.clear();
            if self.read_dump(&requests, &mut buffer, |payload| found.extend(take(payload)))? {
                break;
            }
        }
        Ok(found)
    }

    /// Reads a dump to its end; false if the kernel says that it was interrupted by a change.
    fn read_dump(
        &self,
        requests: &Requests<'_>,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]),
    ) -> Result<bool> {
        let mut whole = true;
        loop {
            let received = self.receive(buffer, requests)?;
            for answer in answers(received) {
                let Some(step) = requests.step(answer.sequence()) else { continue };
                match answer {
                    Answer::Data { payload, interrupted, .. } => {
                        whole &= !interrupted;
                        take(payload);
                    }
                    Answer::Done { errno: None, interrupted, .. } => return Ok(whole && !interrupted),
                    Answer::Done { errno: Some(errno), .. } => return Err(step.refusal(errno, None).into()),
                    Answer::Result { errno: Some(errno), message, .. } => {
                        return Err(step.refusal(errno, message).into());
                    }
                    Answer::Result { errno: None, .. } => {}
                }
            }
        }
    }

    fn send(&mut self, requests: &Requests<'_>) -> Result<()> {
        let bytes = requests.bytes()?;
        self.make_room_for(bytes.len());
        self.sequence = requests.last_sequence();
        let operation = requests.first_operation();
        match rustix::net::send(&self.socket, bytes, SendFlags::empty()) {
            Ok(sent) if sent == bytes.len() => Ok(()),
            Ok(_) => Err(Error::Answer { operation, problem: "it took only a part of the message" }),
            Err(errno) => Err(Refusal::new(operation, "", errno).into()),
        }
    }

    /// Lets the socket send messages of that length: the kernel refuses any that is longer than the socket's buffer.
    fn make_room_for(&self, length: usize) {
        if length > USUAL_MESSAGE {
            // If the kernel refuses, so it does the message, with an error that says more. Past the system's limit
            // for all it lets administrators only.
            let room = length.saturating_mul(2);
            let _ = rustix::net::sockopt::set_socket_send_buffer_size(&self.socket, room);
            let _ = rustix::net::sockopt::set_socket_send_buffer_size_force(&self.socket, room);
        }
    }

    fn receive<'b>(&self, buffer: &'b mut [u8], requests: &Requests<'_>) -> Result<&'b [u8]> {
        let operation = requests.first_operation();
        match rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((length, _)) => Ok(buffer.get(..length).unwrap_or_default()),
            Err(Errno::AGAIN) => Err(Error::Answer { operation, problem: "an answer is missing" }),
            Err(errno) => Err(Refusal::new(operation, "", errno).into()),
        }
    }
}

/// Does something in another network namespace and comes back. A socket that is opened there stays there.
///
/// Only the calling thread moves, as with [`Socket::open_in`].
///
/// # Errors
/// When `netns` cannot be entered; [`Error::NamespaceLost`] when coming back fails: then the process must end. Else
/// what `inside` gives.
pub fn visit<T>(netns: BorrowedFd<'_>, inside: impl FnOnce() -> Result<T>) -> Result<T> {
    let own = rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| {
        Refusal::new("open this thread's network namespace", "/proc/thread-self/ns/net", errno)
    })?;
    let network = Some(LinkNameSpaceType::Network);
    move_into_link_name_space(netns, network)
        .map_err(|errno| Refusal::new("enter the container's network namespace", "", errno))?;
    let done = inside();
    move_into_link_name_space(own.as_fd(), network).map_err(|errno| Error::NamespaceLost { errno })?;
    done
}
