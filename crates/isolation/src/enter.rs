//! Entry: a later program joins a container that runs (exec).
//!
//! The supervisor, which stands outside, clones a child into the container's control group, PID namespace and
//! mounts; the child then joins the other namespaces by the first program's pidfd, all at once, and takes the same
//! last steps as a first program does.

use std::os::fd::{AsFd, BorrowedFd};

use bulkhead_sys::namespaces as ns;
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::birth::{Running, Unborn, own_streams};
use crate::cgroups::Created;
use crate::child::{hide, leave_descriptors};
use crate::error::{Error, Result, Step};
use crate::listener::{self, Listens};
use crate::messages::Streams;
use crate::namespaces::user::{self, UserNamespace};
use crate::namespaces::{self, JoinedAtClone, Namespaces};
use crate::plan::Process;
use crate::trace::Trace;
use crate::{priorities, program, rlimits, terminal, users};

/// How long an entry may take, in seconds.
const PATIENCE: i64 = 10;

/// A container that can be entered.
#[derive(Clone, Copy)]
pub struct Container<'a> {
    /// Its first program.
    pub first: BorrowedFd<'a>,
    /// The namespaces that it was born with.
    pub namespaces: &'a Namespaces,
    /// Its control group.
    pub cgroup: &'a Created,
}

/// Runs `process` in the container, with `streams` unless it has a terminal.
///
/// # Errors
/// The first step that failed; nothing is left behind.
pub fn enter(
    container: Container<'_>,
    process: &Process,
    streams: Option<Streams>,
    trace: &mut Trace,
) -> Result<Running> {
    enter_listened(container, process, streams, trace, &mut listener::nobody)
}

/// The same for a program whose filter may ask.
///
/// # Errors
/// The same, and those of `listens`.
pub fn enter_listened(
    container: Container<'_>,
    process: &Process,
    streams: Option<Streams>,
    trace: &mut Trace,
    listens: Listens<'_>,
) -> Result<Running> {
    // The child is visible in the container from its first moment: it must not have the host's files then.
    let joined = JoinedAtClone::enter_process(container.first)?;
    let unborn = Unborn::fork(0, container.cgroup, |socket| {
        match live(container, process, streams.as_ref(), socket) {
            Err(error) => error,
            Ok(never) => match never {},
        }
    })?;
    drop(joined);
    trace.lap("clone into the container");
    unborn.adjust_oom_score(process.oom_score_adj)?;
    unborn.see_it_run(PATIENCE, trace, listens)
}

/// Finds the user in the container's own files, with the rights that the container's root has over files by its ID, and
/// no others: a link there may lead into a bind of the host's.
fn resolve(container: Container<'_>, process: &Process) -> Result<users::User> {
    let (uid, gid) = container.namespaces.user.outside(0, 0)?;
    let root = openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .step("exec", || "open the container's root")?;
    bulkhead_sys::process::with_files_of(uid, gid, || users::of(root.as_fd(), process))
}

fn live(
    container: Container<'_>,
    process: &Process,
    streams: Option<&Streams>,
    socket: BorrowedFd<'_>,
) -> Result<std::convert::Infallible> {
    hide()?;
    container.cgroup.enter()?;
    leave_descriptors(process, socket, streams, Some(container.first))?;
    // While this process still has the host's rights.
    rlimits::apply(&process.rlimits, None)?;
    priorities::apply(&process.extras, 0)?;
    let user = resolve(container, process)?;
    if let Some(streams) = streams {
        // The pipes are the host root's.
        own_streams(streams, container.namespaces.user.outside(user.uid, user.gid)?)?;
    }
    let mut rest =
        namespaces::uts::FLAG | namespaces::ipc::FLAG | namespaces::net::FLAG | namespaces::cgroup::FLAG;
    if container.namespaces.user != UserNamespace::Host {
        rest |= namespaces::user::FLAG;
    }
    if container.namespaces.time != namespaces::time::TimeNamespace::Host {
        rest |= namespaces::time::FLAG;
    }
    ns::join(container.first, rest).step("exec", || "join the container's namespaces")?;
    if container.namespaces.user != UserNamespace::Host {
        user::become_root()?;
    }
    rustix::process::setsid().step("session", || "start a session")?;
    let console = match process.terminal {
        Some(size) => Some(terminal::allocate(size, user.uid, socket)?),
        None => None,
    };
    if process.cwd.is_empty() {
        return Err(Error::new("exec", "no working directory was given"));
    }
    program::execute(process, &user, console.as_ref(), streams, socket)
}
