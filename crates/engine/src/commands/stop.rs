//! `kill` and `stop`: signals, sent by the supervisor, which holds the first program's pidfd.

use std::time::{Duration, Instant};

use bulkhead_supervisor::protocol::{Reply, Request};
use bulkhead_sys::signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Doing, Error, Result};
use crate::store::containers::Container;
use crate::{Condition, Engine, id};

/// Docker's grace period.
const USUAL_GRACE: i64 = 10;

impl Engine {
    /// Sends a signal to the first program of a running container.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self, container: &Container, signal: i32) -> Result<()> {
        let not_running = || {
            Error::Conflict(format!(
                "cannot kill container: {}: container {} is not running",
                container.name, container.id
            ))
        };
        if self.condition(container)?.running().is_none() {
            return Err(not_running());
        }
        match self.ask(container, &Request::Signal(signal), &[]) {
            Ok((Reply::Done, _)) => Ok(()),
            // ESRCH: it has ended this moment.
            Ok((Reply::Failed(error), _)) if error.errno == Some(3) => Err(not_running()),
            Ok((Reply::Failed(error), _)) => Err(error.into()),
            Ok((other, _)) => Err(Error::Corrupt(format!("the supervisor answered {other:?} to a signal"))),
            Err(_) if self.condition(container)?.running().is_none() => Err(not_running()),
            Err(error) => Err(error),
        }
    }

    /// Asks a container to end, and ends it when its time (seconds; negative: for ever) is over. One that does
    /// not run is stopped already.
    ///
    /// # Errors
    /// A signal that is none, or a supervisor that cannot be reached.
    pub fn stop(&self, container: &Container, signal: Option<&str>, grace: Option<i64>) -> Result<()> {
        let Condition::Running(_) = self.condition(container)? else { return Ok(()) };
        let word = signal.or(container.config.stop_signal.as_deref()).unwrap_or("SIGTERM");
        let number = signals::parse(word).ok_or_else(|| Error::Invalid(format!("Invalid signal: {word}")))?;
        let grace = grace.or(container.config.stop_timeout).unwrap_or(USUAL_GRACE);
        let connection = match self.connect(container) {
            Ok(connection) => connection,
            // It has ended between the look and the call.
            Err(_) if self.condition(container)?.running().is_none() => return Ok(()),
            Err(error) => return Err(error),
        };
        connection
            .send(&Request::Wait, &[])
            .doing(|| format!("wait for container {}", id::short(&container.id)))?;
        if grace != 0 {
            match self.kill(container, number) {
                Ok(()) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
            // A time beyond what the clock can count is for ever, as a negative one.
            let until =
                u64::try_from(grace).ok().and_then(|s| Instant::now().checked_add(Duration::from_secs(s)));
            if ended_by(&connection, until)? {
                return Ok(());
            }
        }
        match self.kill(container, 9) {
            Ok(()) | Err(Error::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
        ended_by(&connection, None).map(drop)
    }
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
