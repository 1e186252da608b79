//! How many clients there may be at once, and who goes when there are too many.
//!
//! Each costs descriptors, of which a process has so many: the server raises its limit as far as it may, and takes as many
//! connections as these are enough for. When all are taken, whoever has said nothing for the longest time goes for the
//! newcomer, so that connections which nobody uses shut nobody out. Where all are in use, a newcomer waits a while, and
//! then is told so.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Notify;
use tokio::time::timeout;

/// What one may need: its own socket, its request's process and pipe, a session's streams and their far ends.
const DESCRIPTORS_EACH: u64 = 8;
/// As many are enough for anybody.
const MOST: u64 = 4096;
/// As many there are whatever the limit is.
const FEWEST: u64 = 16;
/// How long a newcomer waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Raises the limit of descriptors as far as this process may; gives what it was, which is what children are to have.
pub(crate) fn raise_limit() -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    // Where that is not allowed, there are fewer connections.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before });
    before
}

/// Sets the limit as it was.
pub(crate) fn restore_limit(before: Rlimit) {
    // To lower one's own is always allowed.
    let _ = setrlimit(Resource::Nofile, before);
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The last number that was given, of connections and of moments.
    last: u64,
    all: BTreeMap<u64, One>,
    /// Whether a newcomer has waited in vain, and none has come in since.
    hopeless: bool,
}

#[derive(Debug)]
struct One {
    requests: usize,
    /// Since when it has been idle: the greater, the later.
    since: u64,
    told_to_go: Arc<Notify>,
}

/// A connection's place among them.
#[derive(Debug)]
pub(crate) struct Slot {
    connections: Arc<Connections>,
    number: u64,
    told_to_go: Arc<Notify>,
}

/// A connection that is in use, as long as this lives.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Slot>);

impl Connections {
    /// As many as the limit of descriptors is enough for.
    pub(crate) fn within_limit() -> Connections {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = (descriptors / DESCRIPTORS_EACH).clamp(FEWEST, MOST);
        Connections::at_most(usize::try_from(most).unwrap_or(usize::MAX))
    }

    fn at_most(most: usize) -> Connections {
        Connections { most, state: Mutex::default(), freed: Notify::new() }
    }

    /// How many there may be.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The server has one thread, and nothing that is done under the lock can fail in the middle.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a newcomer, at once: a free one, or that of whoever is idle for the longest time.
    fn take_now(self: &Arc<Self>) -> Option<Arc<Slot>> {
        let mut state = self.state();
        if state.all.len() >= self.most {
            let idle = state.all.iter().filter(|(_, one)| one.requests == 0);
            let number = idle.min_by_key(|(_, one)| one.since).map(|(number, _)| *number)?;
            if let Some(one) = state.all.remove(&number) {
                one.told_to_go.notify_one();
            }
        }
        state.last += 1;
        let number = state.last;
        let told_to_go = Arc::new(Notify::new());
        state.all.insert(number, One { requests: 0, since: number, told_to_go: Arc::clone(&told_to_go) });
        state.hopeless = false;
        drop(state);
        Some(Arc::new(Slot { connections: Arc::clone(self), number, told_to_go }))
    }

    /// A place for a newcomer; `None`: there is none.
    pub(crate) async fn take(self: &Arc<Self>) -> Option<Arc<Slot>> {
        if let Some(slot) = self.take_now() {
            return Some(slot);
        }
        // Who comes when somebody has waited in vain learns at once that it is of no use.
        if self.state().hopeless {
            return None;
        }
        let waited = timeout(PATIENCE, async {
            loop {
                self.freed.notified().await;
                if let Some(slot) = self.take_now() {
                    return slot;
                }
            }
        });
        let taken = waited.await.ok();
        self.state().hopeless = taken.is_none();
        taken
    }
}

impl Slot {
    /// Waits until somebody else needs the place.
    pub(crate) async fn told_to_go(&self) {
        self.told_to_go.notified().await;
    }

    /// Says that the connection is in use.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        if let Some(one) = self.connections.state().all.get_mut(&self.number) {
            one.requests += 1;
        }
        Busy(Arc::clone(self))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.state().all.remove(&self.number);
        self.connections.freed.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.connections.state();
        state.last += 1;
        let now = state.last;
        if let Some(one) = state.all.get_mut(&self.0.number) {
            one.requests = one.requests.saturating_sub(1);
            one.since = now;
        }
        drop(state);
        self.0.connections.freed.notify_one();
    }
}

/// An answer's body: until it is sent, its connection is in use.
pub(crate) struct InUse {
    body: Body,
    _busy: Option<Busy>,
}

impl InUse {
    pub(crate) fn new(body: Body, busy: Option<Busy>) -> InUse {
        InUse { body, _busy: busy }
    }
}

impl hyper::body::Body for InUse {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Does `work` until it is done or somebody else needs the connection's place.
pub(crate) async fn unless_told_to_go<F: Future>(slot: &Slot, work: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        () = slot.told_to_go() => None,
        done = work => Some(done),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Connections;

    #[test]
    fn the_one_that_is_idle_for_the_longest_time_goes() {
        let all = Arc::new(Connections::at_most(2));
        let first = all.take_now().unwrap();
        let second = all.take_now().unwrap();
        // The first has said something since.
        drop(first.busy());
        let third = all.take_now().unwrap();
        let left = |all: &Connections| all.state().all.keys().copied().collect::<Vec<_>>();
        assert_eq!(left(&all), [first.number, third.number]);
        // It may end after it lost its place.
        drop(second);
        assert_eq!(left(&all), [first.number, third.number]);
        let (one, two) = (first.busy(), third.busy());
        assert!(all.take_now().is_none());
        drop(one);
        assert!(all.take_now().is_some());
        drop(two);
    }

    #[test]
    fn who_waits_gets_the_place_that_is_given_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let all = Arc::new(Connections::at_most(1));
            let first = all.take().await.unwrap();
            let busy = first.busy();
            drop(first);
            let waiting = tokio::spawn({
                let all = Arc::clone(&all);
                async move { all.take().await.is_some() }
            });
            tokio::task::yield_now().await;
            drop(busy);
            assert!(waiting.await.unwrap());
        });
    }
}
