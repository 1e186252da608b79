//! A socket of nf_tables that stays open between changes of one thread.
//!
//! The kernel frees what was taken out of a set after a grace period, and who closes a socket of nf_tables in the same
//! namespace before that waits for it (5 to 15 ms). So on a host where containers come and go each start would wait
//! for another's end, if it closed its socket. A supervisor is one thread, which opens one socket for its container's
//! life; the kernel closes it with the process, for which nobody waits.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::os::fd::OwnedFd;

use crate::error::{Refusal, Result};
use crate::netlink::Socket;

thread_local! {
    /// The number of the network namespace that it is in, and the socket.
    static KEPT: Cell<Option<(u64, Socket)>> = const { Cell::new(None) };
}

/// The socket, for one change. It is only kept if that went well: see [`Kept::keep`].
#[derive(Debug)]
pub(super) struct Kept {
    namespace: u64,
    socket: Socket,
}

/// The thread's socket, if it has one, for another process that goes on with it: whoever closes it last may have to wait,
/// and that should be who has nobody waiting for it. This thread opens another when it needs one.
#[must_use]
pub fn hand_over() -> Option<OwnedFd> {
    KEPT.take().map(|(_, socket)| socket.into_fd())
}

/// Goes on with a socket that another process [handed over](hand_over), in the same network namespace.
///
/// # Errors
/// When /proc cannot be read.
pub fn adopt(socket: OwnedFd) -> Result<()> {
    KEPT.set(Some((namespace()?, Socket::of(socket))));
    Ok(())
}

/// The number of the network namespace that the thread is in.
fn namespace() -> Result<u64> {
    const NAMESPACE: &str = "/proc/thread-self/ns/net";
    let stat = rustix::fs::stat(NAMESPACE)
        .map_err(|errno| Refusal::new("look at this thread's network namespace", NAMESPACE, errno))?;
    Ok(stat.st_ino)
}

impl Kept {
    /// The thread's socket, or a new one if it has none in the namespace that it is in now.
    pub(super) fn open() -> Result<Self> {
        let namespace = namespace()?;
        match KEPT.take() {
            Some((there, socket)) if there == namespace => Ok(Self { namespace, socket }),
            _ => Ok(Self { namespace, socket: super::open()? }),
        }
    }

    /// Keeps it for the next change.
    pub(super) fn keep(self) {
        KEPT.set(Some((self.namespace, self.socket)));
    }
}

impl Deref for Kept {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }
}
