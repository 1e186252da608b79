//! A container's root file system as a descriptor, for whoever reads it from outside (`diff`, `export`, `commit`): what it
//! sees at `/`, without anything that is mounted in it.
//!
//! Of one that runs it is a copy of the very mount that it has (open_tree(2)): a second overlay of the same upper folder
//! would be told nothing of what the first one does. A child fetches it from the container's mount namespace, so this
//! process never is in there. Of one that does not run it is a mount like that of its next start.
//!
//! The calling process must have one thread (see [`bulkhead_sys::process::clone3`]).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::process::{CloneArgs, Cloned, clone3, exit_now};
use bulkhead_sys::{channel, pidfd};
use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::error::{Error, Result, Step};
use crate::namespaces::mnt;
use crate::namespaces::user::{IdMappings, for_mounts};
use crate::rootfs::{self, Layer, Rootfs};

const STEP: &str = "view";

/// The root of the container that has this mount namespace.
///
/// # Errors
/// The kernel's.
pub fn of_running(mounts: BorrowedFd<'_>) -> Result<OwnedFd> {
    fetch(|| {
        bulkhead_sys::namespaces::join(mounts, mnt::FLAG).step(STEP, || "join the container's mounts")?;
        open_tree(CWD, "/", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
            .step(STEP, || "take a copy of the container's root")
    })
}

/// The root that a container would have. It must not run, nor be started before the descriptor is closed.
///
/// # Errors
/// The first step that failed.
pub fn of_stopped(rootfs: &Rootfs, mappings: Option<&IdMappings>) -> Result<OwnedFd> {
    let mapping = mappings.map(for_mounts).transpose()?;
    rootfs::prepare(rootfs, mapping.as_ref().map(AsFd::as_fd))
}

/// What a container would see had it written nothing.
///
/// # Errors
/// The first step that failed.
pub fn of_layers(layers: &[Layer], mappings: Option<&IdMappings>) -> Result<OwnedFd> {
    let mapping = mappings.map(for_mounts).transpose()?;
    rootfs::readonly(layers, mapping.as_ref().map(AsFd::as_fd))
}

/// Has a child open something, and gets it from there.
pub(crate) fn fetch(work: impl FnOnce() -> Result<OwnedFd>) -> Result<OwnedFd> {
    let silent = || Error::new(STEP, "the child that fetches a container's files ended without a word");
    let (ours, theirs) = channel::pair().step(STEP, || "make a socket to a child")?;
    let child = match clone3(&CloneArgs::default()).step(STEP, || "clone a child")? {
        Cloned::Parent { pidfd, .. } => pidfd,
        Cloned::Child => {
            let made = crate::child::hide().and_then(|()| work());
            let fds: Vec<BorrowedFd<'_>> = made.iter().map(AsFd::as_fd).collect();
            let word = made.as_ref().map(drop).map_err(Clone::clone);
            // Who hears nothing knows that it failed.
            let _ = channel::send(&theirs, &serde_json::to_vec(&word).unwrap_or_default(), &fds);
            exit_now(0);
        }
    };
    drop(theirs);
    let heard = channel::receive(&ours).step(STEP, || "hear from a child");
    pidfd::wait(&child, true).step(STEP, || "see a child end")?;
    let message = heard?.ok_or_else(silent)?;
    let word: Result<()> = serde_json::from_slice(&message.body).map_err(|_| silent())?;
    word?;
    message.fds.into_iter().next().ok_or_else(silent)
}
