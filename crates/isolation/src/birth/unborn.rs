//! A child between its clone and its program, as the supervisor has it: what is done for it from outside, and what they
//! say to each other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bulkhead_sys::channel;
use bulkhead_sys::pidfd::{self, Ended};
use bulkhead_sys::process::{CloneArgs, Cloned, clone3};
use rustix::time::Timespec;

use super::{PATIENCE, Running};
use crate::cgroups::Created;
use crate::child;
use crate::error::{Error, Result, Step};
use crate::listener::{self, Listens};
use crate::messages::{Delivery, Streams, Word, tell};
use crate::namespaces::{self, JoinedAtClone, user::UserNamespace};
use crate::plan::Plan;
use crate::trace::Trace;
use crate::users::User;

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
    pub(super) pid: i32,
    pidfd: Option<OwnedFd>,
    socket: OwnedFd,
}

impl Unborn {
    pub(super) fn clone(
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
    pub(super) fn map_ids(&self, user: &UserNamespace, handles: &[OwnedFd]) -> Result<Option<OwnedFd>> {
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

    pub(super) fn net_namespace(&self) -> Result<OwnedFd> {
        std::fs::File::open(format!("/proc/{}/ns/net", self.pid))
            .map(OwnedFd::from)
            // A child that has gone has most likely said why.
            .or_else(|error| {
                self.listen(&mut Trace::new(false), &mut listener::nobody)
                    .and(Err(error).step("network", || "open the new network namespace"))
            })
    }

    pub(super) fn hand_over(&self, user: &User, root: &OwnedFd, mounts: &[OwnedFd]) -> Result<()> {
        let delivery = Delivery { user: user.clone(), descriptors: 1 + mounts.len() };
        let mut body = serde_json::to_vec(&delivery).unwrap_or_default();
        let all: Vec<BorrowedFd<'_>> = [root].into_iter().chain(mounts).map(AsFd::as_fd).collect();
        for some in all.chunks(channel::MAX_FDS) {
            self.say(&body, some)?;
            body = Vec::new();
        }
        Ok(())
    }

    /// What failed with the child: that, or what the child says if it has gone, which is the reason then.
    pub(super) fn if_it_lives(&self, error: Error) -> Result<()> {
        let is_there = self.pidfd.as_ref().is_none_or(|pidfd| {
            let pidfd = rustix::event::PollFd::new(pidfd, rustix::event::PollFlags::IN);
            rustix::event::poll(&mut [pidfd], Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0)
        });
        if !is_there {
            self.listen(&mut Trace::new(false), &mut listener::nobody)?;
        }
        Err(error)
    }

    pub(super) fn let_go(&self) -> Result<()> {
        self.say(b"go", &[])
    }

    /// Sends; a child that has gone has most likely said why.
    pub(super) fn say(&self, body: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        channel::send(&self.socket, body, fds).or_else(|error| {
            self.listen(&mut Trace::new(false), &mut listener::nobody)
                .and(Err(error).step("clone", || "talk to the child"))
        })
    }

    /// Waits until the program runs.
    ///
    /// The child may be in a PID namespace whose members can stop it: `patience` seconds are enough for a machine
    /// under load, and then it is ended, so that whoever waits here goes on.
    pub(crate) fn see_it_run(
        mut self,
        patience: i64,
        trace: &mut Trace,
        listens: Listens<'_>,
    ) -> Result<Running> {
        self.await_word(patience)?;
        let terminal = self.listen(trace, listens)?;
        // An end without a word is the program's start, or the death of a child that somebody killed: whoever owns the
        // pidfd learns that as it would of the program.
        let pidfd = self.pidfd.take().ok_or_else(|| Error::new("clone", "the child is gone"))?;
        Ok(Running { pid: self.pid, pidfd, terminal })
    }

    /// Waits until its mounts are attached.
    pub(super) fn see_it_mounted(&self, patience: i64) -> Result<()> {
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

    fn listen(&self, trace: &mut Trace, listens: Listens<'_>) -> Result<Option<OwnedFd>> {
        let mut terminal = None;
        while let Some(mut message) =
            channel::receive(&self.socket).step("clone", || "hear from the child")?
        {
            match serde_json::from_slice(&message.body) {
                Ok(Word::Terminal) => terminal = message.fds.pop(),
                Ok(Word::Mounted) => {}
                Ok(Word::Listener(number)) => {
                    let child =
                        self.pidfd.as_ref().ok_or_else(|| Error::new("clone", "the child is gone"))?;
                    listener::take(self.socket.as_fd(), (self.pid, child.as_fd()), number, listens)?;
                }
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
