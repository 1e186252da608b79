//! `kill` and `stop`: signals, sent by the supervisor, which holds the first program's pidfd.

use std::time::{Duration, Instant};

use bulkhead_supervisor::protocol::{Reply, Request};
use bulkhead_sys::signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Doing, Error, Result};
use crate::store::containers::Container;
use crate::{Condition, Engine};

/// Docker's grace period.
const USUAL_GRACE: i64 = 10;

impl Engine {
    /// Sends a signal to the first program of a running container. One that is meant to end it keeps its restart policy
    /// from starting it again.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self, container: &Container, signal: i32) -> Result<()> {
        self.kill_by(container, signal, Wish::Somebodys)
    }

    fn kill_by(&self, container: &Container, signal: i32, wish: Wish) -> Result<()> {
        let not_running = || {
            Error::Conflict(format!(
                "cannot kill container: {}: container {} is not running",
                container.name, container.id
            ))
        };
        let condition = self.condition(container)?;
        if condition.active().is_none() {
            return Err(not_running());
        }
        let ends = signal == 9 || signals::parse(stop_signal(container)) == Some(signal);
        if ends {
            self.keep_down(container, wish)?;
            // No program was there, and now none will be.
            if let Condition::Restarting(_) = condition
                && self.condition(container)?.active().is_none()
            {
                return Ok(());
            }
        }
        match self.ask(container, &Request::Signal(signal), &[]) {
            Ok((Reply::Done, _)) => {
                // What is frozen would not hear it.
                if ends && condition.word() == "paused" {
                    let _ = self.ask(container, &Request::Freeze(false), &[]);
                }
                Ok(())
            }
            // ESRCH: it has ended this moment.
            Ok((Reply::Failed(error), _)) if error.errno == Some(3) => Err(not_running()),
            Ok((Reply::Failed(error), _)) => Err(error.into()),
            Ok((other, _)) => Err(Error::Corrupt(format!("the supervisor answered {other:?} to a signal"))),
            Err(_) if self.condition(container)?.active().is_none() => Err(not_running()),
            Err(error) => Err(error),
        }
    }

    /// Asks a container to end, and ends it when its time (seconds; negative: for ever) is over. One that does
    /// not run is stopped already.
    ///
    /// # Errors
    /// A signal that is none, or a supervisor that cannot be reached.
    pub fn stop(&self, container: &Container, signal: Option<&str>, grace: Option<i64>) -> Result<()> {
        let word = signal.unwrap_or(stop_signal(container));
        let number = signals::parse(word).ok_or_else(|| Error::Invalid(format!("Invalid signal: {word}")))?;
        let grace = grace.or(container.config.stop_timeout).unwrap_or(USUAL_GRACE);
        let mut stopped = false;
        // Once, but for a container that is being started again by its restart policy in this moment.
        for _ in 0..100 {
            if self.condition(container)?.active().is_none() {
                if stopped {
                    bulkhead_sys::fail::point("stop: ended");
                    self.tell_of(container, "stop", []);
                }
                return Ok(());
            }
            self.stop_once(container, number, grace)?;
            stopped = true;
        }
        Err(Error::Conflict(format!("container {} is started again whenever it is stopped", container.name)))
    }

    fn stop_once(&self, container: &Container, number: i32, grace: i64) -> Result<()> {
        let stopping = self.ask_to_end(container, number, grace, Wish::Somebodys)?;
        self.end_stopping(container, stopping)
    }

    /// Asks a container to end as it wants to be asked, since the machine goes down, and does not wait.
    pub(crate) fn begin_to_stop(&self, container: &Container) -> Result<Stopping> {
        let word = stop_signal(container);
        let number = signals::parse(word).ok_or_else(|| Error::Invalid(format!("Invalid signal: {word}")))?;
        let grace = container.config.stop_timeout.unwrap_or(USUAL_GRACE);
        self.ask_to_end(container, number, grace, Wish::Machines)
    }

    fn ask_to_end(&self, container: &Container, number: i32, grace: i64, wish: Wish) -> Result<Stopping> {
        let connection = match self.connect(container) {
            Ok(connection) => connection,
            // It has ended between the look and the call.
            Err(_) if self.condition(container)?.active().is_none() => return Ok(Stopping::Ended),
            Err(error) => return Err(error),
        };
        // It has ended, or was killed, since it was reached: the next look says.
        if connection.send(&Request::Wait, &[]).is_err() {
            return Ok(Stopping::Ended);
        }
        bulkhead_sys::fail::point("stop: supervisor reached");
        self.keep_down(container, wish)?;
        bulkhead_sys::fail::point("stop: policy told");
        if grace != 0 {
            match self.kill_by(container, number, wish) {
                Ok(()) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        bulkhead_sys::fail::point("stop: asked");
        // A time beyond what the clock can count is for ever, as a negative one.
        let until =
            u64::try_from(grace).ok().and_then(|s| Instant::now().checked_add(Duration::from_secs(s)));
        Ok(Stopping::Asked(connection, until, wish))
    }

    /// Waits until it has ended, and ends it when its time is over.
    pub(crate) fn end_stopping(&self, container: &Container, stopping: Stopping) -> Result<()> {
        let Stopping::Asked(connection, until, wish) = stopping else { return Ok(()) };
        if ended_by(&connection, until)? {
            return Ok(());
        }
        match self.kill_by(container, 9, wish) {
            Ok(()) | Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        ended_by(&connection, None).map(drop)
    }

    /// Tells the supervisor that the restart policy does not hold for this end, whatever the record says: it may just be
    /// given another policy. A supervisor of an older version does not know of policies, and says so.
    fn keep_down(&self, container: &Container, wish: Wish) -> Result<()> {
        let request = match wish {
            Wish::Somebodys => Request::StayDown,
            Wish::Machines => Request::GoDown,
        };
        match self.ask(container, &request, &[]) {
            Ok(_) => Ok(()),
            Err(_) if self.condition(container)?.active().is_none() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whose wish it is that a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Somebody's: it stays down over boots, as its policy says.
    Somebodys,
    /// The machine goes down: the next boot starts it again.
    Machines,
}

/// A container that is being stopped.
pub(crate) enum Stopping {
    /// It has ended by itself.
    Ended,
    /// It was asked to end: the connection tells when it has, and then its time is over.
    Asked(bulkhead_supervisor::client::Connection, Option<Instant>, Wish),
}

/// What asks the container to end.
fn stop_signal(container: &Container) -> &str {
    container.config.stop_signal.as_deref().unwrap_or("SIGTERM")
}

/// Whether the supervisor has told of the end before the time is over.
fn ended_by(connection: &bulkhead_supervisor::client::Connection, until: Option<Instant>) -> Result<bool> {
    loop {
        let left = match until {
            None => None,
            Some(until) => match until.checked_duration_since(Instant::now()) {
                Some(left) => Some(left),
                None => return Ok(false),
            },
        };
        let timeout = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        let mut wanted = [PollFd::new(connection, PollFlags::IN)];
        match poll(&mut wanted, timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => {
                // An end without a word is an end too.
                let told = connection.receive().doing(|| "hear from the supervisor")?;
                if matches!(told, None | Some((Reply::Ended(_), _))) {
                    return Ok(true);
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).doing(|| "wait for the container's end"),
        }
    }
}
