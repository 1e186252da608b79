//! Binds: files and folders of the host in a container (mount(8), --bind), as detached copies of their mounts.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::mount::{Change, set_attributes};
use rustix::fs::{CWD, FileType, fstat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use serde::{Deserialize, Serialize};

use super::ids::BindIds;
use super::{Attributes, STEP, source};
use crate::error::{Error, Result, Step};
use crate::namespaces::mnt::{self, Propagation};
use crate::namespaces::user::{IdMappings, UserNamespace, for_mounts};
use crate::users::User;

/// A file or folder of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Its absolute path on the host.
    pub path: String,
    /// Whether what is mounted below it comes along.
    pub recursive: bool,
    /// Which IDs on disk are which in the container.
    pub ids: BindIds,
    /// Whether an empty folder is filled with what the image has at the target (Docker's volumes).
    pub fill: bool,
    /// Whether a folder is made if there is nothing at `path`: it belongs to the program's user then.
    pub create: bool,
    /// Whether all that is in it is given to the program's user first (`:U`).
    pub reown: bool,
    /// Who was found at `path` when `ids` were decided: if somebody else is mounted, that is an error. Where `create` is
    /// to make it, this is the folder above.
    pub seen: Option<Seen>,
    /// Whether the user is told when the file system cannot map IDs, or the program could write nothing there.
    pub warn: bool,
    /// Whether the mapping must be had as it is asked for, with (`true`) or without what is mounted below; `None`: as far
    /// as file systems can have it.
    #[serde(default)]
    pub exact: Option<bool>,
    /// Whether attributes are the mount's own alone, and not of what comes along below it.
    #[serde(default)]
    pub shallow: bool,
}

/// A file or folder of the host that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The file system's device number.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Its owner on disk.
    pub uid: u32,
    /// Its group on disk.
    pub gid: u32,
}

impl Seen {
    pub(super) fn is(self, fd: BorrowedFd<'_>) -> rustix::io::Result<bool> {
        let stat = fstat(fd)?;
        let here = Seen { device: stat.st_dev, inode: stat.st_ino, uid: stat.st_uid, gid: stat.st_gid };
        Ok(self == here)
    }
}

impl Bind {
    /// Of this path, with all that is mounted below it or without, and nothing else.
    pub fn of(path: String, recursive: bool, ids: BindIds) -> Bind {
        Bind {
            path,
            recursive,
            ids,
            fill: false,
            create: false,
            reown: false,
            seen: None,
            warn: false,
            exact: None,
            shallow: false,
        }
    }
}

/// For whom the binds of one container are made.
pub(crate) struct Binder<'a> {
    user: &'a UserNamespace,
    program: &'a User,
    /// User namespaces that hold mappings, each made once.
    made: Vec<(IdMappings, OwnedFd)>,
    /// What the user should know, a sentence each.
    pub(crate) warnings: Vec<String>,
    /// Whether files with the IDs of the container's own range may stay where a mapping was wanted and cannot be had.
    pub(crate) leaves_ids: bool,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(user: &'a UserNamespace, program: &'a User) -> Binder<'a> {
        Binder { user, program, made: Vec::new(), warnings: Vec::new(), leaves_ids: false }
    }

    /// In the supervisor: the bind as a detached mount.
    pub(crate) fn prepare(&mut self, bind: &Bind, attributes: Attributes) -> Result<OwnedFd> {
        let path = bind.path.as_str();
        let owner = bind.ids.on_disk(self.user, (self.program.uid, self.program.gid));
        let made = bind.create && source::make_missing(path, owner, bind.seen)?;
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        if bind.recursive {
            flags |= OpenTreeFlags::AT_RECURSIVE;
        }
        let mount = open_tree(CWD, path, flags).step(STEP, || format!("bind {path} of the host"))?;
        if let Some(seen) = bind.seen.filter(|_| !made)
            && !seen.is(mount.as_fd()).step(STEP, || format!("look at {path}"))?
            // Another container may have made it meanwhile, as we would have.
            && !(bind.create && belongs_to(mount.as_fd(), owner).step(STEP, || format!("look at {path}"))?)
        {
            return Err(Error::new(
                STEP,
                format!(
                    "{path} was put in another's place while it was being mounted: try again, and see who may do that"
                ),
            ));
        }
        if bind.reown && !bind.fill {
            source::reown(path, mount.as_fd(), owner)?;
        }
        let propagation = attributes.propagation.unwrap_or_default();
        // One call, and all of it or nothing; propagation has a recursion of its own.
        set_attributes(mount.as_fd(), &propagation.change())
            .step(STEP, || format!("make {path} {}", propagation.word()))?;
        let mapped = self.map(bind, &mount)?;
        self.leaves_ids |= bind.warn && !mapped && !attributes.readonly;
        // A volume that may have to be filled becomes read-only when that is done.
        let attributes = if bind.fill { Attributes { readonly: false, ..attributes } } else { attributes };
        let change = Change { recursive: bind.recursive && !bind.shallow, ..attributes.change() };
        if change.set != 0 || change.clear != 0 {
            set_attributes(mount.as_fd(), &change)
                .step(STEP, || format!("set the attributes of the bind of {path}"))?;
        }
        let (set, clear) = attributes.recursive;
        if set != 0 || clear != 0 {
            let change = Change { set, clear, recursive: true, ..Change::default() };
            set_attributes(mount.as_fd(), &change)
                .step(STEP, || format!("set the attributes of all that is bound with {path}"))?;
        }
        // Of one that is not mapped that was said already.
        if bind.warn && mapped && !attributes.readonly {
            self.warn_if_closed(path, mount.as_fd())?;
        }
        Ok(mount)
    }

    /// Gives the mount its mapping, as far as file systems can have one; gives whether all of it has what was wanted.
    fn map(&mut self, bind: &Bind, mount: &OwnedFd) -> Result<bool> {
        let program = (self.program.uid, self.program.gid);
        let Some(mappings) = bind.ids.mappings(self.user, program) else {
            return Ok(self.user.mappings().is_none());
        };
        if self.is_needless(&mappings) {
            return Ok(true);
        }
        let user = self.user_namespace(mappings)?;
        let change = |recursive| Change { idmap: Some(user), recursive, ..Change::default() };
        let path = bind.path.as_str();
        if let Some(recursive) = bind.exact {
            return set_attributes(mount.as_fd(), &change(recursive))
                .step(STEP, || format!("map the IDs of the bind of {path}"))
                .map(|()| true);
        }
        let whole = set_attributes(mount.as_fd(), &change(bind.recursive));
        if !cannot(&whole) {
            return whole.step(STEP, || format!("map the IDs of the bind of {path}")).map(|()| true);
        }
        let advice = "there the container can do only what others may (write :noidmap to accept that, or use --userns=host)";
        // Perhaps it is only something mounted below it that cannot.
        let top = if bind.recursive { set_attributes(mount.as_fd(), &change(false)) } else { whole };
        let said = if cannot(&top) {
            let kind = source::file_system(mount.as_fd()).map_or(String::new(), |name| format!(" ({name})"));
            format!("the IDs of {path} are not mapped, since its file system{kind} cannot do that: {advice}")
        } else {
            top.step(STEP, || format!("map the IDs of the bind of {path}"))?;
            format!(
                "the IDs of what is mounted below {path} are not mapped, since a file system there cannot do that: {advice}"
            )
        };
        if bind.warn {
            self.warnings.push(said);
        }
        Ok(false)
    }

    /// Whether each ID of the container stands on disk as what it is to the kernel.
    fn is_needless(&self, mappings: &IdMappings) -> bool {
        let total = |lines: &[crate::namespaces::user::IdMap]| -> u64 {
            lines.iter().map(|line| u64::from(line.count)).sum()
        };
        self.user.mappings().is_some_and(|container| {
            mappings.uids.iter().chain(&mappings.gids).all(|line| line.inside == line.outside)
                && total(&mappings.uids) == total(&container.uids)
                && total(&mappings.gids) == total(&container.gids)
        })
    }

    fn user_namespace(&mut self, mappings: IdMappings) -> Result<BorrowedFd<'_>> {
        let index = match self.made.iter().position(|(made, _)| *made == mappings) {
            Some(index) => index,
            None => {
                // One without any line cannot be had: then every file is nobody's.
                let usable =
                    if mappings == IdMappings::default() { IdMappings::nobody() } else { mappings.clone() };
                let namespace = for_mounts(&usable)?;
                self.made.push((mappings, namespace));
                self.made.len() - 1
            }
        };
        self.made
            .get(index)
            .map(|(_, namespace)| namespace.as_fd())
            .ok_or_else(|| Error::new(STEP, "the user namespace of a mount is missing"))
    }

    /// Says so if the program can write nothing in a folder (or to a file) that it is given to write.
    fn warn_if_closed(&mut self, path: &str, mount: BorrowedFd<'_>) -> Result<()> {
        if self.user.mappings().is_none() {
            return Ok(());
        }
        let stat = fstat(mount).step(STEP, || format!("look at {path}"))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !matches!(kind, FileType::Directory | FileType::RegularFile | FileType::Socket) {
            return Ok(());
        }
        let (uid, gid) = self.user.outside(self.program.uid, self.program.gid)?;
        let groups: Vec<u32> = self
            .program
            .groups
            .iter()
            .filter_map(|group| self.user.mappings()?.outside(0, *group).map(|(_, gid)| gid))
            .collect();
        // What is seen through the mount is what the kernel decides by.
        let may = |bits: u32| stat.st_mode & bits == bits;
        let write = if kind == FileType::Directory { 0o3 } else { 0o2 };
        // Where an owner has no line at all, the kernel lets nobody write.
        let nobody = stat.st_uid == OVERFLOW || stat.st_gid == OVERFLOW;
        let allowed = if nobody {
            false
        } else if stat.st_uid == uid {
            may(write << 6)
        } else if stat.st_gid == gid || groups.contains(&stat.st_gid) {
            may(write << 3)
        } else {
            may(write)
        };
        let mapped = self.user.mappings().is_some_and(|all| {
            let among = |lines: &[crate::namespaces::user::IdMap], id: u32| {
                lines
                    .iter()
                    .any(|line| id.checked_sub(line.outside).is_some_and(|offset| offset < line.count))
            };
            among(&all.uids, stat.st_uid) && among(&all.gids, stat.st_gid)
        });
        // The container's root passes by where the owner is one of the container's.
        if allowed || self.program.uid == 0 && mapped {
            return Ok(());
        }
        self.warnings.push(format!(
            "the container's user {} can write nothing in {path}, which belongs to somebody else on the host: mount it \
             with :ro if that is meant (otherwise its owner must be another one; see :U and :idmap in \
             docs/user-namespaces.md)",
            self.program.uid
        ));
        Ok(())
    }
}

fn belongs_to(fd: BorrowedFd<'_>, owner: (Option<u32>, Option<u32>)) -> rustix::io::Result<bool> {
    let stat = fstat(fd)?;
    Ok(owner == (Some(stat.st_uid), Some(stat.st_gid)))
}

/// What the kernel shows for an ID that has no line (/proc/sys/kernel/overflowuid).
const OVERFLOW: u32 = 65_534;

/// Whether the answer to a mapping is that this mount cannot have one: its file system does not know how, or it has
/// one already.
fn cannot(answer: &std::io::Result<()>) -> bool {
    let known = [Errno::INVAL, Errno::PERM, Errno::OPNOTSUPP].map(Errno::raw_os_error);
    answer.as_ref().is_err_and(|error| error.raw_os_error().is_some_and(|number| known.contains(&number)))
}

/// In the supervisor: a copy of the mount at `path` in another container's mount namespace. The process is in
/// that namespace for the moment of the copy, so links in the path are that container's own.
pub(crate) fn of_container(namespace: BorrowedFd<'_>, path: &str, attributes: Attributes) -> Result<OwnedFd> {
    let own = std::fs::File::open("/proc/self/ns/mnt").step(STEP, || "open our own mount namespace")?;
    bulkhead_sys::namespaces::join(namespace, mnt::FLAG)
        .step(STEP, || "join the other container's mounts")?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let found = open_tree(CWD, path, flags);
    if bulkhead_sys::namespaces::join(own.as_fd(), mnt::FLAG).is_err() {
        // Going on in another container's mounts would take its files for the host's.
        bulkhead_sys::process::exit_now(125);
    }
    let mount = found.step(STEP, || format!("take {path} from the other container"))?;
    set_attributes(mount.as_fd(), &Propagation::RecursivePrivate.change())
        .step(STEP, || format!("cut {path} off from the other container"))?;
    if attributes.readonly {
        set_attributes(mount.as_fd(), &Attributes::default().readonly().change())
            .step(STEP, || format!("make {path} of the other container read-only"))?;
    }
    Ok(mount)
}
