//! `events`: what happened, and what happens, to containers, images and volumes.
//!
//! Everybody who does something appends a line to a file ([`bulkhead_supervisor::events`]); here it is read. A reader
//! that follows sleeps until inotify(7) wakes it; of these a user can have a number only (`fs.inotify.max_user_instances`,
//! 128), and a reader beyond that looks ten times a second.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use bollard_stubs::models::{EventActor, EventMessage, EventMessageScopeEnum};
use bulkhead_supervisor::events::{Event, earlier};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use crate::Engine;
use crate::error::{Doing, Result};
use crate::store::containers::Container;

/// What happens, as it is read.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    /// The file before the present one, in which somebody slow may write still, and the present one.
    files: Vec<Part>,
    /// What wakes a reader; `None`: there is no more of that.
    woken: Option<OwnedFd>,
}

/// How often a reader looks that nothing wakes.
const UNWATCHED: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Part {
    number: u64,
    file: BufReader<File>,
    partial: Vec<u8>,
}

impl Engine {
    /// All that is remembered, and what comes.
    ///
    /// # Errors
    /// The folder of this boot cannot be made.
    pub fn events(&self) -> Result<Events> {
        let path = self.roots.events();
        crate::store::make_folder(&self.roots.state)?;
        let watch = || -> rustix::io::Result<OwnedFd> {
            let woken = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
            let wanted = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
            inotify::add_watch(&woken, &self.roots.state, wanted)?;
            Ok(woken)
        };
        let woken = watch().ok();
        let mut events = Events { files: Vec::new(), woken, path };
        // This order: what becomes the earlier file meanwhile is not missed.
        let now = events.open(events.path.clone());
        let before = events.open(earlier(&events.path));
        events
            .files
            .extend(before.filter(|before| now.as_ref().is_none_or(|now| now.number != before.number)));
        events.files.extend(now);
        Ok(events)
    }

    /// Tells that something happened to an image, a volume or a network.
    pub(crate) fn tell<const N: usize>(&self, kind: &str, action: &str, id: &str, more: [(&str, String); N]) {
        let attributes = more.map(|(key, value)| (key.to_owned(), value)).into();
        Event::now(kind, action, id, attributes).tell(&self.roots.events());
    }

    /// Tells that something happened to a container.
    pub(crate) fn tell_of<const N: usize>(
        &self,
        container: &Container,
        action: &str,
        more: [(&str, String); N],
    ) {
        let mut all = attributes(container);
        all.insert("name".into(), container.name.clone());
        all.extend(more.map(|(key, value)| (key.to_owned(), value)));
        Event::now("container", action, &container.id, all).tell(&self.roots.events());
    }
}

/// What each event says of a container beside its name: its image, and its labels.
pub(crate) fn attributes(container: &Container) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> =
        container.config.labels.clone().unwrap_or_default().into_iter().collect();
    all.insert("image".into(), container.config.image.clone().unwrap_or_default());
    all
}

impl Events {
    fn open(&self, path: PathBuf) -> Option<Part> {
        let file = File::open(path).ok()?;
        let number = file.metadata().ok()?.ino();
        Some(Part { number, file: BufReader::new(file), partial: Vec::new() })
    }

    /// The next event, in Docker's form; `None` when there is none yet.
    ///
    /// # Errors
    /// The file's.
    pub fn next_event(&mut self) -> Result<Option<EventMessage>> {
        for _ in 0..2 {
            for part in &mut self.files {
                if let Some(event) = part.next_event()? {
                    return Ok(Some(message(event)));
                }
            }
            let known = self.files.last().map(|part| part.number);
            match self.open(self.path.clone()) {
                Some(new) if known != Some(new.number) => self.files.push(new),
                _ => break,
            }
            if self.files.len() > 2 {
                self.files.remove(0);
            }
        }
        Ok(None)
    }

    /// Waits until there may be more; `false`: the time is over.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&self, most: Option<Duration>) -> Result<bool> {
        let Some(woken) = &self.woken else {
            std::thread::sleep(most.map_or(UNWATCHED, |most| most.min(UNWATCHED)));
            return Ok(most.is_none_or(|most| most > UNWATCHED));
        };
        let timeout = most.map(|most| Timespec {
            tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: most.subsec_nanos().into(),
        });
        let mut wanted = [PollFd::new(woken, PollFlags::IN)];
        match poll(&mut wanted, timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).doing(|| "wait for events"),
        }
        let mut nowhere = [0u8; 4096];
        // What woke us is only that it did; at most a queue full of it.
        for _ in 0..1024 {
            if !matches!(rustix::io::read(woken, &mut nowhere), Ok(length) if length > 0) {
                break;
            }
        }
        Ok(true)
    }
}

impl Part {
    fn next_event(&mut self) -> Result<Option<Event>> {
        loop {
            self.file.read_until(b'\n', &mut self.partial).doing(|| "read the events")?;
            if !self.partial.ends_with(b"\n") {
                return Ok(None);
            }
            let event = serde_json::from_slice(&self.partial);
            self.partial.clear();
            // One cut short by a full disk costs itself alone.
            if let Ok(event) = event {
                return Ok(Some(event));
            }
        }
    }
}

fn message(event: Event) -> EventMessage {
    let attributes: HashMap<String, String> = event.attributes.into_iter().collect();
    EventMessage {
        typ: event.kind.parse().ok(),
        action: Some(event.action),
        actor: Some(EventActor { id: Some(event.id), attributes: Some(attributes) }),
        scope: Some(EventMessageScopeEnum::LOCAL),
        time: Some(event.time / 1_000_000_000),
        time_nano: Some(event.time),
    }
}
