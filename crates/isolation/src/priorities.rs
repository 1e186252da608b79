//! How a program is scheduled (sched(7)) and how its disk accesses are (ioprio_set(2)), set from outside: in a user
//! namespace of its own a child has no right to anything but less.

use bulkhead_sys::scheduling;
pub use bulkhead_sys::scheduling::Scheduler;
use rustix::thread::CpuSet;

use crate::error::{Result, Step};
use crate::plan::Extras;

const STEP: &str = "priorities";

/// Has a process (0: this one), and what it starts, run on these processors alone; of those that there are, and that its
/// group has, at least one must be among them.
///
/// # Errors
/// There is none.
pub fn run_on(pid: i32, processors: &[u32]) -> Result<()> {
    let mut set = CpuSet::new();
    for number in processors.iter().filter_map(|number| usize::try_from(*number).ok()) {
        if number < CpuSet::MAX_CPU {
            set.set(number);
        }
    }
    let pid = rustix::process::Pid::from_raw(pid);
    rustix::thread::sched_setaffinity(pid, &set)
        .step(STEP, || format!("run on the processors {processors:?}"))
}

/// The highest number that a processor can have, and one.
pub const PROCESSORS: u32 = 1024;

/// Sets them for the child `pid` (for this process itself: 0), and for what it executes.
pub(crate) fn apply(extras: &Extras, pid: i32) -> Result<()> {
    if let Some(scheduler) = extras.scheduler {
        scheduling::set_scheduling(pid, scheduler).step(STEP, || "set how the program is scheduled")?;
    }
    if let Some(processors) = &extras.processors {
        run_on(pid, processors)?;
    }
    if let Some(priority) = extras.io_priority {
        scheduling::set_io_priority(pid, priority)
            .step(STEP, || "set the priority of the program's disk accesses")?;
    }
    Ok(())
}
