//! One TCP connection, led on to the container: two ways, each through a pipe, by splice(2), so that no byte comes to
//! this process's memory.
//!
//! A way is read only while its pipe is empty: then splice's EAGAIN always means the socket, and what a connection can
//! have here is a pipe for each way. The end of one way is passed on as such (shutdown(2)) and the other goes on; a
//! connection that breaks on one side is reset on the other.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, accept_with, connect, listen, shutdown, socket_with,
    sockopt,
};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

use super::Way;
use crate::networks::ports::stop_listening;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);
/// How many may wait to be accepted.
const BACKLOG: i32 = 128;
/// What a pipe holds, in bytes, and how often it is filled before others have their turn.
const PIPE: usize = 65_536;
const TURNS: usize = 16;

/// A port that is listened at.
pub(super) struct Listener {
    pub(super) socket: Rc<OwnedFd>,
    pub(super) to: SocketAddr,
}

impl Listener {
    pub(super) fn begin(way: &Way) -> Result<Listener> {
        // What is accepted has this too: so the next who takes the port need not wait for what is left of old
        // connections. Nobody else can have it meanwhile, since this one listens.
        sockopt::set_socket_reuseaddr(&way.socket, true)?;
        listen(&way.socket, BACKLOG)?;
        Ok(Listener { socket: Rc::clone(&way.socket), to: way.to })
    }

    pub(super) fn stop(&self) -> Result<()> {
        stop_listening(&self.socket)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn accept(&self, number: u64) -> Result<Connection> {
        let client = accept_with(&self.socket, FLAGS)?;
        let begun = Connection::begin(&client, self.to);
        if begun.is_err() {
            let _ = reset(&client);
        }
        let (server, up, down) = begun?;
        Ok(Connection { number, client, server, connecting: true, up, down })
    }
}

/// A side of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Whoever came to the host's port.
    Client,
    /// The container.
    Server,
}

/// A connection.
pub(super) struct Connection {
    pub(super) number: u64,
    client: OwnedFd,
    server: OwnedFd,
    connecting: bool,
    /// From the client to the container, and back.
    up: OneWay,
    down: OneWay,
}

impl Connection {
    fn begin(client: &OwnedFd, to: SocketAddr) -> Result<(OwnedFd, OneWay, OneWay)> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let server = socket_with(family, SocketType::STREAM, FLAGS, None)?;
        for socket in [client, &server] {
            sockopt::set_tcp_nodelay(socket, true)?;
            // Peers that vanish without a word are not kept for ever.
            sockopt::set_socket_keepalive(socket, true)?;
        }
        let ways = (OneWay::new()?, OneWay::new()?);
        match connect(&server, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok((server, ways.0, ways.1)),
            // Nobody waits for who was refused at once: the event that follows says so.
            Err(Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH) => Err(Errno::CONNABORTED),
            Err(errno) => Err(errno),
        }
    }

    /// What is to be heard of.
    pub(super) fn watch<'a>(&'a self, mut want: impl FnMut(BorrowedFd<'a>, PollFlags, Side)) {
        for side in [Side::Client, Side::Server] {
            if let Some(flags) = self.wanted(side) {
                want(self.socket(side).as_fd(), flags, side);
            }
        }
    }

    fn socket(&self, side: Side) -> &OwnedFd {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    fn wanted(&self, side: Side) -> Option<PollFlags> {
        let (from, to) = match side {
            Side::Client => (&self.up, &self.down),
            Side::Server => (&self.down, &self.up),
        };
        let mut flags = PollFlags::empty();
        match (self.connecting, side) {
            (true, Side::Server) => flags |= PollFlags::OUT,
            (true, Side::Client) => {}
            (false, _) => {
                flags.set(PollFlags::IN, from.hungry());
                flags.set(PollFlags::OUT, to.held > 0);
            }
        }
        // A side that nothing is wanted of may still break. (Once it is told of the end, the same flags may mean that
        // it has ended its way too.)
        (!flags.is_empty() || !to.told).then_some(flags)
    }

    /// Does what can be done now; false if the connection is over.
    pub(super) fn goes_on(&mut self, side: Side) -> bool {
        let done = self.advance(side);
        if done.is_err() {
            let _ = reset(&self.client);
            let _ = reset(&self.server);
        }
        matches!(done, Ok(true))
    }

    fn advance(&mut self, side: Side) -> Result<bool> {
        if self.connecting {
            if side == Side::Client {
                return if self.broken(side)? { Err(Errno::CONNRESET) } else { Ok(true) };
            }
            sockopt::socket_error(&self.server)??;
            self.connecting = false;
            return Ok(true);
        }
        let (from, to) = match side {
            Side::Client => (&mut self.up, &mut self.down),
            Side::Server => (&mut self.down, &mut self.up),
        };
        let (socket, other) = match side {
            Side::Client => (&self.client, &self.server),
            Side::Server => (&self.server, &self.client),
        };
        let (reads, writes) = (from.hungry(), to.held > 0);
        if reads {
            from.pump(socket, other)?;
        }
        if writes {
            to.pump(other, socket)?;
        }
        if !reads && !writes && self.broken(side)? {
            return Err(Errno::CONNRESET);
        }
        Ok(!(self.up.told && self.down.told))
    }

    fn broken(&self, side: Side) -> Result<bool> {
        let mut socket = [PollFd::new(self.socket(side), PollFlags::empty())];
        poll(&mut socket, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        Ok(socket.iter().any(|socket| socket.revents().intersects(PollFlags::HUP | PollFlags::ERR)))
    }
}

/// Makes the end of a connection, when it is closed, a reset for the other side.
fn reset(socket: &OwnedFd) -> Result<()> {
    sockopt::set_socket_linger(socket, Some(Duration::ZERO))
}

/// What goes one way.
struct OneWay {
    read: OwnedFd,
    write: OwnedFd,
    /// How many bytes are in the pipe.
    held: usize,
    /// Whether its source has ended, and whether its target was told.
    ended: bool,
    told: bool,
}

impl OneWay {
    fn new() -> Result<OneWay> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(OneWay { read, write, held: 0, ended: false, told: false })
    }

    fn hungry(&self) -> bool {
        self.held == 0 && !self.ended
    }

    /// Moves what can be moved now.
    fn pump(&mut self, source: &OwnedFd, target: &OwnedFd) -> Result<()> {
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        for _ in 0..TURNS {
            if self.hungry() {
                match splice(source, None, &self.write, None, PIPE, flags) {
                    Ok(0) => self.ended = true,
                    Ok(count) => self.held = count,
                    Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                    Err(errno) => return Err(errno),
                }
            }
            while self.held > 0 {
                match splice(&self.read, None, target, None, self.held, flags) {
                    Ok(0) => return Err(Errno::PIPE),
                    Ok(count) => self.held = self.held.saturating_sub(count),
                    Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                    Err(errno) => return Err(errno),
                }
            }
            if self.ended {
                if !self.told {
                    self.told = true;
                    shutdown(target, Shutdown::Write)?;
                }
                return Ok(());
            }
        }
        Ok(())
    }
}
