//! Namespaces (namespaces(7)): one file each, all of one shape: what it isolates, the modes it takes, what it
//! forbids, how it is set up.
//!
//! | file | a container has of its own |
//! |---|---|
//! | [`user`] | user and group IDs, and what root may do |
//! | [`pid`] | processes and their numbers |
//! | [`uts`] | host name and domain name |
//! | [`ipc`] | System V IPC, POSIX message queues |
//! | [`mnt`] | mounts |
//! | [`net`] | links, addresses, routes, ports, firewall rules |
//! | [`cgroup`] | its view of the control groups |
//! | [`time`] | the offset of its monotonic and boot clocks |
//!
//! New namespaces come into being in the same clone3 as the container's first process ([`Namespaces::clone_flags`]),
//! so each is owned by the container's user namespace. Those joined from elsewhere are entered by the
//! supervisor for the moment of that clone ([`JoinedAtClone`]): the child is born inside them, and needs no right
//! over them that its user namespace would not give.

pub mod cgroup;
pub mod ipc;
pub mod mnt;
pub mod net;
pub mod pid;
pub mod time;
pub mod user;
pub mod uts;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, Step};
use crate::plan::Handle;

/// The namespaces of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Users.
    pub user: user::UserNamespace,
    /// Processes.
    pub pid: pid::PidNamespace,
    /// Mounts.
    pub mnt: mnt::MntNamespace,
    /// Host name.
    pub uts: uts::UtsNamespace,
    /// IPC.
    pub ipc: ipc::IpcNamespace,
    /// Network.
    pub net: net::NetNamespace,
    /// Control groups.
    pub cgroup: cgroup::CgroupNamespace,
    /// Clocks.
    pub time: time::TimeNamespace,
}

/// The namespaces of a kind that a container can have.
pub(crate) enum Membership {
    /// One of its own.
    New,
    /// The one that the supervisor is in.
    Host,
    /// Somebody else's.
    Joined(Handle),
}

impl Namespaces {
    /// The CLONE_NEW* flags of the clone that gives birth.
    ///
    /// The cgroup namespace is missing: its root is the group of the process that makes it, so the child does
    /// that itself once it is in its group. The time namespace is made by [`time::prepare`].
    pub(crate) fn clone_flags(&self) -> u64 {
        let mut flags = mnt::FLAG;
        for (membership, flag) in self.table() {
            if matches!(membership, Membership::New) {
                flags |= flag;
            }
        }
        flags.unsigned_abs().into()
    }

    /// Whether the child could not mount a sysfs by itself: in a user namespace of its own it may only where one is
    /// mounted that hides nothing, and the mounts of another container, which it begins with, hide something.
    pub(crate) fn needs_sysfs(&self) -> bool {
        self.user != user::UserNamespace::Host
            && self.net == net::NetNamespace::New
            && self.mnt.copy_of.is_some()
    }

    fn table(&self) -> [(Membership, i32); 7] {
        [
            (self.user.membership(), user::FLAG),
            (self.pid.membership(), pid::FLAG),
            (self.uts.membership(), uts::FLAG),
            (self.ipc.membership(), ipc::FLAG),
            (self.net.membership(), net::FLAG),
            (self.cgroup.membership(), cgroup::FLAG),
            (self.time.membership(), time::FLAG),
        ]
    }
}

/// While it lives, this process is in the namespaces that a child is to be born in (for the PID namespace: its
/// children are); when it is dropped, it is back in its own.
///
/// Nothing else may be cloned meanwhile: a helper that is born in a container's PID namespace with the host's
/// rights and files could be reached from there.
pub(crate) struct JoinedAtClone {
    back: Vec<(OwnedFd, i32)>,
}

impl JoinedAtClone {
    /// Enters the PID (for children only), UTS, IPC and network namespaces that `namespaces` joins. Where it joins
    /// a PID namespace, the child's mount namespace begins as a copy of the one given with it, so that those who
    /// live there never see the host's files in the child's /proc/PID/root, whatever capabilities they have.
    pub(crate) fn enter(namespaces: &Namespaces, handles: &[OwnedFd]) -> Result<JoinedAtClone> {
        let mut joined = JoinedAtClone { back: Vec::new() };
        let find = |handle: Handle, flag: i32| {
            handles.get(handle.0).ok_or_else(|| {
                let name = name_of(flag);
                Error::new(
                    "namespaces",
                    format!("the plan joins a {name} namespace that did not come with it"),
                )
            })
        };
        for (membership, flag) in namespaces.table() {
            if let Membership::Joined(handle) = membership {
                joined.join(find(handle, flag)?.as_fd(), flag)?;
            }
        }
        if let Some(handle) = namespaces.mnt.copy_of {
            joined.join(find(handle, mnt::FLAG)?.as_fd(), mnt::FLAG)?;
        }
        Ok(joined)
    }

    /// Enters the PID namespace (for children only) and the mounts of a running process.
    pub(crate) fn enter_process(process: BorrowedFd<'_>) -> Result<JoinedAtClone> {
        let mut joined = JoinedAtClone { back: Vec::new() };
        joined.join(process, pid::FLAG)?;
        joined.join(process, mnt::FLAG)?;
        Ok(joined)
    }

    fn join(&mut self, target: BorrowedFd<'_>, flag: i32) -> Result<()> {
        let name = name_of(flag);
        let own = std::fs::File::open(format!("/proc/thread-self/ns/{name}"))
            .step("namespaces", || format!("open our own {name} namespace"))?;
        self.back.push((own.into(), flag));
        bulkhead_sys::namespaces::join(target, flag)
            .step("namespaces", || format!("join the {name} namespace asked for"))
    }
}

impl Drop for JoinedAtClone {
    fn drop(&mut self) {
        for (own, flag) in self.back.iter().rev() {
            if bulkhead_sys::namespaces::join(own.as_fd(), *flag).is_err() {
                // Going on in somebody else's namespace would let later steps act on the wrong host.
                bulkhead_sys::process::exit_now(125);
            }
        }
    }
}

/// The name under /proc/PID/ns.
pub fn name_of(flag: i32) -> &'static str {
    match flag {
        user::FLAG => "user",
        pid::FLAG => "pid",
        uts::FLAG => "uts",
        ipc::FLAG => "ipc",
        mnt::FLAG => "mnt",
        net::FLAG => "net",
        cgroup::FLAG => "cgroup",
        _ => "time",
    }
}

/// The kinds in the order in which people read them.
pub const KINDS: [&str; 8] = ["user", "pid", "uts", "ipc", "mnt", "net", "cgroup", "time"];
