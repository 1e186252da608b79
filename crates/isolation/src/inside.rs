//! Work on a container's files, done by a process that has no more rights over them than the container's own root has.
//!
//! Whoever copies files in or out (`cp`) has to deal with names, links and mounts that somebody else makes, and may change
//! at any moment. So the work is done by a child which has entered the container's mount namespace, where `/` is the
//! container's, and its user namespace, where root is nobody outside; all it has of this side are the descriptors that it
//! is handed. What it could be lured to do the container's root could have done itself. It executes nothing, and no file
//! of the container's is loaded as code.
//!
//! A container that does not run gets its root and its binds, volumes and images mounted in a namespace of the child's
//! own, the way a birth mounts them; the kernel's file systems (/proc, /sys, /dev) stay out.
//!
//! The child is in neither the container's PID namespace nor its control group: nobody in there sees it, unless the
//! container shares the host's processes (and then [`hide`](crate::child::hide) keeps them off), and it works while the
//! container is frozen.
//!
//! The calling process must have one thread (see [`bulkhead_sys::process::clone3`]).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::process::{CloneArgs, Cloned, clone3, exit_now};
use bulkhead_sys::{channel, pidfd};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::child::hide;
use crate::error::{Error, Result, Step};
use crate::mounts::bind::Binder;
use crate::mounts::{self, Mount, Source};
use crate::namespaces::user::{self, UserNamespace, for_mounts};
use crate::namespaces::{self, mnt};
use crate::rootfs::{self, Rootfs};
use crate::users::{self, User, UserSpec};

const STEP: &str = "enter";

/// Where the container's files are.
#[derive(Debug)]
pub enum Place<'a> {
    /// It runs.
    Running {
        /// Its mount namespace.
        mounts: OwnedFd,
        /// Its user namespace, unless it has the host's.
        user: Option<OwnedFd>,
    },
    /// It does not, and is not started before the work is done.
    Stopped {
        /// Its root.
        rootfs: &'a Rootfs,
        /// Binds and images, in the order of the plan.
        mounts: &'a [Mount],
        /// Its IDs.
        user: UserNamespace,
        /// Whom its program runs as: some binds are mapped for that user.
        program: &'a UserSpec,
        /// Groups beyond those.
        groups: &'a [String],
    },
}

/// What the child has.
#[derive(Debug)]
pub struct Inside {
    /// The container's root.
    pub root: OwnedFd,
    /// The folder of its own descriptors (/proc/self/fd).
    pub descriptors: OwnedFd,
    /// To whoever sent it.
    pub socket: OwnedFd,
}

/// The child, as who sent it sees it. Dropped, it is ended.
#[derive(Debug)]
pub struct Worker {
    pidfd: OwnedFd,
    socket: OwnedFd,
}

/// What is mounted for a container that does not run.
struct Prepared {
    root: OwnedFd,
    mounts: Vec<OwnedFd>,
    program: User,
}

/// Sends a child in, to do `work` there. It keeps those of this process's descriptors that `kept` names, and no others.
///
/// # Errors
/// What is needed cannot be mounted, or no process be made. What fails in the child [`Worker::receive`] tells.
pub fn send_in(
    place: &Place<'_>,
    kept: &[BorrowedFd<'_>],
    work: impl FnOnce(&Inside) -> Result<()>,
) -> Result<Worker> {
    let made;
    let (user, prepared) = match place {
        Place::Running { user, .. } => (user.as_ref(), None),
        Place::Stopped { rootfs, mounts, user, program, groups } => {
            made = user.mappings().map(for_mounts).transpose()?;
            let mapping = made.as_ref().map(AsFd::as_fd);
            (made.as_ref(), Some(prepare(rootfs, mounts, user, program, groups, mapping)?))
        }
    };
    let (ours, theirs) = channel::pair().step(STEP, || "make a socket to a child")?;
    match clone3(&CloneArgs::default()).step(STEP, || "clone a child")? {
        Cloned::Parent { pidfd, .. } => Ok(Worker { pidfd, socket: ours }),
        Cloned::Child => {
            let mut keep = kept.to_vec();
            keep.push(theirs.as_fd());
            keep.extend(user.map(AsFd::as_fd));
            if let Place::Running { mounts, .. } = place {
                keep.push(mounts.as_fd());
            }
            if let Some(prepared) = &prepared {
                keep.extend(prepared.mounts.iter().chain([&prepared.root]).map(AsFd::as_fd));
            }
            let work = || -> Result<()> {
                hide()?;
                bulkhead_sys::process::close_all_but(3, &keep).step(STEP, || "close other descriptors")?;
                let socket = theirs.try_clone().step(STEP, || "keep the socket")?;
                work(&enter(place, user, prepared.as_ref(), socket)?)
            };
            let done = work();
            if let Err(error) = done {
                // Who hears nothing knows that it failed.
                let _ = channel::send(
                    &theirs,
                    &serde_json::to_vec(&Err::<(), _>(error)).unwrap_or_default(),
                    &[],
                );
            }
            exit_now(0);
        }
    }
}

fn prepare(
    rootfs: &Rootfs,
    mounts: &[Mount],
    user: &UserNamespace,
    program: &UserSpec,
    groups: &[String],
    mapping: Option<BorrowedFd<'_>>,
) -> Result<Prepared> {
    let root = rootfs::prepare(rootfs, mapping)?;
    let program = users::resolve(root.as_fd(), program, groups)?;
    let mut binder = Binder::new(user, &program);
    let mut made = Vec::new();
    for mount in mounts {
        made.push(match &mount.source {
            Source::Bind(bind) => binder.prepare(bind, mount.attributes)?,
            Source::Image(layers) => rootfs::readonly(layers, mapping)?,
            _ => return Err(Error::new(STEP, format!("{} is no bind and no image", mount.target))),
        });
    }
    Ok(Prepared { root, mounts: made, program })
}

/// In the child.
fn enter(
    place: &Place<'_>,
    user: Option<&OwnedFd>,
    prepared: Option<&Prepared>,
    socket: OwnedFd,
) -> Result<Inside> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // The host's /proc, while it is seen.
    let descriptors =
        openat(CWD, "/proc/self/fd", folder, Mode::empty()).step(STEP, || "open /proc/self/fd")?;
    if let Place::Running { mounts, .. } = place {
        bulkhead_sys::namespaces::join(mounts.as_fd(), mnt::FLAG)
            .step(STEP, || "join the container's mounts")?;
    }
    if let Some(user) = user {
        bulkhead_sys::namespaces::join(user.as_fd(), namespaces::user::FLAG)
            .step(STEP, || "join the container's user namespace")?;
        user::become_root()?;
    }
    if let (Place::Stopped { rootfs, mounts, .. }, Some(prepared)) = (place, prepared) {
        bulkhead_sys::namespaces::unshare(mnt::FLAG).step(STEP, || "make a mount namespace")?;
        mnt::cut_off()?;
        let root = prepared.root.as_fd();
        mnt::attach_root(root, None)?;
        for (mount, made) in mounts.iter().zip(&prepared.mounts) {
            mounts::attach_made(mount, made, root, &prepared.program)?;
        }
        mnt::pivot(root)?;
        if rootfs.readonly {
            mounts::make_root_readonly(root)?;
        }
    }
    // Who sent it may be killed while it waits for a stream that never ends. (A change of IDs would undo this: it is last.)
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .step(STEP, || "end with whoever sent the child")?;
    // New files get the modes that they are asked for.
    rustix::process::umask(Mode::empty());
    let root = openat(CWD, "/", folder, Mode::empty()).step(STEP, || "open the container's root")?;
    Ok(Inside { root, descriptors, socket })
}

impl Worker {
    /// The next message; `None`: there will be no more. Of a child that failed before its work began the error.
    ///
    /// # Errors
    /// The child's, or the socket's.
    pub fn receive(&self) -> Result<Option<Vec<u8>>> {
        let message = channel::receive(&self.socket).step(STEP, || "hear from the child")?;
        let Some(message) = message else { return Ok(None) };
        match serde_json::from_slice::<Result<()>>(&message.body) {
            Ok(Err(error)) => Err(error),
            _ => Ok(Some(message.body)),
        }
    }

    /// Says something to it.
    ///
    /// # Errors
    /// It has gone.
    pub fn send(&self, body: &[u8]) -> Result<()> {
        channel::send(&self.socket, body, &[]).step(STEP, || "talk to the child")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself; reaping is what matters.
        let _ = pidfd::send_signal(self.pidfd.as_fd(), 9);
        let _ = pidfd::wait(&self.pidfd, true);
    }
}
