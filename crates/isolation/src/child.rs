//! The child's side of a birth, from the clone to execve: in its own namespaces, with the rights these give.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::channel;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::cgroups::Created;
use crate::error::{Error, Result, Step};
use crate::messages::{Delivery, Streams, Word, tell};
use crate::namespaces::mnt;
use crate::namespaces::user::{self, UserNamespace};
use crate::plan::{Plan, Process};
use crate::trace::Trace;
use crate::{hooks, mounts, program, sysctls, terminal};

/// Becomes the container's first program. Returns only the reason why it could not.
pub(crate) fn be_born(
    plan: &Plan,
    cgroup: &Created,
    streams: Option<&Streams>,
    socket: BorrowedFd<'_>,
    held: Option<BorrowedFd<'_>>,
    trace: bool,
) -> Error {
    match live(plan, cgroup, streams, socket, held, trace) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn live(
    plan: &Plan,
    cgroup: &Created,
    streams: Option<&Streams>,
    socket: BorrowedFd<'_>,
    held: Option<BorrowedFd<'_>>,
    trace: bool,
) -> Result<std::convert::Infallible> {
    let mut trace = Trace::new(trace);
    hide()?;
    cgroup.enter()?;
    leave_descriptors(&plan.process, socket, streams, held)?;
    plan.namespaces.cgroup.make()?;
    mnt::cut_off()?;
    plan.namespaces.uts.name_itself()?;
    trace.lap("alone");

    let (delivery, prepared) = receive(socket)?;
    trace.lap("received");
    if plan.namespaces.user != UserNamespace::Host {
        user::become_root()?;
    }
    let mut prepared = prepared.into_iter();
    let root =
        prepared.next().ok_or_else(|| Error::new("root file system", "no root file system arrived"))?;
    mnt::attach_root(root.as_fd(), plan.rootfs.whole.as_ref().map(|whole| whole.path.as_str()))?;
    mounts::attach_all(&plan.mounts, root.as_fd(), &mut prepared, &plan.namespaces, &delivery.user, cgroup)?;
    trace.lap("mounts");
    sysctls::apply(root.as_fd(), &plan.sysctls)?;
    mounts::mask::make_readonly(root.as_fd(), &plan.readonly_paths)?;
    mounts::mask::mask(root.as_fd(), &plan.masked_paths)?;
    trace.lap("masks");
    let mut state = Vec::new();
    if let Some(hooks) = &plan.hooks {
        tell(socket, &Word::Mounted, &[]);
        state = await_word(socket)?;
        hooks::run(&hooks.before_pivot, &state)?;
    }
    mnt::pivot(root.as_fd())?;
    trace.lap("pivot");

    rustix::process::setsid().step("session", || "start a session")?;
    let console = match plan.process.terminal {
        Some(size) => Some(terminal::allocate(size, delivery.user.uid, socket)?),
        None => None,
    };
    if let Some(console) = &console {
        terminal::mount_console(console)?;
    }
    program::make_cwd(root.as_fd(), &plan.process.cwd)?;
    if plan.rootfs.readonly {
        mounts::make_root_readonly(root.as_fd())?;
    }
    drop(root);
    await_word(socket)?;
    trace.lap("network");
    if trace.on() {
        tell(socket, &Word::Laps(std::mem::replace(&mut trace, Trace::new(false)).into_laps()), &[]);
    }
    let mut taken = (console.as_ref(), streams);
    if held.is_some() {
        // Whoever gave birth may wait for the end of its own streams.
        program::take_streams(taken.0, taken.1)?;
        taken = (None, None);
    }
    let become_program = |state: &[u8], socket: BorrowedFd<'_>| {
        hooks::run(
            plan.hooks.as_ref().map(|hooks| hooks.before_program.as_slice()).unwrap_or_default(),
            state,
        )?;
        program::execute(&plan.process, &delivery.user, taken.0, taken.1, socket)
    };
    match held {
        None => become_program(&state, socket),
        Some(listener) => {
            program::look_for(&plan.process)?;
            // Whoever gave birth goes on; what fails from now on is told to whoever lets the child go.
            rustix::net::shutdown(socket, rustix::net::Shutdown::Both)
                .step("hold", || "let go of whoever gave birth")?;
            crate::hold::wait(listener, become_program)
        }
    }
}

/// Until execve, this process is the engine's own executable inside a container: nobody in there may trace it,
/// read its memory or reach its executable through /proc/PID/exe.
pub(crate) fn hide() -> Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).step("hide", || "make the child undumpable")
}

/// Closes what was inherited from the supervisor but for the streams, the socket and `also`: none of its descriptors
/// may be there when a path of the container's making is walked (`/proc/self/fd/N/..`).
pub(crate) fn leave_descriptors(
    process: &Process,
    socket: BorrowedFd<'_>,
    streams: Option<&Streams>,
    also: Option<BorrowedFd<'_>>,
) -> Result<()> {
    let kept: Vec<BorrowedFd<'_>> =
        streams.into_iter().flatten().map(AsFd::as_fd).chain([socket]).chain(also).collect();
    let first = 3 + process.extras.descriptors;
    bulkhead_sys::process::close_all_but(first, &kept)
        .step("descriptors", || "close the supervisor's descriptors")
}

fn receive(socket: BorrowedFd<'_>) -> Result<(Delivery, Vec<OwnedFd>)> {
    let gone = || Error::new("receive", "the supervisor has gone");
    let next = || channel::receive(socket).step("receive", || "hear from the supervisor");
    let first = next()?.ok_or_else(gone)?;
    let delivery: Delivery = serde_json::from_slice(&first.body)
        .map_err(|error| Error::new("receive", format!("cannot read the supervisor's message: {error}")))?;
    let mut fds = first.fds;
    while fds.len() < delivery.descriptors {
        fds.extend(next()?.ok_or_else(gone)?.fds);
    }
    Ok((delivery, fds))
}

fn await_word(socket: BorrowedFd<'_>) -> Result<Vec<u8>> {
    match channel::receive(socket).step("receive", || "hear from the supervisor")? {
        Some(message) => Ok(message.body),
        None => Err(Error::new("receive", "the supervisor has gone")),
    }
}
