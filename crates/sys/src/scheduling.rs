//! How the kernel schedules a process, its disk accesses among it, and which execution domain it has:
//! sched_setattr(2), ioprio_set(2), personality(2).

use std::io;

use serde::{Deserialize, Serialize};

use crate::check;

/// A way to be scheduled, in the words of sched_setattr(2); what its policy does not use is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduler {
    /// SCHED_*.
    pub policy: u32,
    /// SCHED_FLAG_*.
    pub flags: u64,
    /// The nice value, of SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// The priority, of SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// Nanoseconds of each period that it may run, of SCHED_DEADLINE as the next two.
    pub runtime: u64,
    /// Within how many nanoseconds it has had them.
    pub deadline: u64,
    /// The period in nanoseconds.
    pub period: u64,
}

/// Sets the scheduling of the process `pid` (0: this one).
///
/// # Errors
/// EINVAL, EPERM, EBUSY (no deadline to be had), ESRCH.
pub fn set_scheduling(pid: i32, scheduler: Scheduler) -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(48),
        sched_policy: scheduler.policy,
        sched_flags: scheduler.flags,
        sched_nice: scheduler.nice,
        sched_priority: scheduler.priority,
        sched_runtime: scheduler.runtime,
        sched_deadline: scheduler.deadline,
        sched_period: scheduler.period,
    };
    // SAFETY: the structure has the kernel's layout, says its own size, and lives across the call.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, pid, &raw const attributes, 0) }).map(drop)
}

/// Sets the disk priority (class and level, as ioprio_set(2) packs them) of the process `pid` (0: this one).
///
/// # Errors
/// EINVAL, EPERM (the real-time class), ESRCH.
pub fn set_io_priority(pid: i32, priority: u16) -> io::Result<()> {
    const WHO_PROCESS: libc::c_int = 1;
    // SAFETY: only numbers are passed.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, pid, libc::c_int::from(priority)) })
        .map(drop)
}

/// Sets this process's execution domain.
///
/// # Errors
/// EINVAL.
pub fn set_personality(persona: u32) -> io::Result<()> {
    // SAFETY: only a number is passed.
    check(unsafe { libc::personality(persona.into()) }.into()).map(drop)
}
