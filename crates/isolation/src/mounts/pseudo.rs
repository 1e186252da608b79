//! The kernel's own file systems and memory file systems, made by the child, in whose namespaces they show.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen,
};

use super::{Attributes, STEP, Source};
use crate::error::{Error, Result, Step};
use crate::namespaces::net;
use crate::namespaces::user::UserNamespace;

/// The group `tty` in every distribution; pseudo-terminals belong to it so that write(1) works.
const TTY_GROUP: u32 = 5;

/// A file system that needs no source, detached.
pub(crate) fn make(source: &Source, attributes: Attributes, user: &UserNamespace) -> Result<OwnedFd> {
    match source {
        Source::Proc => mount("proc", &[], attributes),
        Source::Sysfs => mount("sysfs", &[], attributes),
        Source::Mqueue => mount("mqueue", &[], attributes),
        Source::Devpts => {
            let mut options = vec![("ptmxmode", "0666"), ("mode", "0620")];
            let group = TTY_GROUP.to_string();
            if user.outside(0, TTY_GROUP).is_ok() {
                options.push(("gid", &group));
            }
            mount("devpts", &options, attributes)
        }
        _ => Err(Error::new(STEP, "this source is not one of the kernel's own file systems")),
    }
}

/// In the supervisor: a sysfs that shows the network namespace `net`. The process is in that for the moment of the mount.
pub(crate) fn sysfs_of(net: BorrowedFd<'_>, attributes: Attributes) -> Result<OwnedFd> {
    let own = std::fs::File::open("/proc/self/ns/net").step(STEP, || "open our own network namespace")?;
    bulkhead_sys::namespaces::join(net, net::FLAG).step(STEP, || "join the container's network")?;
    let made = mount("sysfs", &[], attributes);
    if bulkhead_sys::namespaces::join(own.as_fd(), net::FLAG).is_err() {
        // Going on in a container's network would take its links for the host's.
        bulkhead_sys::process::exit_now(125);
    }
    made
}

/// tmpfs with options as tmpfs(5) has them.
pub(crate) fn tmpfs(options: &[(String, String)], attributes: Attributes) -> Result<OwnedFd> {
    let options: Vec<(&str, &str)> =
        options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    mount("tmpfs", &options, attributes)
}

pub(crate) fn mount(kind: &str, options: &[(&str, &str)], attributes: Attributes) -> Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).step(STEP, || format!("make a {kind}"))?;
    for (key, value) in options {
        let given = if value.is_empty() {
            fsconfig_set_flag(context.as_fd(), *key)
        } else {
            fsconfig_set_string(context.as_fd(), *key, *value)
        };
        given.step(STEP, || format!("give {kind} the option {key}={value}"))?;
    }
    fsconfig_create(context.as_fd()).step(STEP, || format!("make a {kind}"))?;
    let flags = u32::try_from(attributes.change().set).unwrap_or(0);
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::from_bits_retain(flags))
        .step(STEP, || format!("mount a {kind}"))
}

/// Fills a volume with what the image has at its target, if it is empty. Only the image's own files count (the
/// place must not be one of the kernel's file systems, to which a link of the image may lead), and of several
/// containers that begin with the same volume one does it while the others wait.
pub(crate) fn fill(root: BorrowedFd<'_>, place: &OwnedFd, volume: &OwnedFd, target: &str) -> Result<()> {
    if !is_of_image(root, place, target)? {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let turn =
        openat(volume, ".", flags, Mode::empty()).step(STEP, || format!("open the volume for {target}"))?;
    flock(&turn, FlockOperation::LockExclusive).step(STEP, || format!("lock the volume for {target}"))?;
    if is_empty(volume)? { copy_up(place, volume, target) } else { Ok(()) }
}

/// Whether a place is in the image's own file system.
fn is_of_image(root: BorrowedFd<'_>, place: &OwnedFd, target: &str) -> Result<bool> {
    let device = |fd: BorrowedFd<'_>| {
        rustix::fs::fstat(fd).map(|stat| stat.st_dev).step(STEP, || format!("look at {target}"))
    };
    Ok(device(root)? == device(place.as_fd())?)
}

/// The same for a file system in memory, which is new. Its root keeps the mode and the owner that `options` give it, and
/// those of a new one where the place is most likely one that the image does not have.
pub(crate) fn fill_memory(
    root: BorrowedFd<'_>,
    place: &OwnedFd,
    made: &OwnedFd,
    target: &str,
    options: &[(String, String)],
) -> Result<()> {
    let stat = rustix::fs::fstat(place).step(STEP, || format!("look at {target} of the image"))?;
    if !is_of_image(root, place, target)? || stat.st_uid == 0 && is_empty(place)? {
        return Ok(());
    }
    if options.iter().any(|(key, _)| matches!(key.as_str(), "mode" | "uid" | "gid")) {
        copy_files(place, made, target)
    } else {
        copy_up(place, made, target)
    }
}

/// Whether there is nothing in the folder.
fn is_empty(folder: &OwnedFd) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let read = || -> rustix::io::Result<bool> {
        for entry in Dir::read_from(openat(folder, ".", flags, Mode::empty())?)? {
            if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    };
    read().step(STEP, || "list a volume")
}

/// Copies what the image has at a place into the file system that will cover it: regular files, folders and
/// links, with their modes and owners.
fn copy_up(from: &OwnedFd, to: &OwnedFd, target: &str) -> Result<()> {
    let aim = open(to).step(STEP, || format!("write {target}"))?;
    let stat = rustix::fs::fstat(from).step(STEP, || format!("look at {target} of the image"))?;
    rustix::fs::fchmod(&aim, Mode::from_raw_mode(stat.st_mode))
        .and_then(|()| {
            let (uid, gid) = (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid));
            rustix::fs::fchown(&aim, Some(uid), Some(gid))
        })
        .step(STEP, || format!("give {target} the owner and mode that it has in the image"))?;
    copy_files(from, to, target)
}

fn open(folder: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn copy_files(from: &OwnedFd, to: &OwnedFd, target: &str) -> Result<()> {
    let source = open(from).step(STEP, || format!("read {target} of the image"))?;
    let aim = open(to).step(STEP, || format!("write {target}"))?;
    copy_folder(&source, &aim, 0).step(STEP, || format!("copy {target} of the image into it"))
}

fn copy_folder(from: &OwnedFd, to: &OwnedFd, depth: u32) -> rustix::io::Result<()> {
    if depth > 64 {
        return Err(Errno::NAMETOOLONG);
    }
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let mode = Mode::from_raw_mode(stat.st_mode);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, mode)?;
                let (source, aim) =
                    (openat(from, name, folder, Mode::empty())?, openat(to, name, folder, Mode::empty())?);
                copy_folder(&source, &aim, depth + 1)?;
            }
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(from, name, Vec::new())?;
                rustix::fs::symlinkat(link.as_c_str(), to, name)?;
            }
            FileType::RegularFile => {
                let source =
                    openat(from, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let aim = openat(to, name, flags, mode)?;
                while rustix::fs::sendfile(&aim, &source, None, 1 << 20)? > 0 {}
            }
            _ => continue,
        }
        let (uid, gid) = (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid));
        rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            rustix::fs::chmodat(to, name, mode, AtFlags::empty())?;
        }
    }
    Ok(())
}
