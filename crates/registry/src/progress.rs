//! What is told while an image travels: the fields of Docker's JSON lines, from which a terminal draws bars.

use std::borrow::Cow;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is about: the first 12 digits of a layer's digest, or a tag.
    pub id: Option<String>,
    /// `Downloading`, `Pull complete`, …: Docker's words.
    pub status: Cow<'static, str>,
    /// Bytes so far and in all, with `Downloading` and `Pushing`.
    pub detail: Option<(u64, u64)>,
    /// What a finished push made.
    pub pushed: Option<Pushed>,
}

/// A manifest that a registry has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The tag that leads to it.
    pub tag: String,
    /// Its digest.
    pub digest: String,
    /// Its length, in bytes.
    pub size: u64,
}

impl Progress {
    /// A line about the whole.
    pub fn message(status: impl Into<Cow<'static, str>>) -> Progress {
        Progress { id: None, status: status.into(), detail: None, pushed: None }
    }

    /// A line about a part.
    pub fn of(id: &str, status: impl Into<Cow<'static, str>>) -> Progress {
        Progress { id: Some(id.to_owned()), ..Progress::message(status) }
    }
}

/// Tells of one part from a thread of its own.
pub(crate) struct Teller {
    id: String,
    to: Sender<Progress>,
    last: Option<Instant>,
}

impl Teller {
    /// How often bytes are told: Docker's 100 ms.
    const PACE: Duration = Duration::from_millis(100);

    pub(crate) fn new(id: String, to: Sender<Progress>) -> Teller {
        Teller { id, to, last: None }
    }

    pub(crate) fn say(&self, status: impl Into<Cow<'static, str>>) {
        // Whoever listens outlives the work.
        let _ = self.to.send(Progress::of(&self.id, status));
    }

    /// Tells of bytes, not more often than anybody can see.
    pub(crate) fn count(&mut self, status: &'static str, current: u64, total: u64) {
        let now = Instant::now();
        if self.last.is_none_or(|last| now.duration_since(last) >= Teller::PACE) {
            self.last = Some(now);
            let _ =
                self.to.send(Progress { detail: Some((current, total)), ..Progress::of(&self.id, status) });
        }
    }
}
