//! The plan: the complete, checked description of a container's isolation, before anything is done.
//!
//! Whoever makes containers (the engine from Docker's words, the OCI runtime from a config.json) writes a
//! plan; [`birth`](crate::birth) carries it out and decides nothing by itself. A plan is plain data: it is
//! sent to the supervisor as JSON. Objects of the host that must be exactly the ones that were checked
//! (another container's namespaces) are not named by paths but travel beside it as descriptors: a [`Handle`]
//! says which one.

use serde::{Deserialize, Serialize};

use crate::capabilities::Capabilities;
use crate::cgroups::Cgroup;
use crate::hooks::Hook;
use crate::labels::Labels;
use crate::mounts::Mount;
use crate::namespaces::Namespaces;
use crate::priorities::Scheduler;
use crate::rlimits::Rlimit;
use crate::rootfs::Rootfs;
use crate::seccomp::Program;
use crate::users::UserSpec;

/// The place of a descriptor in the list that travels with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle(pub usize);

/// A container's isolation, from its namespaces to its program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Which namespaces are new, joined or the host's.
    pub namespaces: Namespaces,
    /// What `/` is.
    pub rootfs: Rootfs,
    /// What is mounted in it, in this order.
    pub mounts: Vec<Mount>,
    /// Paths that are covered: a file by the null device, a folder by an empty one.
    pub masked_paths: Vec<String>,
    /// Paths that are made read-only.
    pub readonly_paths: Vec<String>,
    /// Kernel parameters (dotted name, value) of the new namespaces.
    pub sysctls: Vec<(String, String)>,
    /// Its control group and limits.
    pub cgroup: Cgroup,
    /// The program.
    pub process: Process,
    /// Programs that are run in the child on the way, and whether the supervisor has anything to do then: see
    /// [`Attendant::mounted`](crate::birth::Attendant::mounted).
    #[serde(default)]
    pub hooks: Option<Hooks>,
    /// A listening socket of [`hold`](crate::hold): the child, with all done but the program's last steps, waits there
    /// until somebody lets it go, whoever gave birth to it having gone. `None`: the program runs at once.
    #[serde(default)]
    pub hold: Option<Handle>,
}

/// Programs that the child runs on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// In its namespaces, its mounts being attached and the host's tree being there still.
    pub before_pivot: Vec<Hook>,
    /// In its root, right before its program.
    pub before_program: Vec<Hook>,
}

/// A program to be run in a container: the first one, or a later one (exec).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `NAME=value` lines. HOME is added when missing.
    pub env: Vec<String>,
    /// The working directory, absolute, in the container. Made if it does not exist.
    pub cwd: String,
    /// Whom it runs as.
    pub user: UserSpec,
    /// Groups beyond those of the user (`--group-add`), by name or number.
    pub additional_groups: Vec<String>,
    /// Its capability sets.
    pub capabilities: Capabilities,
    /// Whether execve can never give it more than it has (PR_SET_NO_NEW_PRIVS).
    pub no_new_privileges: bool,
    /// The system call filter, if any.
    pub seccomp: Option<Program>,
    /// Resource limits; those not named are inherited.
    pub rlimits: Vec<Rlimit>,
    /// How willingly the kernel ends it when memory is short (-1000–1000).
    pub oom_score_adj: Option<i32>,
    /// Whether it gets a terminal of its own, and how large.
    pub terminal: Option<TerminalSize>,
    /// What few programs ask for.
    #[serde(default)]
    pub extras: Extras,
}

/// What few programs ask for; nothing of it is the usual.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// Whom it runs as by numbers alone, in place of `user` and `additional_groups`: no file of the container is asked.
    pub ids: Option<Ids>,
    /// Its file mode creation mask, if not 022.
    pub umask: Option<u32>,
    /// Whether it goes on when the process ends that gave birth to it.
    pub outlives_its_maker: bool,
    /// Whether it keeps the session keyring of its maker.
    pub keeps_keyring: bool,
    /// How many of its maker's descriptors it inherits, from 3 on.
    pub descriptors: u32,
    /// Its execution domain (personality(2)).
    pub personality: Option<u32>,
    /// Its priority for disks, as ioprio_set(2) has it.
    pub io_priority: Option<u16>,
    /// How it is scheduled.
    pub scheduler: Option<Scheduler>,
    /// The processors that it may run on, if not all of its group.
    #[serde(default)]
    pub processors: Option<Vec<u32>>,
    /// What security modules hold it to.
    #[serde(default)]
    pub labels: Labels,
}

/// A user by numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// User ID.
    pub uid: u32,
    /// Primary group ID.
    pub gid: u32,
    /// All other groups.
    pub groups: Vec<u32>,
}

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Height.
    pub rows: u16,
    /// Width.
    pub columns: u16,
}
