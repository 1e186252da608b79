//! Datagrams, led on to the container: each client has a socket of its own towards it, by which answers are known to be
//! that client's. Nobody says when that is over, so a client is forgotten after a silence, as connection tracking
//! does (nf_conntrack_udp_timeout, nf_conntrack_udp_timeout_stream), or before if others come and there is no room.
//!
//! What cannot be sent at once is lost, as datagrams are.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::io::Result;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, recvfrom, send, sendto,
    socket_with, sockopt,
};

use super::{TURN, Way};

/// The most clients of one port at once.
const FLOWS: usize = 256;
/// After which silence one is forgotten that never had an answer, and one that had.
const UNANSWERED: Duration = Duration::from_secs(30);
const ANSWERED: Duration = Duration::from_secs(120);
/// How much may wait to be read, in bytes: the kernel's default is a little less.
const WAITING: usize = 256 * 1024;

/// A port's datagrams.
pub(super) struct Relay {
    pub(super) socket: Rc<OwnedFd>,
    to: SocketAddr,
    pub(super) flows: Vec<Flow>,
}

/// One client's.
pub(super) struct Flow {
    pub(super) number: u64,
    client: SocketAddr,
    socket: OwnedFd,
    last: Instant,
    answered: bool,
}

impl Flow {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn over(&self) -> Instant {
        self.last + if self.answered { ANSWERED } else { UNANSWERED }
    }
}

impl Relay {
    pub(super) fn begin(way: &Way) -> Result<Relay> {
        sockopt::set_socket_recv_buffer_size(&way.socket, WAITING)?;
        Ok(Relay { socket: Rc::clone(&way.socket), to: way.to, flows: Vec::new() })
    }

    pub(super) fn stop(&self) -> Result<()> {
        sockopt::set_socket_recv_buffer_size(&self.socket, 0)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn lead_to(&mut self, to: SocketAddr) {
        if self.to != to {
            self.to = to;
            self.flows.clear();
        }
    }

    /// Clients' datagrams, to the container.
    pub(super) fn pass_on(&mut self, buffer: &mut [u8], next: &mut u64) {
        for _ in 0..TURN {
            let Ok((length, _, from)) = recvfrom(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) else {
                return;
            };
            let from = from.and_then(|address| SocketAddr::try_from(address).ok());
            let (Some(client), Some(datagram)) = (from, buffer.get(..length)) else { continue };
            let Ok(flow) = self.flow(client, next) else { continue };
            flow.last = Instant::now();
            let _ = send(&flow.socket, datagram, SendFlags::DONTWAIT);
        }
    }

    fn flow(&mut self, client: SocketAddr, next: &mut u64) -> Result<&mut Flow> {
        let at = match self.flows.iter().position(|flow| flow.client == client) {
            Some(at) => at,
            None => {
                let family = if self.to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
                connect(&socket, &self.to)?;
                if self.flows.len() >= FLOWS {
                    let idle = self.flows.iter().enumerate().min_by_key(|(_, flow)| flow.over());
                    if let Some((at, _)) = idle {
                        self.flows.swap_remove(at);
                    }
                }
                let number = *next;
                *next += 1;
                self.flows.push(Flow { number, client, socket, last: Instant::now(), answered: false });
                self.flows.len() - 1
            }
        };
        self.flows.get_mut(at).ok_or(rustix::io::Errno::NOENT)
    }

    /// The container's datagrams, to the client.
    pub(super) fn answer(&mut self, number: u64, buffer: &mut [u8]) {
        let Some(flow) = self.flows.iter_mut().find(|flow| flow.number == number) else { return };
        for _ in 0..TURN {
            // An error is what became of an earlier datagram, and is over when it is read.
            let Ok((length, _)) = recv(&flow.socket, &mut *buffer, RecvFlags::DONTWAIT) else { return };
            let Some(datagram) = buffer.get(..length) else { return };
            flow.last = Instant::now();
            flow.answered = true;
            let _ = sendto(&self.socket, datagram, SendFlags::DONTWAIT, &flow.client);
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.flows.iter().map(Flow::over).min()
    }

    pub(super) fn forget_idle(&mut self, now: Instant) {
        self.flows.retain(|flow| flow.over() > now);
    }
}
