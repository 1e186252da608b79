//! What the supervisor and the child of a birth or an entry say to each other, over one socket.

use std::os::fd::{BorrowedFd, OwnedFd};

use bulkhead_sys::channel;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::trace::Lap;
use crate::users::User;

/// The three standard streams of a program without a terminal.
pub type Streams = [OwnedFd; 3];

/// What the supervisor sends with the prepared mounts.
#[derive(Serialize, Deserialize)]
pub(crate) struct Delivery {
    /// Whom the program runs as.
    pub(crate) user: User,
    /// How many descriptors come in all; they travel in several messages when they are many.
    pub(crate) descriptors: usize,
}

/// What a child says.
#[derive(Serialize, Deserialize)]
pub(crate) enum Word {
    /// Its terminal's own side comes with this.
    Terminal,
    /// Its mounts are attached; it waits for what its hooks are to read.
    Mounted,
    /// Its filter asks at this descriptor of its: see [`crate::listener`].
    Listener(i32),
    /// How long its steps took.
    Laps(Vec<Lap>),
    /// It cannot go on.
    Failed(Error),
}

/// Says something to the supervisor; if it has gone there is nobody left to tell.
pub(crate) fn tell(socket: BorrowedFd<'_>, word: &Word, fds: &[BorrowedFd<'_>]) {
    if let Ok(body) = serde_json::to_vec(word) {
        let _ = channel::send(socket, &body, fds);
    }
}
