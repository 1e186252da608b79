//! A socket of nf_tables that stays open between changes of one thread.
//!
//! The kernel frees what was taken out of a set after a grace period, and who closes a socket of nf_tables in the same
//! namespace before that waits for it (5 to 15 ms). So on a host where containers come and go each start would wait
//! for another's end, if it closed its socket. A supervisor is one thread, which opens one socket for its container's
//! life; the kernel closes it with the process, for which nobody waits.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

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

impl Kept {
    /// The thread's socket, or a new one if it has none in the namespace that it is in now.
    pub(super) fn open() -> Result<Self> {
        const NAMESPACE: &str = "/proc/thread-self/ns/net";
        let namespace = rustix::fs::stat(NAMESPACE)
            .map_err(|errno| Refusal::new("look at this thread's network namespace", NAMESPACE, errno))?
            .st_ino;
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
