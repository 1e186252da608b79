//! `kill`: a signal for the container's first process, or for all of them.

use std::os::fd::AsFd;

use bulkhead_isolation::cgroups;
use bulkhead_sys::{pidfd, signals};
use clap::Args;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::Context;
use crate::error::{Doing, Error, Result};

const KILL: i32 = 9;

#[derive(Debug, Args)]
pub(super) struct Kill {
    /// Send it to every process of the container
    #[arg(short, long)]
    all: bool,
    /// The container
    id: String,
    /// The signal, by name or number
    #[arg(default_value = "SIGTERM", allow_hyphen_values = true)]
    signal: String,
}

impl Kill {
    pub(super) fn run(&self, context: &mut Context) -> Result<u8> {
        let signal = signals::parse(&self.signal)
            .ok_or_else(|| Error::invalid(format!("unknown signal \"{}\"", self.signal)))?;
        let container = context.store.find(&self.id)?;
        let group = &container.state.cgroup;
        if signal == KILL {
            // On version 1 a frozen process does not even die.
            cgroups::thaw_all(group)?;
        }
        if self.all {
            for pid in cgroups::processes(group)? {
                let Some(process) = Pid::from_raw(pid) else { continue };
                if let Ok(opened) = pidfd_open(process, PidfdFlags::empty())
                    // Its number may have come to mean another before it was opened.
                    && cgroups::processes(group)?.contains(&pid)
                {
                    let _ = pidfd::send_signal(opened.as_fd(), signal);
                }
            }
            return Ok(0);
        }
        let first = container.first().ok_or(Error::NotRunning)?;
        match pidfd::send_signal(first.as_fd(), signal) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
                Err(Error::NotRunning)
            }
            sent => sent.map(|()| 0).doing(|| format!("send {} to the container", self.signal)),
        }
    }
}
