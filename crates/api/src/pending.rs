//! Clients that attach to a container before it is started, as `docker run` does: they miss nothing of what it says.
//!
//! The server keeps the far ends of their pipes until a request starts the container, and its supervisor has them from the
//! first byte on.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use bulkhead_engine::id;
use bulkhead_engine::protocol::Attach;
use tokio::sync::{oneshot, watch};

use crate::failure::Failure;

/// How many may wait for one container: all their streams go to its supervisor in one message.
const MOST: usize = 32;

/// All that wait.
#[derive(Debug)]
pub(crate) struct Pending {
    all: Mutex<(u64, Vec<Waiting>)>,
    /// What is being started, as clients call it.
    starting: Mutex<Vec<String>>,
    /// Counts the starts that are over, in whatever way.
    started: watch::Sender<u64>,
}

impl Default for Pending {
    fn default() -> Pending {
        Pending { all: Mutex::default(), starting: Mutex::default(), started: watch::Sender::new(0) }
    }
}

/// A start that goes on. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct Start {
    pending: Arc<Pending>,
    container: String,
}

impl Drop for Start {
    fn drop(&mut self) {
        let mut starting = self.pending.starting();
        if let Some(at) = starting.iter().position(|name| *name == self.container) {
            starting.swap_remove(at);
        }
        drop(starting);
        self.pending.started.send_modify(|count| *count += 1);
    }
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    container: String,
    wanted: Attach,
    streams: Vec<OwnedFd>,
    /// Dropped when the streams are taken.
    _taken: oneshot::Sender<()>,
}

/// One that waits. Dropped, it waits no longer.
#[derive(Debug)]
pub(crate) struct Place {
    pending: Arc<Pending>,
    number: u64,
    taken: oneshot::Receiver<()>,
}

impl Place {
    /// Waits until its streams are somebody else's.
    pub(crate) async fn taken(&mut self) {
        // Nothing is ever sent: the sender goes with the place.
        let _ = (&mut self.taken).await;
    }
}

impl Pending {
    fn all(&self) -> MutexGuard<'_, (u64, Vec<Waiting>)> {
        // The server has one thread, and what is done here cannot fail in the middle.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn starting(&self) -> MutexGuard<'_, Vec<String>> {
        self.starting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that a request starts a container, which it calls so.
    pub(crate) fn start(self: &Arc<Self>, container: &str) -> Start {
        self.starting().push(container.to_owned());
        Start { pending: Arc::clone(self), container: container.to_owned() }
    }

    /// Whether the container of that full ID may be about to run.
    pub(crate) fn is_starting(&self, container: &str) -> bool {
        // By another name it may be any.
        self.starting().iter().any(|name| name == container || !id::is_full(name))
    }

    /// Changes with each start that is over.
    pub(crate) fn started(&self) -> watch::Receiver<u64> {
        self.started.subscribe()
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
        let (sender, taken) = oneshot::channel();
        all.1.push(Waiting { number, container, wanted, streams, _taken: sender });
        Ok(Place { pending: Arc::clone(self), number, taken })
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

/// What each of those who waited wants, and the streams of all: so they go to a request's process.
pub(crate) fn apart(waiting: Vec<(Attach, Vec<OwnedFd>)>) -> (Vec<Attach>, Vec<OwnedFd>) {
    let (wanted, streams): (Vec<Attach>, Vec<Vec<OwnedFd>>) = waiting.into_iter().unzip();
    (wanted, streams.into_iter().flatten().collect())
}

/// The other way.
pub(crate) fn together(wanted: &[Attach], streams: Vec<OwnedFd>) -> Vec<(Attach, Vec<OwnedFd>)> {
    let mut streams = streams.into_iter();
    wanted.iter().map(|wanted| (*wanted, streams.by_ref().take(wanted.count()).collect())).collect()
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pending.all().1.retain(|waiting| waiting.number != self.number);
    }
}
