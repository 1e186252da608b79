//! The user namespace (user_namespaces(7)).
//!
//! *Isolates* user and group IDs and capabilities: root inside is nobody in particular outside, and what it
//! may do counts only for objects that the namespace owns.
//!
//! *Modes:* its own, with a mapping of IDs; another container's (`--userns=container:X`); the host's
//! (`--userns=host`).
//!
//! *Forbids* (with a mapping): writing what host root owns, making devices, loading modules, setting the
//! clock, signalling other containers, and everything else that asks for a capability over the host.
//!
//! *Set up* by CLONE_NEWUSER in the clone that gives birth; the supervisor then writes the mapping
//! ([`write_mappings`]). The same mapping is what ID-mapped mounts take ([`of_process`]), so files need no
//! chown: IDs are mapped where they cross, at the clone and at the mount, and nowhere else. Another container's
//! can be entered but never left again, so the supervisor stays out: a child enters it and gives birth to the
//! program there (see [`birth`](crate::birth)).

use std::fs::File;
use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::error::{Error, Result, Step};
use crate::plan::Handle;

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
    /// Another container's.
    Join {
        /// It.
        namespace: Handle,
        /// The mapping that it has.
        mappings: IdMappings,
    },
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
        Some((self.outside_user(uid)?, self.outside_group(gid)?))
    }

    /// The same of a user ID alone.
    pub fn outside_user(&self, id: u32) -> Option<u32> {
        IdMappings::find(&self.uids, id)
    }

    /// The same of a group ID alone.
    pub fn outside_group(&self, id: u32) -> Option<u32> {
        IdMappings::find(&self.gids, id)
    }

    /// Which user of the container a user outside is, if any.
    pub fn inside_user(&self, id: u32) -> Option<u32> {
        IdMappings::find_inside(&self.uids, id)
    }

    /// The same of a group.
    pub fn inside_group(&self, id: u32) -> Option<u32> {
        IdMappings::find_inside(&self.gids, id)
    }

    fn find_inside(lines: &[IdMap], id: u32) -> Option<u32> {
        lines.iter().find_map(|line| {
            let offset = id.checked_sub(line.outside).filter(|offset| *offset < line.count)?;
            line.inside.checked_add(offset)
        })
    }

    fn find(lines: &[IdMap], id: u32) -> Option<u32> {
        lines.iter().find_map(|line| {
            let offset = id.checked_sub(line.inside).filter(|offset| *offset < line.count)?;
            line.outside.checked_add(offset)
        })
    }

    fn parse(text: &str) -> Vec<IdMap> {
        let line = |line: &str| {
            let mut numbers = line.split_whitespace().map(|number| number.parse().ok());
            let mut next = || numbers.next().flatten();
            Some(IdMap { inside: next()?, outside: next()?, count: next()? })
        };
        text.lines().filter_map(line).collect()
    }

    fn render(lines: &[IdMap]) -> String {
        lines.iter().map(|line| format!("{} {} {}\n", line.inside, line.outside, line.count)).collect()
    }
}

impl UserNamespace {
    pub(crate) fn membership(&self) -> Membership {
        match self {
            // Another's is entered by the child alone.
            UserNamespace::Host | UserNamespace::Join { .. } => Membership::Host,
            UserNamespace::New(_) => Membership::New,
        }
    }

    /// The mapping, unless IDs are the host's.
    pub fn mappings(&self) -> Option<&IdMappings> {
        match self {
            UserNamespace::Host => None,
            UserNamespace::New(mappings) | UserNamespace::Join { mappings, .. } => Some(mappings),
        }
    }

    /// What these IDs of the container are to the host.
    pub(crate) fn outside(&self, uid: u32, gid: u32) -> Result<(u32, u32)> {
        match self.mappings() {
            None => Ok((uid, gid)),
            Some(mappings) => mappings.outside(uid, gid).ok_or_else(|| {
                Error::new(
                    "user namespace",
                    format!(
                        "user {uid} with group {gid} is outside of the container's ID range: give it a larger one \
                         (--userns=auto:size=N)"
                    ),
                )
            }),
        }
    }
}

/// In the child, once the namespace has its mapping: becomes its root. Until then the process is still the host's
/// root to the kernel, which the namespace does not know, so that it could make no file.
pub(crate) fn become_root() -> Result<()> {
    use rustix::process::{Gid, Uid};
    let what = || "become the root of the user namespace";
    rustix::thread::set_thread_groups(&[]).step("user namespace", what)?;
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).step("user namespace", what)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).step("user namespace", what)?;
    // A change of IDs lets itself be traced again.
    crate::child::hide()
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

/// The mapping that a user namespace has, as this process sees its outside.
///
/// # Errors
/// It cannot be joined: it is none, or one that we are in.
pub fn mappings_of(namespace: BorrowedFd<'_>) -> Result<IdMappings> {
    use bulkhead_sys::process::{CloneArgs, Cloned, clone3};
    let what = || "look at the mapping of a user namespace";
    let (ours, theirs) = bulkhead_sys::channel::pair().step("user namespace", what)?;
    match clone3(&CloneArgs::default()).step("user namespace", what)? {
        // /proc shows a mapping by the processes that have it, so a child joins it until the other end closes.
        Cloned::Child => {
            drop(ours);
            if crate::child::hide().is_ok() && bulkhead_sys::namespaces::join(namespace, FLAG).is_ok() {
                let _ = bulkhead_sys::channel::send(&theirs, b"joined", &[]);
                let _ = bulkhead_sys::channel::receive(&theirs);
            }
            bulkhead_sys::process::exit_now(0);
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let joined = bulkhead_sys::channel::receive(&ours).step("user namespace", what)?;
            let read = |file: &str| {
                let text = std::fs::read_to_string(format!("/proc/{pid}/{file}"));
                text.step("user namespace", what).map(|text| IdMappings::parse(&text))
            };
            let mappings = match joined {
                None => Err(Error::new("user namespace", "cannot join the user namespace that was given")),
                Some(_) => read("uid_map").and_then(|uids| Ok(IdMappings { uids, gids: read("gid_map")? })),
            };
            drop(ours);
            bulkhead_sys::pidfd::wait(&pidfd, true).step("user namespace", what)?;
            mappings
        }
    }
}

/// A user namespace with this mapping that no container lives in: what a mount with a mapping of its own takes.
pub(crate) fn for_mounts(mappings: &IdMappings) -> Result<OwnedFd> {
    use bulkhead_sys::process::{CloneArgs, Cloned, clone3};
    let (ours, theirs) =
        bulkhead_sys::channel::pair().step("user namespace", || "make a socket to a child")?;
    let args = CloneArgs { namespaces: FLAG.unsigned_abs().into(), ..CloneArgs::default() };
    match clone3(&args).step("user namespace", || "make a user namespace for a mount")? {
        // The child only holds the namespace, until the other end closes: below, or with its parent's death.
        Cloned::Child => {
            drop(ours);
            let _ = bulkhead_sys::channel::receive(&theirs);
            bulkhead_sys::process::exit_now(0);
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let namespace = write_mappings(pid, mappings).and_then(|()| of_process(pid));
            drop(ours);
            bulkhead_sys::pidfd::wait(&pidfd, true)
                .step("user namespace", || "end the process that held a user namespace")?;
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
        assert_eq!((mappings.inside_user(525_287), mappings.inside_group(589_824)), (Some(999), None));
        assert_eq!(IdMappings::render(&mappings.uids), "0 524288 65536\n");
        assert_eq!(IdMappings::nobody().outside(0, 0), None);
    }
}
