//! Waiting for more of a log: the kernel tells of writes and renames (inotify(7)), and the supervisor of its container's
//! end. Nothing is looked at until one of them has something to say.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use bulkhead_supervisor::client::Connection;
use bulkhead_supervisor::protocol::Reply;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::error::{Doing, Result};

/// How often a log is looked at where the kernel has no watch left to give (`fs.inotify.max_user_instances`).
const UNWATCHED: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What is known of a log that may grow.
#[derive(Debug)]
pub struct Follower {
    watch: Option<OwnedFd>,
    /// The supervisor, which answers when the container has ended.
    end: Option<Connection>,
}

impl Follower {
    /// One that watches the folder of a log until whoever is at the other end of `end` has answered.
    pub(crate) fn new(folder: &Path, end: Option<Connection>) -> Follower {
        let watch = || -> rustix::io::Result<OwnedFd> {
            let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let events = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
            inotify::add_watch(&watch, folder, events)?;
            Ok(watch)
        };
        Follower { watch: end.as_ref().and_then(|_| watch().ok()), end }
    }

    /// Whether nothing will be added any more.
    pub fn is_over(&self) -> bool {
        self.end.is_none()
    }

    fn hear(&mut self) {
        if let Some(watch) = &self.watch {
            let mut events = [0u8; 4096];
            while rustix::io::read(watch, &mut events).is_ok_and(|length| length > 0) {}
        }
    }

    fn hear_of_the_end(&mut self) {
        if let Some(connection) = &self.end
            && matches!(connection.receive(), Ok(None | Some((Reply::Ended(_), _))) | Err(_))
        {
            (self.end, self.watch) = (None, None);
        }
    }
}

/// Waits until one of the logs may have more, has ended, or the time is over. `false`: nobody reads one of `outputs`
/// any more.
///
/// # Errors
/// The kernel's.
pub fn wait(
    followers: &mut [&mut Follower],
    outputs: &[BorrowedFd<'_>],
    timeout: Option<std::time::Duration>,
) -> Result<bool> {
    let unwatched = followers.iter().any(|follower| follower.watch.is_none() && follower.end.is_some());
    let mut timeout = timeout.map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    });
    if unwatched && timeout.is_none_or(|left| left.tv_sec > 0 || left.tv_nsec > UNWATCHED.tv_nsec) {
        timeout = Some(UNWATCHED);
    }
    let mut wanted: Vec<PollFd<'_>> =
        outputs.iter().map(|output| PollFd::from_borrowed_fd(*output, PollFlags::empty())).collect();
    let mut whose = Vec::new();
    for (index, follower) in followers.iter().enumerate() {
        for (fd, ends) in [
            (follower.watch.as_ref().map(AsFd::as_fd), false),
            (follower.end.as_ref().map(AsFd::as_fd), true),
        ] {
            if let Some(fd) = fd {
                wanted.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
                whose.push((index, ends));
            }
        }
    }
    match poll(&mut wanted, timeout.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(true),
        Err(error) => return Err(error).doing(|| "wait for the log"),
    }
    let ready: Vec<bool> = wanted.iter().map(|fd| !fd.revents().is_empty()).collect();
    let (gone, heard) = ready.split_at(outputs.len());
    for ((index, ends), _) in whose.into_iter().zip(heard).filter(|(_, ready)| **ready) {
        if let Some(follower) = followers.get_mut(index) {
            if ends {
                follower.hear_of_the_end();
            } else {
                follower.hear();
            }
        }
    }
    Ok(!gone.contains(&true))
}
