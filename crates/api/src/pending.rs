//! Clients that attach to a container before it is started, as `docker run` does: they miss nothing of what it says.
//!
//! The server keeps the far ends of their pipes until a request starts the container, and its supervisor has them from the
//! first byte on.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use bulkhead_engine::protocol::Attach;

use crate::failure::Failure;

/// How many may wait for one container: all their streams go to its supervisor in one message.
const MOST: usize = 32;

/// All that wait.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    all: Mutex<(u64, Vec<Waiting>)>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    container: String,
    wanted: Attach,
    streams: Vec<OwnedFd>,
}

/// One that waits. Dropped, it waits no longer.
#[derive(Debug)]
pub(crate) struct Place {
    pending: Arc<Pending>,
    number: u64,
}

impl Pending {
    fn all(&self) -> MutexGuard<'_, (u64, Vec<Waiting>)> {
        // The server has one thread, and what is done here cannot fail in the middle.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `streams` until the container, of that full ID, is started.
    pub(crate) fn keep(
        self: &Arc<Self>,
        container: String,
        wanted: Attach,
        streams: Vec<OwnedFd>,
    ) -> Result<Place, Failure> {
        let mut all = self.all();
        if all.1.iter().filter(|waiting| waiting.container == container).count() >= MOST {
            let why = format!("{MOST} clients wait for container {container} to be started already");
            return Err(Failure::new(StatusCode::CONFLICT, why));
        }
        all.0 += 1;
        let number = all.0;
        all.1.push(Waiting { number, container, wanted, streams });
        Ok(Place { pending: Arc::clone(self), number })
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.all().1.is_empty()
    }

    /// Those that wait for the container of that full ID, in the order of their coming.
    pub(crate) fn take(&self, container: &str) -> Vec<(Attach, Vec<OwnedFd>)> {
        let mut all = self.all();
        let (taken, left) = all.1.drain(..).partition(|waiting| waiting.container == container);
        all.1 = left;
        drop(all);
        let taken: Vec<Waiting> = taken;
        taken.into_iter().map(|waiting| (waiting.wanted, waiting.streams)).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pending.all().1.retain(|waiting| waiting.number != self.number);
    }
}
