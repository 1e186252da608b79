//! What is mounted in a container: each mount is made detached, as a descriptor, and then attached below the
//! container's root, with lookups that cannot leave it.
//!
//! Two processes share the work, since some file systems show the namespaces of whoever mounts them:
//!
//! | made by the supervisor ([`prepare`]) | made by the child ([`attach_all`]) |
//! |---|---|
//! | binds of the host's files ([`bind`]), with their IDs mapped ([`ids`]) | proc, sysfs, mqueue ([`pseudo`]) |
//! | /dev with its nodes ([`crate::devices`]) | devpts, tmpfs ([`pseudo`]) |
//! | the container's control groups ([`crate::cgroups`]) | |
//!
//! [`fill`] puts the image's files into a new volume; [`target`] finds or makes the place; [`mask`] covers what must not be seen.

pub mod bind;
mod fill;
pub mod ids;
pub(crate) mod mask;
mod node;
pub(crate) mod pseudo;
mod source;
pub(crate) mod target;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::mount::{Change, attr, set_attributes};
use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
use rustix::mount::{MoveMountFlags, move_mount};
use serde::{Deserialize, Serialize};

pub(crate) use source::file_system;

use crate::cgroups;
use crate::devices::{self, Device};
use crate::error::{Error, Result, Step};
use crate::namespaces::Namespaces;
use crate::namespaces::mnt::Propagation;
use crate::plan::Handle;
use crate::rootfs::{self, Layer};
use crate::users::User;

pub(crate) const STEP: &str = "mounts";

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where: an absolute path in the container. Symbolic links in it are the container's own.
    pub target: String,
    /// What.
    pub source: Source,
    /// How.
    pub attributes: Attributes,
}

/// What can be mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A file or folder of the host.
    Bind(bind::Bind),
    /// A mount of another container, found in its mount namespace.
    OfContainer {
        /// The mount namespace.
        namespace: Handle,
        /// The path in it.
        path: String,
    },
    /// The files of an image's layers, the lowest first, read-only.
    Image(Vec<Layer>),
    /// /dev.
    Devices {
        /// What is there beside the standard nodes.
        nodes: Vec<Device>,
        /// The SELinux context of its files.
        label: Option<String>,
    },
    /// A device node by itself.
    Node(Device),
    /// Nothing new: what is mounted at the target gets other attributes.
    Remount {
        /// Bits to clear (the sys crate's `attr`).
        clear: u64,
    },
    /// The container's processes.
    Proc,
    /// The kernel's objects.
    Sysfs,
    /// The container's control groups.
    Cgroup,
    /// POSIX message queues.
    Mqueue,
    /// Pseudo-terminals.
    Devpts,
    /// Any other kind of file system, mounted with the container's rights.
    Other {
        /// The kernel's name for it.
        kind: String,
        /// What is mounted, where the kind needs that.
        device: Option<String>,
        /// Options of that kind; flags have an empty value.
        options: Vec<(String, String)>,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Options as tmpfs(5) has them, e.g. `("size", "64m")`; flags have an empty value.
        options: Vec<(String, String)>,
        /// Whether what the image has at the target is copied in.
        copy_up: bool,
        /// Whether it belongs to the machine, so that others than the container can have files in it too; its root is
        /// the container's all the same.
        of_host: bool,
    },
}

/// A mount's attributes (mount_setattr(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)]
pub struct Attributes {
    /// No writing.
    pub readonly: bool,
    /// Set-ID bits and file capabilities have no effect.
    pub nosuid: bool,
    /// Device nodes cannot be opened.
    pub nodev: bool,
    /// Nothing can be executed.
    pub noexec: bool,
    /// Access times are not written.
    pub noatime: bool,
    /// How later mounts travel; private unless said otherwise.
    pub propagation: Option<Propagation>,
    /// Further bits to set (the sys crate's `attr`).
    #[serde(default)]
    pub further: u64,
    /// Bits to set, and bits to clear, on a bind and on all that comes along below it.
    #[serde(default)]
    pub recursive: (u64, u64),
}

impl Attributes {
    /// What /proc, /sys and their like carry.
    pub const INERT: Attributes = Attributes {
        readonly: false,
        nosuid: true,
        nodev: true,
        noexec: true,
        noatime: false,
        propagation: None,
        further: 0,
        recursive: (0, 0),
    };

    /// The same, read-only.
    #[must_use]
    pub const fn readonly(self) -> Attributes {
        Attributes { readonly: true, ..self }
    }

    pub(crate) fn change(self) -> Change<'static> {
        let bit = |on: bool, bit: u64| if on { bit } else { 0 };
        let set = bit(self.readonly, attr::RDONLY)
            | bit(self.nosuid, attr::NOSUID)
            | bit(self.nodev, attr::NODEV)
            | bit(self.noexec, attr::NOEXEC)
            | bit(self.noatime, attr::NOATIME)
            | self.further;
        Change { set, clear: bit(set & attr::ATIME != 0, attr::ATIME), ..Change::default() }
    }
}

/// The container that mounts are prepared for, as its supervisor knows it.
pub(crate) struct Newborn<'a> {
    pub(crate) namespaces: &'a Namespaces,
    /// Its user namespace, if it has one.
    pub(crate) mapping: Option<BorrowedFd<'a>>,
    pub(crate) cgroup: &'a cgroups::Created,
    /// Opens its network namespace.
    pub(crate) net: &'a dyn Fn() -> Result<OwnedFd>,
}

/// What is to be said about prepared mounts.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// What the user should know, a sentence each.
    pub(crate) warnings: Vec<String>,
    /// Whether files with the IDs of the container's own range may stay on the host.
    pub(crate) leaves_ids: bool,
}

/// In the supervisor: makes the mounts that it can make, in the plan's order, for the program's user. Gives them, and
/// what is to be said about them.
pub(crate) fn prepare(
    mounts: &[Mount],
    handles: &[OwnedFd],
    container: &Newborn<'_>,
    program: &User,
) -> Result<(Vec<OwnedFd>, Said)> {
    let Newborn { namespaces, mapping, cgroup, .. } = container;
    let (user, mapping) = (&namespaces.user, *mapping);
    let mut prepared = Vec::new();
    let mut binder = bind::Binder::new(user, program);
    for mount in mounts {
        match &mount.source {
            Source::Bind(bind) => prepared.push(binder.prepare(bind, mount.attributes)?),
            Source::OfContainer { namespace, path } => {
                let namespace = handles.get(namespace.0).ok_or_else(|| {
                    Error::new(STEP, "the plan takes a mount from a namespace that did not come with it")
                })?;
                prepared.push(bind::of_container(namespace.as_fd(), path, mount.attributes)?);
            }
            Source::Image(layers) => {
                prepared.push(rootfs::readonly(layers, mapping)?);
            }
            Source::Devices { nodes, label } => {
                prepared.extend(devices::prepare(nodes, label.as_deref(), mount.attributes, user)?);
            }
            Source::Node(device) => prepared.push(node::prepare(device, user)?),
            Source::Cgroup => prepared.extend(cgroup.clones()?),
            Source::Tmpfs { options, of_host: true, .. } => {
                let (uid, gid) = user.outside(0, 0)?;
                let owned = [("uid".to_owned(), uid.to_string()), ("gid".to_owned(), gid.to_string())];
                let options: Vec<(String, String)> = options.iter().cloned().chain(owned).collect();
                prepared.push(pseudo::tmpfs(&options, mount.attributes)?);
            }
            Source::Sysfs if namespaces.needs_sysfs() => {
                prepared.push(pseudo::sysfs_of((container.net)()?.as_fd(), mount.attributes)?);
            }
            Source::Proc
            | Source::Sysfs
            | Source::Mqueue
            | Source::Devpts
            | Source::Remount { .. }
            | Source::Other { .. }
            | Source::Tmpfs { .. } => {}
        }
    }
    Ok((prepared, Said { warnings: binder.warnings, leaves_ids: binder.leaves_ids }))
}

/// In the child: makes the rest, and attaches everything below `root`, in the plan's order.
pub(crate) fn attach_all(
    mounts: &[Mount],
    root: BorrowedFd<'_>,
    prepared: &mut impl Iterator<Item = OwnedFd>,
    namespaces: &Namespaces,
    program: &User,
    cgroup: &cgroups::Created,
) -> Result<()> {
    let mut next = || prepared.next().ok_or_else(|| Error::new(STEP, "a prepared mount did not arrive"));
    for mount in mounts {
        let target = mount.target.as_str();
        match &mount.source {
            Source::Bind(_) | Source::OfContainer { .. } | Source::Image(_) | Source::Devices { .. } => {
                let made = next()?;
                attach_made(mount, &made, root, program)?;
                if let Source::Devices { nodes, .. } = &mount.source {
                    for path in devices::nodes_to_attach(nodes) {
                        let target = format!("{target}/{path}");
                        let place = target::find(root, &target, target::Kind::File)?;
                        attach(&next()?, &place, &target)?;
                    }
                    travels(mount, made.as_fd())?;
                }
            }
            Source::Sysfs if namespaces.needs_sysfs() => {
                let made = next()?;
                attach(&made, &target::find_exact(root, target)?, target)?;
                travels(mount, made.as_fd())?;
            }
            Source::Node(device) => node::bind(device, &next()?, root)?,
            Source::Remount { clear } => remount(mount, *clear, root)?,
            Source::Cgroup => cgroup.attach(root, target, mount.attributes, &mut next)?,
            Source::Tmpfs { options, copy_up, of_host } => {
                let place = target::find(root, target, target::Kind::Folder)?;
                let made = if *of_host { next()? } else { pseudo::tmpfs(options, mount.attributes)? };
                if *copy_up {
                    fill::fill_memory(root, &place, &made, target, options)?;
                }
                attach(&made, &place, target)?;
                travels(mount, made.as_fd())?;
            }
            kernel_s => {
                let made = pseudo::make(kernel_s, mount.attributes, &namespaces.user)?;
                let place = target::find_exact(root, target)?;
                attach(&made, &place, target)?;
                travels(mount, made.as_fd())?;
            }
        }
    }
    Ok(())
}

/// In the child: changes what is mounted at the target. What is not named stays as it is, and the file system below is not
/// asked: it may be the host's as well.
fn remount(mount: &Mount, clear: u64, root: BorrowedFd<'_>) -> Result<()> {
    let target = mount.target.as_str();
    let refuse = || Error::new(STEP, format!("cannot remount {target}: nothing is mounted there"));
    let place = target::look_up(root, target)?.ok_or_else(refuse)?;
    let stat = statx(&place, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
        .step(STEP, || format!("look at {target} in the container"))?;
    if !stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(refuse());
    }
    let change = mount.attributes.change();
    let change = Change { clear: change.clear | clear, ..change };
    set_attributes(place.as_fd(), &change).step(STEP, || format!("remount {target}"))?;
    let (set, clear) = mount.attributes.recursive;
    if set | clear != 0 {
        set_attributes(place.as_fd(), &Change { set, clear, recursive: true, ..Change::default() })
            .step(STEP, || format!("remount {target} with all below it"))?;
    }
    travels(mount, place.as_fd())
}

/// Gives a mount that is attached the propagation that is asked for, if any is.
fn travels(mount: &Mount, made: BorrowedFd<'_>) -> Result<()> {
    let Some(propagation) = mount.attributes.propagation else { return Ok(()) };
    set_attributes(made, &propagation.change())
        .step(STEP, || format!("make {} {}", mount.target, propagation.word()))
}

/// In the child: attaches what the supervisor made, and fills a volume that is empty.
pub(crate) fn attach_made(mount: &Mount, made: &OwnedFd, root: BorrowedFd<'_>, program: &User) -> Result<()> {
    let target = mount.target.as_str();
    let kind = target::Kind::of(made)?;
    let place = target::find(root, target, kind)?;
    if let Source::Bind(bind::Bind { fill: true, reown, .. }) = &mount.source
        && kind == target::Kind::Folder
    {
        fill::fill(root, &place, made, target)?;
        if *reown {
            // The container's root gives it on, through the mapping.
            source::reown(target, made.as_fd(), (Some(program.uid), Some(program.gid)))?;
        }
    }
    if matches!(mount.source, Source::Bind(bind::Bind { fill: true, .. })) && mount.attributes.readonly {
        set_attributes(made.as_fd(), &Attributes::default().readonly().change())
            .step(STEP, || format!("make {target} read-only"))?;
    }
    attach(made, &place, target)
}

/// Attaches a detached mount at the place found for it.
pub(crate) fn attach(mount: &OwnedFd, place: &OwnedFd, target: &str) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", place, "", flags).step(STEP, || format!("mount {target}"))
}

/// In the child, when all is attached: makes the root itself read-only (what is mounted below stays as it is).
pub(crate) fn make_root_readonly(root: BorrowedFd<'_>) -> Result<()> {
    set_attributes(root, &Attributes::default().readonly().change())
        .step(STEP, || "make the root file system read-only")
}
