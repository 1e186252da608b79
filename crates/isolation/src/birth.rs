//! Birth: a plan is carried out, and a container's first program runs.
//!
//! Two processes take part. The *supervisor* (this file) has the host's rights: it makes the control group,
//! clones the child into its new namespaces, maps the IDs, has the network wired, and prepares every mount that
//! needs the host as a detached descriptor. The *child* ([`crate::child`]) has only what its namespaces give
//! it: it receives the descriptors, attaches them, leaves the host's tree behind and executes the program.
//!
//! They talk over one socket: the supervisor sends what it prepared; the child sends its terminal, or the step
//! that failed; that the program runs shows in the socket's end, since execve closes it.
//!
//! The process that calls must have one thread (see [`bulkhead_sys::process::clone3`]).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::channel;
use bulkhead_sys::pidfd::{self, Ended};
use bulkhead_sys::process::{CloneArgs, Cloned, clone3};
use rustix::time::Timespec;

use crate::cgroups::Created;
use crate::child;
use crate::error::{Error, Result, Step};
use crate::messages::{Delivery, Word, tell};
use crate::mounts::{Newborn, Said};
use crate::namespaces::{self, JoinedAtClone, net::NetNamespace, pid::PidNamespace, user::UserNamespace};
use crate::plan::Plan;
use crate::trace::Trace;
use crate::users::{self, User};
use crate::{mounts, priorities, rlimits, rootfs};

pub use crate::messages::Streams;

/// A program that runs, in a container.
#[derive(Debug)]
pub struct Running {
    /// Its process ID as the supervisor's PID namespace numbers it.
    pub pid: i32,
    /// The same, safe from reuse.
    pub pidfd: OwnedFd,
    /// The terminal's own side, if it was given one.
    pub terminal: Option<OwnedFd>,
}

/// A container that runs.
#[derive(Debug)]
pub struct Born {
    /// Its first program.
    pub first: Running,
    /// Its control group.
    pub cgroup: Created,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
    /// Whether files with the IDs of its own range may stay on the host when it has gone.
    pub leaves_ids: bool,
}

/// How long a birth may take, in seconds, filling large volumes included.
const PATIENCE: i64 = 600;

/// What is done on the way by whoever has a container born.
pub trait Attendant {
    /// Wires its new network namespace.
    ///
    /// # Errors
    /// Those of the network; the birth ends with them.
    fn wire(&mut self, network: BorrowedFd<'_>) -> Result<()>;

    /// If the plan has hooks: its mounts are attached, and the host's tree is there still. `pid` is its first process.
    /// Gives what the hooks in the child read.
    ///
    /// # Errors
    /// The birth ends with them.
    fn mounted(&mut self, pid: i32) -> Result<Vec<u8>> {
        let _ = pid;
        Ok(Vec::new())
    }

    /// All is done for it: when this returns, the program of process `pid` is let go, or held if the plan says so.
    ///
    /// # Errors
    /// The birth ends with them.
    fn ready(&mut self, pid: i32) -> Result<()> {
        let _ = pid;
        Ok(())
    }
}

impl<W: FnMut(BorrowedFd<'_>) -> Result<()>> Attendant for W {
    fn wire(&mut self, network: BorrowedFd<'_>) -> Result<()> {
        self(network)
    }
}

/// Carries out `plan`. `handles` are the descriptors that it refers to; `streams` are the program's standard
/// streams (with a terminal they are ignored); `attendant` is called on the way, often a closure that wires the network.
///
/// # Errors
/// The first step that failed. Nothing is left behind: no process, group, mount or namespace.
pub fn bring(
    plan: &Plan,
    handles: &[OwnedFd],
    streams: Option<Streams>,
    attendant: &mut dyn Attendant,
    trace: &mut Trace,
) -> Result<Born> {
    // Looked at before the clone: the child, in its own user namespace, would see that one.
    bulkhead_sys::namespaces::nested();
    namespaces::time::prepare(plan.namespaces.time)?;
    let cgroup = Created::create(&plan.cgroup)?;
    trace.lap("control group");
    let born = bring_in(plan, handles, streams, attendant, &cgroup, trace);
    match born {
        Ok((first, Said { warnings, leaves_ids })) => Ok(Born { first, cgroup, warnings, leaves_ids }),
        Err(error) => {
            drop(cgroup);
            if plan.namespaces.pid != PidNamespace::New {
                // What was born in somebody else's namespace and is held back there ends with nothing else.
                let _ = crate::cgroups::kill_all(&plan.cgroup.path);
            }
            // The error above is the one to tell; an empty group that stays is found by the next command.
            let _ = crate::cgroups::remove(&plan.cgroup.path);
            Err(error)
        }
    }
}

fn bring_in(
    plan: &Plan,
    handles: &[OwnedFd],
    streams: Option<Streams>,
    attendant: &mut dyn Attendant,
    cgroup: &Created,
    trace: &mut Trace,
) -> Result<(Running, Said)> {
    let unborn = Unborn::clone(plan, handles, cgroup, streams.as_ref(), trace.on())?;
    trace.lap("clone into namespaces");
    let mapping = unborn.map_ids(&plan.namespaces.user, handles)?;
    let mapping = mapping.as_ref().map(AsFd::as_fd);
    unborn.adjust_oom_score(plan.process.oom_score_adj)?;
    trace.lap("ID mappings");
    let root = rootfs::prepare(&plan.rootfs, mapping)?;
    trace.lap("overlay");
    let user = users::of(root.as_fd(), &plan.process)?;
    if let Some(streams) = &streams {
        own_streams(streams, plan.namespaces.user.outside(user.uid, user.gid)?)?;
    }
    let net = || unborn.net_namespace();
    let newborn = Newborn { namespaces: &plan.namespaces, mapping, cgroup, net: &net };
    let (mounts, said) = mounts::prepare(&plan.mounts, handles, &newborn, &user)?;
    trace.lap("mounts prepared");
    unborn.hand_over(&user, &root, &mounts)?;
    drop((root, mounts));
    // The network is wired while the child attaches its mounts: it waits for both before it goes on.
    if plan.namespaces.net == NetNamespace::New {
        attendant.wire(unborn.net_namespace()?.as_fd())?;
    }
    trace.lap("network wired");
    // Alone in its PID namespace, nobody can hold the child back.
    let patience = if plan.namespaces.pid == PidNamespace::New { PATIENCE } else { PATIENCE / 20 };
    if plan.hooks.is_some() {
        unborn.see_it_mounted(patience)?;
        unborn.say(&attendant.mounted(unborn.pid)?, &[])?;
    }
    rlimits::apply(&plan.process.rlimits, Some(unborn.pid))?;
    priorities::apply(&plan.process.extras, unborn.pid)?;
    attendant.ready(unborn.pid)?;
    unborn.let_go()?;
    Ok((unborn.see_it_run(patience, trace)?, said))
}

/// Gives the streams that are pipes to the program's user, so that it can open /dev/stdout and the like.
pub(crate) fn own_streams(streams: &Streams, (uid, gid): (u32, u32)) -> Result<()> {
    use rustix::fs::{FileType, Gid, Uid, fchown, fstat};
    if (uid, gid) == (0, 0) {
        return Ok(());
    }
    for stream in streams {
        let stat = fstat(stream).step("standard streams", || "look at a standard stream")?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo {
            fchown(stream, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .step("standard streams", || "give a pipe to the program's user")?;
        }
    }
    Ok(())
}

/// What it means that namespaces cannot be had.
fn no_namespace(error: std::io::Error) -> Error {
    if error.raw_os_error() == Some(rustix::io::Errno::NOSPC.raw_os_error()) {
        return Error::new(
            "clone",
            "cannot clone into new namespaces: the machine's limit is reached (see the sysctls user.max_*_namespaces; \
             --userns=host does without a user namespace)",
        );
    }
    match Err::<(), _>(error).step("clone", || "clone into new namespaces") {
        Err(error) => error,
        Ok(()) => Error::new("clone", "cannot clone into new namespaces"),
    }
}

/// A child that is not a program yet. Dropped, it is ended.
pub(crate) struct Unborn {
    pid: i32,
    pidfd: Option<OwnedFd>,
    socket: OwnedFd,
}

impl Unborn {
    fn clone(
        plan: &Plan,
        handles: &[OwnedFd],
        cgroup: &Created,
        streams: Option<&Streams>,
        trace: bool,
    ) -> Result<Unborn> {
        let joined = JoinedAtClone::enter(&plan.namespaces, handles)?;
        let flags = plan.namespaces.clone_flags();
        let held = plan.hold.map(|hold| {
            let listener = handles.get(hold.0).map(AsFd::as_fd);
            listener.ok_or_else(|| Error::new("clone", "the socket to wait at did not come with the plan"))
        });
        let held = held.transpose()?;
        let life = |socket: BorrowedFd<'_>| child::be_born(plan, cgroup, streams, socket, held, trace);
        let unborn = match &plan.namespaces.user {
            UserNamespace::Host | UserNamespace::New(_) => Unborn::fork(flags, cgroup, life),
            UserNamespace::Join { namespace, .. } => {
                let namespace = handles.get(namespace.0).ok_or_else(|| {
                    Error::new("clone", "the plan joins a user namespace that did not come with it")
                })?;
                Unborn::fork_inside(namespace.as_fd(), flags, cgroup, life)
            }
        };
        drop(joined);
        let mut unborn = unborn?;
        if unborn.pid == 0
            && let Some(pidfd) = &unborn.pidfd
        {
            // Only in our own /proc is it what others know it by.
            unborn.pid = bulkhead_sys::pidfd::number(pidfd.as_fd()).step("clone", || "look at the child")?;
        }
        Ok(unborn)
    }

    /// Clones in another container's user namespace: what is new belongs to that then. A process that has entered one
    /// cannot come back, so a child of ours enters it, and gives birth to a sibling there. Its number is still to be found.
    fn fork_inside(
        user: BorrowedFd<'_>,
        namespaces: u64,
        cgroup: &Created,
        life: impl FnOnce(BorrowedFd<'_>) -> Error,
    ) -> Result<Unborn> {
        let (ours, theirs) = channel::pair().step("clone", || "make a socket to the child")?;
        let midwife = Unborn::fork(0, cgroup, |socket| {
            let give_birth = || -> Result<()> {
                // Those who live there may see this process, if the PID namespace is theirs too.
                child::hide()?;
                bulkhead_sys::namespaces::join(user, namespaces::user::FLAG)
                    .step("clone", || "join the other container's user namespace")?;
                child::hide()?;
                let args = CloneArgs { namespaces, cgroup: cgroup.for_clone(), sibling: true };
                match clone3(&args).map_err(no_namespace)? {
                    Cloned::Parent { pidfd, .. } => channel::send(socket, b"born", &[pidfd.as_fd()])
                        .step("clone", || "hand over the child"),
                    Cloned::Child => {
                        let failed = life(theirs.as_fd());
                        tell(theirs.as_fd(), &Word::Failed(failed.clone()), &[]);
                        bulkhead_sys::process::exit_now(failed.exit_code());
                    }
                }
            };
            // An Ok is the midwife's.
            match give_birth() {
                Ok(()) => bulkhead_sys::process::exit_now(0),
                Err(error) => error,
            }
        })?;
        drop(theirs);
        // Those who live there can stop it.
        midwife.await_word(PATIENCE / 20)?;
        let message = channel::receive(&midwife.socket).step("clone", || "hear of the child")?;
        let Some(message) = message else { return Err(Error::new("clone", "nobody was born")) };
        let Some(pidfd) = message.fds.into_iter().next() else {
            return Err(serde_json::from_slice(&message.body)
                .ok()
                .and_then(|word| if let Word::Failed(error) = word { Some(error) } else { None })
                .unwrap_or_else(|| Error::new("clone", "nobody was born")));
        };
        Ok(Unborn { pid: 0, pidfd: Some(pidfd), socket: ours })
    }

    /// Clones; the child runs `life` and never returns from here.
    pub(crate) fn fork(
        namespaces: u64,
        cgroup: &Created,
        life: impl FnOnce(BorrowedFd<'_>) -> Error,
    ) -> Result<Unborn> {
        let (ours, theirs) = channel::pair().step("clone", || "make a socket to the child")?;
        let args = CloneArgs { namespaces, cgroup: cgroup.for_clone(), ..CloneArgs::default() };
        match clone3(&args).map_err(no_namespace)? {
            Cloned::Parent { pid, pidfd } => Ok(Unborn { pid, pidfd: Some(pidfd), socket: ours }),
            Cloned::Child => {
                drop(ours);
                let failed = life(theirs.as_fd());
                tell(theirs.as_fd(), &Word::Failed(failed.clone()), &[]);
                bulkhead_sys::process::exit_now(failed.exit_code());
            }
        }
    }

    /// Writes the mapping, and gives the user namespace for ID-mapped mounts.
    fn map_ids(&self, user: &UserNamespace, handles: &[OwnedFd]) -> Result<Option<OwnedFd>> {
        match user {
            UserNamespace::Host => Ok(None),
            UserNamespace::New(mappings) => {
                namespaces::user::write_mappings(self.pid, mappings)?;
                namespaces::user::of_process(self.pid).map(Some)
            }
            UserNamespace::Join { namespace, .. } => handles
                .get(namespace.0)
                .map(OwnedFd::try_clone)
                .transpose()
                .step("user namespace", || "keep the user namespace that is joined"),
        }
    }

    pub(crate) fn adjust_oom_score(&self, score: Option<i32>) -> Result<()> {
        let Some(score) = score else { return Ok(()) };
        std::fs::write(format!("/proc/{}/oom_score_adj", self.pid), score.to_string()).step(
            "oom score",
            || {
                format!(
                    "set oom_score_adj to {score} (to lower it, this engine itself needs CAP_SYS_RESOURCE)"
                )
            },
        )
    }

    fn net_namespace(&self) -> Result<OwnedFd> {
        std::fs::File::open(format!("/proc/{}/ns/net", self.pid))
            .map(OwnedFd::from)
            // A child that has gone has most likely said why.
            .or_else(|error| {
                self.listen(&mut Trace::new(false))
                    .and(Err(error).step("network", || "open the new network namespace"))
            })
    }

    fn hand_over(&self, user: &User, root: &OwnedFd, mounts: &[OwnedFd]) -> Result<()> {
        let delivery = Delivery { user: user.clone(), descriptors: 1 + mounts.len() };
        let mut body = serde_json::to_vec(&delivery).unwrap_or_default();
        let all: Vec<BorrowedFd<'_>> = [root].into_iter().chain(mounts).map(AsFd::as_fd).collect();
        for some in all.chunks(channel::MAX_FDS) {
            self.say(&body, some)?;
            body = Vec::new();
        }
        Ok(())
    }

    fn let_go(&self) -> Result<()> {
        self.say(b"go", &[])
    }

    /// Sends; a child that has gone has most likely said why.
    fn say(&self, body: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        channel::send(&self.socket, body, fds).or_else(|error| {
            self.listen(&mut Trace::new(false)).and(Err(error).step("clone", || "talk to the child"))
        })
    }

    /// Waits until the program runs.
    ///
    /// The child may be in a PID namespace whose members can stop it: `patience` seconds are enough for a machine
    /// under load, and then it is ended, so that whoever waits here goes on.
    pub(crate) fn see_it_run(mut self, patience: i64, trace: &mut Trace) -> Result<Running> {
        self.await_word(patience)?;
        let terminal = self.listen(trace)?;
        // An end without a word is the program's start, or the death of a child that somebody killed: whoever owns the
        // pidfd learns that as it would of the program.
        let pidfd = self.pidfd.take().ok_or_else(|| Error::new("clone", "the child is gone"))?;
        Ok(Running { pid: self.pid, pidfd, terminal })
    }

    /// Waits until its mounts are attached.
    fn see_it_mounted(&self, patience: i64) -> Result<()> {
        self.await_word(patience)?;
        let message = channel::receive(&self.socket).step("clone", || "hear from the child")?;
        match message.map(|message| serde_json::from_slice(&message.body)) {
            Some(Ok(Word::Mounted)) => Ok(()),
            Some(Ok(Word::Failed(error))) => Err(error),
            Some(_) => Err(Error::new("clone", "the child sent a message that cannot be read")),
            None => Err(Error::new("clone", "the child is gone")),
        }
    }

    /// Waits until it says something, or ends.
    fn await_word(&self, patience: i64) -> Result<()> {
        let socket = rustix::event::PollFd::new(&self.socket, rustix::event::PollFlags::IN);
        let until = Timespec { tv_sec: patience, tv_nsec: 0 };
        match rustix::event::poll(&mut [socket], Some(&until)) {
            Ok(0) => Err(Error::new(
                "clone",
                format!(
                    "the program has not started within {patience} seconds: something in the container holds it back"
                ),
            )),
            _ => Ok(()),
        }
    }

    fn listen(&self, trace: &mut Trace) -> Result<Option<OwnedFd>> {
        let mut terminal = None;
        while let Some(mut message) =
            channel::receive(&self.socket).step("clone", || "hear from the child")?
        {
            match serde_json::from_slice(&message.body) {
                Ok(Word::Terminal) => terminal = message.fds.pop(),
                Ok(Word::Mounted) => {}
                Ok(Word::Laps(laps)) => {
                    trace.lap("child ready");
                    trace.adopt("child: ", laps);
                }
                Ok(Word::Failed(error)) => return Err(error),
                Err(_) => return Err(Error::new("clone", "the child sent a message that cannot be read")),
            }
        }
        trace.lap("program runs");
        Ok(terminal)
    }
}

impl Drop for Unborn {
    fn drop(&mut self) {
        if let Some(pidfd) = &self.pidfd {
            // It may have ended by itself; reaping is what matters.
            let _ = pidfd::send_signal(pidfd.as_fd(), 9);
            let _: std::io::Result<Option<Ended>> = pidfd::wait(pidfd, true);
        }
    }
}
