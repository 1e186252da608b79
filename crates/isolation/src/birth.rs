//! Birth: a plan is carried out, and a container's first program runs.
//!
//! Two processes take part. The *supervisor* (this file) has the host's rights: it makes the control group,
//! clones the child into its new namespaces, maps the IDs, has the network wired, and prepares every mount that
//! needs the host as a detached descriptor. The *child* ([`crate::child`]) has only what its namespaces give
//! it: it receives the descriptors, attaches them, leaves the host's tree behind and executes the program.
//!
//! They talk over one socket: the supervisor sends what it prepared; the child sends its terminal, or the step
//! that failed; that the program runs shows in the socket's end, since execve closes it.
//!
//! The process that calls must have one thread (see [`bulkhead_sys::process::clone3`]).

mod unborn;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::cgroups::{Cgroup, Created};
use crate::error::{Result, Step};
use crate::mounts::{Newborn, Said};
use crate::namespaces::{self, net::NetNamespace, pid::PidNamespace};
use crate::plan::Plan;
use crate::trace::Trace;
use crate::{mounts, priorities, rlimits, rootfs, users};

pub use crate::messages::Streams;
pub(crate) use unborn::Unborn;

/// A program that runs, in a container.
#[derive(Debug)]
pub struct Running {
    /// Its process ID as the supervisor's PID namespace numbers it.
    pub pid: i32,
    /// The same, safe from reuse.
    pub pidfd: OwnedFd,
    /// The terminal's own side, if it was given one.
    pub terminal: Option<OwnedFd>,
}

/// A container that runs.
#[derive(Debug)]
pub struct Born {
    /// Its first program.
    pub first: Running,
    /// Its control group.
    pub cgroup: Created,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
    /// Whether files with the IDs of its own range may stay on the host when it has gone.
    pub leaves_ids: bool,
}

/// How long a birth may take, in seconds, filling large volumes included.
const PATIENCE: i64 = 600;

/// What is done on the way by whoever has a container born.
pub trait Attendant {
    /// Makes its control group. As it is: by the kernel's files.
    ///
    /// # Errors
    /// Nothing is born.
    fn group(&mut self, cgroup: &Cgroup) -> Result<Created> {
        Created::create(cgroup)
    }

    /// Wires its new network namespace.
    ///
    /// # Errors
    /// Those of the network; the birth ends with them.
    fn wire(&mut self, network: BorrowedFd<'_>) -> Result<()>;

    /// If the plan has hooks: its mounts are attached, and the host's tree is there still. `pid` is its first process.
    /// Gives what the hooks in the child read.
    ///
    /// # Errors
    /// The birth ends with them.
    fn mounted(&mut self, pid: i32) -> Result<Vec<u8>> {
        let _ = pid;
        Ok(Vec::new())
    }

    /// The filter of process `pid` asks at `listener`, and somebody must answer. When this returns, its program runs.
    ///
    /// # Errors
    /// The birth ends with them. As it is: nobody answers.
    fn listens(&mut self, pid: i32, listener: OwnedFd) -> Result<()> {
        crate::listener::nobody(pid, listener)
    }

    /// All is done for it: when this returns, the program of process `pid` is let go, or held if the plan says so.
    ///
    /// # Errors
    /// The birth ends with them.
    fn ready(&mut self, pid: i32) -> Result<()> {
        let _ = pid;
        Ok(())
    }
}

impl<W: FnMut(BorrowedFd<'_>) -> Result<()>> Attendant for W {
    fn wire(&mut self, network: BorrowedFd<'_>) -> Result<()> {
        self(network)
    }
}

/// Carries out `plan`. `handles` are the descriptors that it refers to; `streams` are the program's standard
/// streams (with a terminal they are ignored); `attendant` is called on the way, often a closure that wires the network.
///
/// # Errors
/// The first step that failed. Nothing is left behind: no process, group, mount or namespace.
pub fn bring(
    plan: &Plan,
    handles: &[OwnedFd],
    streams: Option<Streams>,
    attendant: &mut dyn Attendant,
    trace: &mut Trace,
) -> Result<Born> {
    // Looked at before the clone: the child, in its own user namespace, would see that one.
    bulkhead_sys::namespaces::nested();
    namespaces::time::prepare(plan.namespaces.time)?;
    let cgroup = attendant.group(&plan.cgroup)?;
    trace.lap("control group");
    let born = bring_in(plan, handles, streams, attendant, &cgroup, trace);
    match born {
        Ok((first, Said { warnings, leaves_ids })) => Ok(Born { first, cgroup, warnings, leaves_ids }),
        Err(error) => {
            drop(cgroup);
            if plan.namespaces.pid != PidNamespace::New {
                // What was born in somebody else's namespace and is held back there ends with nothing else.
                let _ = crate::cgroups::kill_all(&plan.cgroup.path);
            }
            // The error above is the one to tell; an empty group that stays is found by the next command.
            let _ = crate::cgroups::remove(&plan.cgroup.path);
            Err(error)
        }
    }
}

fn bring_in(
    plan: &Plan,
    handles: &[OwnedFd],
    streams: Option<Streams>,
    attendant: &mut dyn Attendant,
    cgroup: &Created,
    trace: &mut Trace,
) -> Result<(Running, Said)> {
    let unborn = Unborn::clone(plan, handles, cgroup, streams.as_ref(), trace.on())?;
    trace.lap("clone into namespaces");
    let mapping = unborn.map_ids(&plan.namespaces.user, handles)?;
    let mapping = mapping.as_ref().map(AsFd::as_fd);
    unborn.adjust_oom_score(plan.process.oom_score_adj)?;
    trace.lap("ID mappings");
    let root = rootfs::prepare(&plan.rootfs, mapping)?;
    trace.lap("overlay");
    let user = users::of(root.as_fd(), &plan.process)?;
    if let Some(streams) = &streams {
        own_streams(streams, plan.namespaces.user.outside(user.uid, user.gid)?)?;
    }
    let net = || unborn.net_namespace();
    let newborn = Newborn { namespaces: &plan.namespaces, mapping, cgroup, net: &net };
    let (mounts, said) = mounts::prepare(&plan.mounts, handles, &newborn, &user)?;
    trace.lap("mounts prepared");
    unborn.hand_over(&user, &root, &mounts)?;
    drop((root, mounts));
    // The network is wired while the child attaches its mounts: it waits for both before it goes on.
    if plan.namespaces.net == NetNamespace::New {
        attendant.wire(unborn.net_namespace()?.as_fd())?;
    }
    trace.lap("network wired");
    // Alone in its PID namespace, nobody can hold the child back.
    let patience = if plan.namespaces.pid == PidNamespace::New { PATIENCE } else { PATIENCE / 20 };
    if plan.hooks.is_some() {
        unborn.see_it_mounted(patience)?;
        unborn.say(&attendant.mounted(unborn.pid)?, &[])?;
    }
    let done = rlimits::apply(&plan.process.rlimits, Some(unborn.pid))
        .and_then(|()| priorities::apply(&plan.process.extras, unborn.pid))
        .and_then(|()| attendant.ready(unborn.pid));
    done.or_else(|error| unborn.if_it_lives(error))?;
    unborn.let_go()?;
    Ok((unborn.see_it_run(patience, trace, &mut |pid, listener| attendant.listens(pid, listener))?, said))
}

/// Gives the streams that are pipes to the program's user, so that it can open /dev/stdout and the like.
pub(crate) fn own_streams(streams: &Streams, (uid, gid): (u32, u32)) -> Result<()> {
    use rustix::fs::{FileType, Gid, Uid, fchown, fstat};
    if (uid, gid) == (0, 0) {
        return Ok(());
    }
    for stream in streams {
        let stat = fstat(stream).step("standard streams", || "look at a standard stream")?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo {
            fchown(stream, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .step("standard streams", || "give a pipe to the program's user")?;
        }
    }
    Ok(())
}
