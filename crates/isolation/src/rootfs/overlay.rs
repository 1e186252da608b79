//! Mounting an overlay of folders that are held by descriptors (the kernel's Documentation/filesystems/overlayfs.rst,
//! fsopen(2)), on kernels old and new:
//!
//! | Linux | layers are given as | detached mounts as layers |
//! |---|---|---|
//! | 6.15 and later | descriptors | yes |
//! | 6.13, 6.14 | descriptors | no: the kernel wants layers that its caller's mount namespace has |
//! | before | paths, here `/proc/self/fd/N` | no |
//! | before 5.19 | paths | no, and never with mapped IDs |
//!
//! Which one it is shows by trying, from the top down. Where detached mounts are not taken, a child in a mount
//! namespace of its own attaches them there, mounts the overlay, and sends it back: overlayfs keeps copies of the
//! layers' mounts, so it needs neither the child nor the namespace afterwards, and the host's tree never sees them.
//!
//! A path is short, but fsconfig(2) takes 255 bytes for all of them, some 85 layers; mount(2) takes a page. It has to
//! mount somewhere, so more layers than that go to the child too.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use bulkhead_sys::channel;
use bulkhead_sys::pidfd;
use bulkhead_sys::process::{CloneArgs, Cloned, clone3, exit_now};
use rustix::fs::{CWD, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::{Parts, STEP};
use crate::error::{Error, Result, Step};
use crate::namespaces::mnt;

/// The longest string that fsconfig(2) takes as a value.
const LONGEST: usize = 255;

/// What the kernel says to an attempt.
pub(super) enum Answer {
    Mounted(OwnedFd),
    /// It does not know that way.
    Unsupported,
}

/// Mounts the overlay, with the layers given as descriptors.
pub(super) fn by_descriptor(parts: &Parts) -> Result<Answer> {
    let context = context()?;
    let context = context.as_fd();
    let give = || -> rustix::io::Result<()> {
        for layer in &parts.lower {
            fsconfig_set_fd(context, "lowerdir+", layer)?;
        }
        if bulkhead_sys::namespaces::nested() {
            fsconfig_set_flag(context, "userxattr")?;
        }
        if let Some((upper, work)) = &parts.writable {
            fsconfig_set_fd(context, "upperdir", upper)?;
            fsconfig_set_fd(context, "workdir", work)?;
        }
        Ok(())
    };
    match give() {
        Ok(()) => {}
        // Not as a descriptor, not without reading rights (EBADF), not such a parameter, or not in this namespace.
        Err(Errno::OPNOTSUPP | Errno::BADF | Errno::INVAL) => return Ok(Answer::Unsupported),
        Err(error) => return Err(error).step(STEP, || "give the overlay its layers"),
    }
    match fsconfig_create(context) {
        Ok(()) => mount(context).map(Answer::Mounted),
        Err(Errno::INVAL) if !parts.detached.is_empty() => Ok(Answer::Unsupported),
        Err(error) => Err(refused(context, error)),
    }
}

/// Mounts the overlay, with the layers given as paths that lead to the descriptors.
pub(super) fn by_path(parts: &Parts) -> Result<OwnedFd> {
    // One value is 255 bytes at most, so the paths are names in /proc/self/fd. Some kernels look them up when they are
    // given and others at creation: stay there for both.
    let before = open(".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .step(STEP, || "open the working directory")?;
    enter_descriptors()?;
    let mounted = from_names(parts);
    rustix::process::fchdir(&before).step(STEP, || "go back to the working directory")?;
    mounted
}

/// Whether only a child in a mount namespace of its own can mount them by paths.
pub(super) fn needs_namespace(parts: &Parts) -> bool {
    !parts.detached.is_empty() || lowerdir(parts).len() > LONGEST
}

fn name(fd: &OwnedFd) -> String {
    fd.as_raw_fd().to_string()
}

fn lowerdir(parts: &Parts) -> String {
    let names: Vec<String> = parts.lower.iter().map(name).collect();
    names.join(":")
}

fn from_names(parts: &Parts) -> Result<OwnedFd> {
    let context = context()?;
    let context = context.as_fd();
    let mut options = vec![("lowerdir", lowerdir(parts))];
    if let Some((upper, work)) = &parts.writable {
        options.extend([("upperdir", name(upper)), ("workdir", name(work))]);
    }
    if bulkhead_sys::namespaces::nested() {
        fsconfig_set_flag(context, "userxattr")
            .step(STEP, || "have the overlay keep its marks in attributes of users")?;
    }
    for (key, value) in options {
        fsconfig_set_string(context, key, value.as_str())
            .step(STEP, || format!("give the overlay its {key} by path"))?;
    }
    fsconfig_create(context).map_err(|error| refused(context, error))?;
    mount(context)
}

/// The same by mount(2), at `place`, in the child.
fn from_many_names(parts: &Parts, place: &str) -> Result<OwnedFd> {
    let mut options = format!("lowerdir={}", lowerdir(parts));
    if bulkhead_sys::namespaces::nested() {
        options += ",userxattr";
    }
    if let Some((upper, work)) = &parts.writable {
        options += &format!(",upperdir={},workdir={}", name(upper), name(work));
    }
    let options =
        CString::new(options).map_err(|_| Error::new(STEP, "an option of the overlay holds a zero byte"))?;
    rustix::mount::mount("overlay", place, "overlay", MountFlags::empty(), options.as_c_str())
        .step(STEP, || format!("mount the image's {} layers as an overlay", parts.lower.len()))?;
    open_tree(CWD, place, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
        .step(STEP, || "open the overlay")
}

/// Mounts the overlay in a child that attaches the layers first; all of them must be in detached mounts. `place` is any
/// folder but the root: where they are attached does not matter, and nobody else sees it.
pub(super) fn by_attached_mounts(parts: &Parts, place: &str) -> Result<OwnedFd> {
    let (ours, theirs) = channel::pair().step(STEP, || "make a socket to a child")?;
    let args = CloneArgs { namespaces: NEW_MOUNT_NAMESPACE, ..CloneArgs::default() };
    let child = match clone3(&args).step(STEP, || "clone a child that mounts the overlay")? {
        Cloned::Parent { pidfd, .. } => pidfd,
        Cloned::Child => {
            let made = attach_and_mount(parts, place);
            let fds: Vec<BorrowedFd<'_>> = made.iter().map(AsFd::as_fd).collect();
            let word = made.as_ref().map(drop).map_err(Clone::clone);
            let body = serde_json::to_vec(&word).unwrap_or_default();
            // Who hears nothing knows that it failed.
            let _ = channel::send(&theirs, &body, &fds);
            exit_now(0);
        }
    };
    drop(theirs);
    let heard = channel::receive(&ours).step(STEP, || "hear from the child that mounts the overlay");
    pidfd::wait(&child, true).step(STEP, || "see the child that mounted the overlay end")?;
    let message = heard?.ok_or_else(silent)?;
    let word: Result<()> = serde_json::from_slice(&message.body).map_err(|_| silent())?;
    word?;
    message.fds.into_iter().next().ok_or_else(silent)
}

/// CLONE_NEWNS.
const NEW_MOUNT_NAMESPACE: u64 = 0x0002_0000;

fn silent() -> Error {
    Error::new(STEP, "the child that mounts the overlay ended without a word")
}

fn attach_and_mount(parts: &Parts, place: &str) -> Result<OwnedFd> {
    mnt::cut_off()?;
    for mount in &parts.detached {
        move_mount(mount, "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .step(STEP, || "attach a layer in a mount namespace of its own")?;
    }
    enter_descriptors()?;
    if lowerdir(parts).len() > LONGEST { from_many_names(parts, place) } else { from_names(parts) }
}

fn enter_descriptors() -> Result<()> {
    rustix::process::chdir("/proc/self/fd").step(STEP, || "enter /proc/self/fd")
}

fn context() -> Result<OwnedFd> {
    fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
        .step(STEP, || "make an overlay (is overlayfs in this kernel?)")
}

fn mount(context: BorrowedFd<'_>) -> Result<OwnedFd> {
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .step(STEP, || "mount the overlay")
}

/// The kernel's refusal, with what the file system itself says about it.
fn refused(context: BorrowedFd<'_>, error: Errno) -> Error {
    let what = "mount the image's layers as an overlay";
    match Err::<(), _>(error).step(STEP, || what) {
        Err(error) => match kernel_log(context) {
            Some(said) => Error { message: format!("{} ({said})", error.message), ..error },
            None => error,
        },
        Ok(()) => Error::new(STEP, format!("cannot {what}")),
    }
}

/// Context descriptors can be read for messages (fsopen(2)).
fn kernel_log(context: BorrowedFd<'_>) -> Option<String> {
    let mut text = [0u8; 256];
    let length = rustix::io::read(context, &mut text).ok()?;
    let line = String::from_utf8_lossy(text.get(..length)?).trim().to_owned();
    // "e " marks an error, "w " a warning.
    Some(line.trim_start_matches("e ").trim_start_matches("w ").to_owned()).filter(|line| !line.is_empty())
}
