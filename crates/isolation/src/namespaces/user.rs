//! The user namespace (user_namespaces(7)).
//!
//! *Isolates* user and group IDs and capabilities: root inside is nobody in particular outside, and what it
//! may do counts only for objects that the namespace owns.
//!
//! *Modes:* its own, with a mapping of IDs; the host's (`--userns=host`).
//!
//! *Forbids* (with a mapping): writing what host root owns, making devices, loading modules, setting the
//! clock, signalling other containers, and everything else that asks for a capability over the host.
//!
//! *Set up* by CLONE_NEWUSER in the clone that gives birth; the supervisor then writes the mapping
//! ([`write_mappings`]). The same mapping is what ID-mapped mounts take ([`of_process`]), so files need no
//! chown: IDs are mapped where they cross, at the clone and at the mount, and nowhere else.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::error::{Error, Result, Step};

/// CLONE_NEWUSER.
pub const FLAG: i32 = 0x1000_0000;

/// Whose IDs a container has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserNamespace {
    /// The host's: root inside is root outside.
    #[default]
    Host,
    /// Its own.
    New(IdMappings),
}

/// How IDs inside correspond to IDs outside: at most 340 lines each (user_namespaces(7)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMappings {
    /// Lines for user IDs.
    pub uids: Vec<IdMap>,
    /// Lines for group IDs.
    pub gids: Vec<IdMap>,
}

/// One line of a mapping: `count` IDs from `inside` on are those from `outside` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// First ID in the namespace.
    pub inside: u32,
    /// First ID outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl IdMappings {
    /// One range for users and groups alike, from ID 0 inside.
    pub fn range(outside: u32, count: u32) -> IdMappings {
        let line = vec![IdMap { inside: 0, outside, count }];
        IdMappings { uids: line.clone(), gids: line }
    }

    /// A mapping in which none of the IDs that files have occurs, so that on a mount with it every file is
    /// nobody's: readable by its "other" bits alone, and no capability counts for it.
    pub fn nobody() -> IdMappings {
        // The highest ID that can be mapped; (u32)-1 is no ID and -2 is the kernel's usual nobody16.
        let line = vec![IdMap { inside: 4_294_967_290, outside: 4_294_967_290, count: 1 }];
        IdMappings { uids: line.clone(), gids: line }
    }

    /// What these IDs of the container are outside; `None` where one is not mapped.
    pub fn outside(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        let find = |lines: &[IdMap], id: u32| {
            lines.iter().find_map(|line| {
                let offset = id.checked_sub(line.inside).filter(|offset| *offset < line.count)?;
                line.outside.checked_add(offset)
            })
        };
        Some((find(&self.uids, uid)?, find(&self.gids, gid)?))
    }

    fn render(lines: &[IdMap]) -> String {
        lines.iter().map(|line| format!("{} {} {}\n", line.inside, line.outside, line.count)).collect()
    }
}

impl UserNamespace {
    pub(crate) fn membership(&self) -> Membership {
        match self {
            UserNamespace::Host => Membership::Host,
            UserNamespace::New(_) => Membership::New,
        }
    }

    /// What these IDs of the container are to the host.
    pub(crate) fn outside(&self, uid: u32, gid: u32) -> Result<(u32, u32)> {
        match self {
            UserNamespace::Host => Ok((uid, gid)),
            UserNamespace::New(mappings) => mappings.outside(uid, gid).ok_or_else(|| {
                Error::new(
                    "user namespace",
                    format!("the ID mapping has no line for user {uid} or group {gid}"),
                )
            }),
        }
    }
}

/// Gives the new namespace of process `pid` its mapping (proc_pid_uid_map(5)). The process must be a child of
/// the caller that has not been reaped, so that the number means what it meant at the clone.
pub(crate) fn write_mappings(pid: i32, mappings: &IdMappings) -> Result<()> {
    for (file, lines) in [("uid_map", &mappings.uids), ("gid_map", &mappings.gids)] {
        std::fs::OpenOptions::new()
            .write(true)
            .open(format!("/proc/{pid}/{file}"))
            .and_then(|mut target| target.write_all(IdMappings::render(lines).as_bytes()))
            .step("user namespace", || {
                format!("map IDs ({file}: {})", IdMappings::render(lines).trim_end())
            })?;
    }
    Ok(())
}

/// The user namespace of the unreaped child `pid`, as ID-mapped mounts take it.
pub(crate) fn of_process(pid: i32) -> Result<OwnedFd> {
    File::open(format!("/proc/{pid}/ns/user"))
        .map(OwnedFd::from)
        .step("user namespace", || "open the new user namespace")
}

/// A user namespace with this mapping that no container lives in: what a mount with a mapping of its own takes.
pub(crate) fn for_mounts(mappings: &IdMappings) -> Result<OwnedFd> {
    use bulkhead_sys::process::{CloneArgs, Cloned, clone3};
    let args = CloneArgs { namespaces: FLAG.unsigned_abs().into(), cgroup: None };
    match clone3(&args).step("user namespace", || "make a user namespace for a mount")? {
        // The child only holds the namespace until it is killed below, or with us.
        Cloned::Child => {
            let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
            loop {
                let _ = rustix::thread::nanosleep(&rustix::time::Timespec { tv_sec: 3600, tv_nsec: 0 });
            }
        }
        Cloned::Parent { pid, pidfd } => {
            let namespace = write_mappings(pid, mappings).and_then(|()| of_process(pid));
            let ended = bulkhead_sys::pidfd::send_signal(std::os::fd::AsFd::as_fd(&pidfd), 9)
                .and_then(|()| bulkhead_sys::pidfd::wait(&pidfd, true));
            ended.step("user namespace", || "end the process that held a user namespace")?;
            namespace
        }
    }
}

#[cfg(test)]
mod tests {
    use super::IdMappings;

    #[test]
    fn a_range_maps_root_to_its_start() {
        let mappings = IdMappings::range(524_288, 65_536);
        assert_eq!(mappings.outside(0, 0), Some((524_288, 524_288)));
        assert_eq!(mappings.outside(999, 65_535), Some((525_287, 589_823)));
        assert_eq!(mappings.outside(0, 65_536), None);
        assert_eq!(IdMappings::render(&mappings.uids), "0 524288 65536\n");
        assert_eq!(IdMappings::nobody().outside(0, 0), None);
    }
}
