//! The kernel's own file systems and memory file systems, made by the child, in whose namespaces they show.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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
        Source::Other { kind, device, options } => {
            let device = device.as_deref().map(|device| ("source", device));
            let options = options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            let all: Vec<(&str, &str)> = device.into_iter().chain(options).collect();
            mount(kind, &all, attributes)
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
