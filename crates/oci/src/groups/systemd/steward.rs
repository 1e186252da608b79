//! A child of this process that talks to systemd, for two reasons. A new scope must have a process in it, and is over when
//! it has none: the steward is that until the container's first process is there. If this process is killed before, the
//! steward ends with it, the scope is empty, and systemd removes it: nothing is left, whatever the moment. And whoever
//! waits for systemd has a time limit, however it hangs: the steward is killed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_isolation::{Error, Result, Step};
use bulkhead_sys::process::{CloneArgs, Cloned, clone3, exit_now};
use bulkhead_sys::{channel, pidfd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use super::STEP;
use super::bus::Answer;

/// How long systemd may take for one request, in seconds.
const PATIENCE: i64 = 30;
/// What begins the word of something done; an answer follows.
const DONE: char = '+';
/// What begins the word of something that failed; the reason follows.
const FAILED: char = '-';

/// One that lives; dropped, it is ended.
pub(super) struct Steward {
    pid: i32,
    pidfd: OwnedFd,
    socket: OwnedFd,
}

/// Its side of the talk.
pub(super) struct Voice<'s>(BorrowedFd<'s>);

impl Steward {
    /// Has `work` done in a child. It says what came of each request by its voice; of the last one by what it returns.
    pub(super) fn begin(work: impl FnOnce(&Voice<'_>) -> Answer<String>) -> Result<Steward> {
        let (ours, theirs) = channel::pair().step(STEP, || "make a socket to the steward")?;
        let maker = rustix::process::getpid();
        match clone3(&CloneArgs::default()).step(STEP, || "make the steward")? {
            Cloned::Parent { pid, pidfd } => Ok(Steward { pid, pidfd, socket: ours }),
            Cloned::Child => {
                drop(ours);
                let voice = Voice(theirs.as_fd());
                let killed =
                    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
                // One that was killed before that tells nobody of its death any more.
                let orphaned = rustix::process::getppid() != Some(maker);
                if killed.is_ok() && !orphaned {
                    voice.say(work(&voice));
                }
                exit_now(0)
            }
        }
    }

    /// Has one request done.
    pub(super) fn ask(work: impl FnOnce() -> Answer<String>) -> Result<String> {
        Steward::begin(|_| work())?.hear()
    }

    /// Its number.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// What came of a request.
    pub(super) fn hear(&self) -> Result<String> {
        let until = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
        loop {
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&until)) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(0) => {
                    return Err(Error::new(
                        STEP,
                        format!("systemd has not answered within {PATIENCE} seconds"),
                    ));
                }
                polled => {
                    polled.step(STEP, || "wait for systemd")?;
                    break;
                }
            }
        }
        let said = channel::receive(&self.socket).step(STEP, || "hear of systemd")?;
        let said =
            said.map(|message| String::from_utf8_lossy(&message.body).into_owned()).unwrap_or_default();
        match (said.strip_prefix(DONE), said.strip_prefix(FAILED)) {
            (Some(answer), _) => Ok(answer.to_owned()),
            (_, Some(why)) => Err(Error::new(STEP, why)),
            _ => Err(Error::new(STEP, "whoever asked systemd has ended without a word")),
        }
    }

    /// Lets it go on, and hears what came of that.
    pub(super) fn go_on(&self) -> Result<String> {
        channel::send(&self.socket, b"on", &[]).step(STEP, || "have systemd asked")?;
        self.hear()
    }
}

impl Drop for Steward {
    fn drop(&mut self) {
        // It may have ended; nobody else reaps it.
        let _ = pidfd::send_signal(self.pidfd.as_fd(), 9);
        let _ = pidfd::wait(&self.pidfd, true);
    }
}

impl Voice<'_> {
    /// Says what came of a request, and waits to be let go on; `false`: it is not.
    pub(super) fn pause(&self, answer: Answer<String>) -> bool {
        let went_well = answer.is_ok();
        self.say(answer);
        went_well && matches!(channel::receive(self.0), Ok(Some(_)))
    }

    fn say(&self, answer: Answer<String>) {
        let said = match answer {
            Ok(answer) => format!("{DONE}{answer}"),
            Err(why) => format!("{FAILED}{why}"),
        };
        // Whoever does not hear this has ended.
        let _ = channel::send(self.0, said.as_bytes(), &[]);
    }
}
