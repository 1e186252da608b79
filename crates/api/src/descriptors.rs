//! Descriptors that the server waits for: pipes, terminals and connections to supervisors, none of which may block it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use bulkhead_engine::Connection;
use bulkhead_engine::protocol::Reply;
use rustix::event::epoll;
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the runtime.
#[expect(
    deprecated,
    reason = "deprecated since a type could give another descriptor each time; ours own one and give that"
)]
fn wait_for<T: AsFd + AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, interest)
}

/// A pipe's end, or a terminal's own side.
#[derive(Debug)]
pub(crate) struct Stream(AsyncFd<OwnedFd>);

impl Stream {
    /// Makes it non-blocking, for everybody who has it.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Stream> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        wait_for(fd, Interest::READABLE | Interest::WRITABLE).map(Stream)
    }

    /// Reads what there is; nothing at the end. Nothing is lost if this is no longer waited for.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|fd| Ok(rustix::io::read(fd, &mut *buffer)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // A terminal whose other side is closed (pty(7)).
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => return Ok(0),
                Ok(result) => return result,
                Err(_blocks) => {}
            }
        }
    }

    /// Writes all.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
            match ready.try_io(|fd| Ok(rustix::io::write(fd, bytes)?)) {
                Ok(Ok(written)) => bytes = bytes.get(written..).unwrap_or_default(),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                Err(_blocks) => {}
            }
        }
        Ok(())
    }

    /// Waits until nobody can read what is written to it.
    pub(crate) async fn unread(&self) {
        // What cannot be waited for is over.
        let _ = self.0.ready(Interest::ERROR).await;
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

/// A connection to a supervisor.
pub(crate) struct Supervisor(AsyncFd<Connection>);

impl Supervisor {
    pub(crate) fn new(connection: OwnedFd) -> io::Result<Supervisor> {
        rustix::io::ioctl_fionbio(&connection, true)?;
        wait_for(Connection::from(connection), Interest::READABLE).map(Supervisor)
    }

    /// What it says next; `None`: it has ended.
    pub(crate) async fn hear(&self) -> io::Result<Option<Reply>> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(heard) = ready.try_io(|connection| connection.get_ref().receive()) {
                return Ok(heard?.map(|(reply, _)| reply));
            }
        }
    }
}

/// Tells when a client has gone for good, where reading tells only that it has nothing more to say: such a one may still
/// listen. (A socket whose both directions are closed is EPOLLHUP, which epoll(7) tells even if nothing is asked of it.)
pub(crate) struct Hangup(AsyncFd<OwnedFd>);

impl Hangup {
    pub(crate) fn of(socket: impl AsFd) -> io::Result<Hangup> {
        Hangup::by(socket, epoll::EventFlags::empty())
    }

    /// The same of a client that ends only what it says over a connection that lasts (TLS): it has gone when it sends no
    /// more.
    pub(crate) fn of_sender(socket: impl AsFd) -> io::Result<Hangup> {
        Hangup::by(socket, epoll::EventFlags::RDHUP)
    }

    fn by(socket: impl AsFd, also: epoll::EventFlags) -> io::Result<Hangup> {
        let watch = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&watch, socket, epoll::EventData::new_u64(0), also)?;
        wait_for(watch, Interest::READABLE).map(Hangup)
    }

    pub(crate) async fn wait(&self) {
        let _ = self.0.readable().await;
    }
}
