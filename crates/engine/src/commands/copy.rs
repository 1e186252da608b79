//! `cp`: files between a container and this machine, or a tar; Docker's rules
//! (<https://docs.docker.com/reference/cli/docker/container/cp/>).
//!
//! Two processes take part, and a tar goes from one to the other: a child that works in the container with no more rights
//! than its root has ([`inside`], [`bulkhead_isolation::inside`]), and this one, which works on the machine's files
//! ([`local`]). They first agree on what there is on either side and under which name it is to arrive:
//!
//! | out of a container | into a container |
//! |---|---|
//! | child: [`Word::Found`], what is at the source | child: [`Word::Ready`], under which name the destination wants it |
//! | here: the name that it gets | here: the tar, or that which was given |
//! | child: the tar, [`Word::Done`] | child: [`Word::Done`] |

pub mod archive;
mod inside;
mod local;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_image::unpack::Plain;
use bulkhead_isolation::inside::{Inside, Place, Worker, send_in};
use bulkhead_isolation::mounts::Source;
use bulkhead_isolation::namespaces::user::UserNamespace;
use rustix::fs::FileType;
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};

use crate::Engine;
use crate::error::{Doing, Error, Refusal, Result};
use crate::spec::{self, binds};
use crate::store::containers::Container;
use crate::users::Users;

/// How it is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether owners are kept; otherwise files belong to the container's root, or to this process's user.
    pub archive: bool,
    /// Whether a link at the source is followed.
    pub follow: bool,
}

/// The machine's side.
#[derive(Clone, Copy, Debug)]
pub enum Here<'a> {
    /// A path.
    Path(&'a [u8]),
    /// A stream that a tar is read from, or written to.
    Tar(BorrowedFd<'a>),
}

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The length of the tar.
    pub bytes: u64,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// This is at the source.
    Found(PathStat),
    /// The destination can take it, under this name; an empty one: what is in it goes there.
    Ready {
        name: Vec<u8>,
    },
    Done(Copied),
    /// It cannot be done.
    Failed {
        why: Refusal,
        message: String,
    },
}

/// What is at a path of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStat {
    /// Its kind and permissions, as the kernel has them (inode(7), `st_mode`).
    pub mode: u32,
    /// Its length, in bytes.
    pub size: i64,
    /// When it was changed: seconds since 1970, and nanoseconds.
    pub modified: (i64, u32),
    /// Of a symbolic link, where it leads, through other links: a path of the container's.
    pub target: Option<Vec<u8>>,
}

impl PathStat {
    fn is_folder(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::Directory
    }
}

/// A source, as far as the rules want to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Given {
    folder: bool,
    /// Its name; empty: what is in the folder is meant, not the folder.
    name: Vec<u8>,
}

impl Engine {
    /// Copies `path` of the container to this side.
    ///
    /// # Errors
    /// It is not there, or the destination cannot take it; files that cannot be read or written.
    pub fn copy_out(
        &mut self,
        container: &Container,
        path: &[u8],
        to: Here<'_>,
        options: Options,
    ) -> Result<Copied> {
        let destination = match to {
            Here::Path(path) => Some(local::Destination::look(path)?),
            Here::Tar(_) => None,
        };
        let (mut reads, writes) = pipe()?;
        let out = match to {
            Here::Path(_) => writes.as_fd(),
            Here::Tar(out) => out,
        };
        let worker = self.enter(container, &[out], |inside| {
            inside::read(inside, path, &container.name, options.follow, out)
        })?;
        drop(writes);
        let Word::Found(found) = hear(&worker)? else { return Err(unexpected()) };
        let given = Given { folder: found.is_folder(), name: inside::name_of(path) };
        match destination {
            None => {
                // In an archive, what is in a folder has the names that tar(1) gives it.
                say(&worker, &given.name)?;
                done(&worker)
            }
            Some(destination) => {
                let (folder, name) = destination.takes(&given)?;
                say(&worker, &name)?;
                let owner = (!options.archive).then(local::caller);
                let extracted = local::extract(&mut reads, &folder, owner);
                // Without a reader the child cannot go on waiting.
                drop(reads);
                // Why it ended early is what is to be told, if it did.
                let told = done(&worker);
                match (extracted, told) {
                    (Err(_), Err(error)) if !local::is_broken_pipe(&error) => Err(error),
                    (Err(error), _) => Err(error),
                    (Ok(()), told) => told,
                }
            }
        }
    }

    /// Copies from this side to `path` in the container.
    ///
    /// # Errors
    /// The destination cannot take it; files that cannot be read or written. What was copied by then stays.
    pub fn copy_in(
        &mut self,
        container: &Container,
        from: Here<'_>,
        path: &[u8],
        options: Options,
    ) -> Result<Copied> {
        let source = match from {
            Here::Path(path) => Some(local::Source::open(path, options.follow)?),
            Here::Tar(_) => None,
        };
        let given = source.as_ref().map(|source| source.given.clone());
        let (reads, writes) = pipe()?;
        let input = match from {
            Here::Path(_) => reads.as_fd(),
            Here::Tar(input) => input,
        };
        let owner = (!options.archive).then_some((0, 0));
        let worker = self.enter(container, &[input], |inside| {
            let how = Plain { owner, ..Plain::default() };
            inside::write(inside, path, &container.name, given.as_ref(), how, input)
        })?;
        drop(reads);
        let Word::Ready { name } = hear(&worker)? else { return Err(unexpected()) };
        let sent = match source {
            Some(source) => source.pack(writes, &name),
            None => {
                drop(writes);
                Ok(Vec::new())
            }
        };
        match (sent, done(&worker)) {
            // The child ended early, and says why.
            (Err(error), Err(why)) if local::is_broken_pipe(&error) => Err(why),
            (Err(error), _) => Err(error),
            (Ok(warnings), Ok(mut copied)) => {
                copied.warnings.extend(warnings);
                Ok(copied)
            }
            (Ok(_), Err(error)) => Err(error),
        }
    }

    /// Sends a child into the container, whether it runs or not.
    fn enter(
        &mut self,
        container: &Container,
        kept: &[BorrowedFd<'_>],
        work: impl FnOnce(&Inside) -> Result<Copied>,
    ) -> Result<Worker> {
        let work = |inside: &Inside| {
            let word = match work(inside) {
                Ok(copied) => Word::Done(copied),
                Err(error) => Word::Failed { why: inside::refusal(&error), message: error.to_string() },
            };
            inside::tell(inside, &word)
        };
        if let Some(mounts) = self.namespace_of(container, "mnt")? {
            let user = match container.users {
                Users::Host => None,
                _ => self.namespace_of(container, "user")?,
            };
            if user.is_none() && container.users != Users::Host {
                return Err(Error::Conflict(format!("container {} has just ended", container.name)));
            }
            return Ok(send_in(&Place::Running { mounts, user }, kept, work)?);
        }
        let lock = self.lock_for_files(container)?;
        let wanted = binds::read(&container.config)?;
        self.furnish(container, &wanted)?;
        let host = container.config.host_config.clone().unwrap_or_default();
        let mapping = self.id_mapping_for(&container.image, &container.users, &wanted)?;
        let around = spec::Surroundings {
            layers: self.layers_of(&container.image, &container.users, &mapping)?,
            volumes: self.volumes_of(&host, &wanted, &mapping)?,
            images: self.mounted_images(&wanted, &container.users, &mapping)?,
            ..spec::Surroundings::stand_in(&self.roots, self.init(), &container.id)
        };
        let (mut plan, _) = spec::plan(container, &around)?;
        self.fill_no_volume_again(container, &mut plan)?;
        plan.mounts.retain(|mount| {
            matches!(mount.source, Source::Bind(_) | Source::Image(_))
                && wanted.iter().any(|one| one.target == mount.target)
        });
        let user = container.users.mappings().cloned().map_or(UserNamespace::Host, UserNamespace::New);
        let place = Place::Stopped {
            rootfs: &plan.rootfs,
            mounts: &plan.mounts,
            user,
            program: &plan.process.user,
            groups: &plan.process.additional_groups,
        };
        // The lock is the child's, too: nobody starts the container while it is at work.
        let mut kept = kept.to_vec();
        kept.push(lock.as_fd());
        Ok(send_in(&place, &kept, work)?)
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reads, writes) = pipe_with(PipeFlags::CLOEXEC).doing(|| "make a pipe")?;
    // The largest that anybody may have: fewer changes between the two processes. A smaller one will do.
    let _ = rustix::pipe::fcntl_setpipe_size(&writes, 1024 * 1024);
    Ok((reads, writes))
}

fn unexpected() -> Error {
    Error::Corrupt("the process that works in the container gave an answer that makes no sense".into())
}

fn hear(worker: &Worker) -> Result<Word> {
    let Some(body) = worker.receive()? else {
        return Err(Error::Conflict("the process that works in the container was ended".into()));
    };
    match serde_json::from_slice(&body).map_err(|_| unexpected())? {
        Word::Failed { why, message } => Err(Error::Files { why, message }),
        word => Ok(word),
    }
}

fn done(worker: &Worker) -> Result<Copied> {
    match hear(worker)? {
        Word::Done(copied) => Ok(copied),
        _ => Err(unexpected()),
    }
}

fn say(worker: &Worker, name: &[u8]) -> Result<()> {
    Ok(worker.send(&[b"n", name].concat())?)
}
