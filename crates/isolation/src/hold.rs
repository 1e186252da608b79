//! A container that is made and waits to be started, with nobody left of those who made it.
//!
//! Its first process, all done but the program's last steps, waits at a socket (unix(7)) that was opened for it before it
//! was born; its maker may end. Whoever connects to it, by the name in a folder that no container can reach, lets it go,
//! and hears of it why the program could not be run; the connection's end, which execve closes, says that it runs. No
//! file of the container's is asked for any of this, and nothing is left running beside it.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use bulkhead_sys::channel;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::error::{Error, Result, Step};
use crate::listener::{self, Listens};
use crate::messages::{Word, tell};

/// Makes the socket `name` in `folder`, for a [`Plan::hold`](crate::Plan::hold).
///
/// # Errors
/// The kernel's; EADDRINUSE if there is one.
pub fn listen(folder: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    let listener =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&listener, &address(folder, name)?)?;
    rustix::net::listen(&listener, 8)?;
    Ok(listener)
}

/// Whether a child waits at the socket.
pub fn is_held(folder: BorrowedFd<'_>, name: &str) -> bool {
    // Not to be waited for: so many may have come that no more are let in at the moment.
    let look = || -> io::Result<()> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok(rustix::net::connect(&socket, &address(folder, name)?)?)
    };
    look().map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |()| true)
}

/// Lets the `child` go (its number, and a pidfd); `state` is what its hooks read, `listens` gets what its filter asks at.
/// Returns when its program runs.
///
/// # Errors
/// Nobody waits there, or the program cannot be run: the process has ended then.
pub fn release(
    folder: BorrowedFd<'_>,
    name: &str,
    state: &[u8],
    child: (i32, BorrowedFd<'_>),
    listens: Listens<'_>,
) -> Result<()> {
    let connection = connect(folder, name).step("hold", || "reach the process that waits to be started")?;
    channel::send(&connection, state, &[]).step("hold", || "let the process go")?;
    while let Some(message) = channel::receive(&connection).step("hold", || "hear from the process")? {
        match serde_json::from_slice(&message.body) {
            Ok(Word::Failed(error)) => return Err(error),
            Ok(Word::Listener(number)) => {
                listener::take(connection.as_fd(), child, number, &mut *listens)?;
            }
            _ => return Err(Error::new("hold", "the process sent a message that cannot be read")),
        }
    }
    Ok(())
}

/// In the child: waits to be let go, and then does `last`, which returns only the reason why it could not.
pub(crate) fn wait(
    listener: BorrowedFd<'_>,
    last: impl FnOnce(&[u8], BorrowedFd<'_>) -> Result<Infallible>,
) -> Result<Infallible> {
    let (connection, state) = loop {
        let connection = match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
            Err(rustix::io::Errno::INTR) => continue,
            accepted => accepted.step("hold", || "wait to be started")?,
        };
        // One who only looks says nothing.
        if let Ok(Some(message)) = channel::receive(&connection) {
            break (connection, message.body);
        }
    };
    last(&state, connection.as_fd())
        .inspect_err(|error| tell(connection.as_fd(), &Word::Failed(error.clone()), &[]))
}

fn connect(folder: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &address(folder, name)?)?;
    Ok(socket)
}

/// By way of the descriptor, since an address holds 107 bytes only.
fn address(folder: BorrowedFd<'_>, name: &str) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new(PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd())))?)
}
