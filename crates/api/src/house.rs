//! What all requests share: the engine's places, and what the server knows of clients between their requests.

use std::sync::Arc;

use bulkhead_engine::{Programs, Roots, UsualUsers};
use rustix::process::Rlimit;

use crate::execs::Execs;
use crate::pending::Pending;

/// What every request gets. A request's process has it as it was when it was cloned.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) roots: Roots,
    pub(crate) programs: Programs,
    /// Clients that wait for a container to be started.
    pub(crate) pending: Arc<Pending>,
    /// Programs that clients want run in containers.
    pub(crate) execs: Execs,
    /// Which user namespace containers get that ask for none.
    pub(crate) usual_users: UsualUsers,
    /// The limit of descriptors that the server's children get; `None`: it has none, and does no jobs (fuzzing).
    pub(crate) files: Option<Rlimit>,
}

impl House {
    pub(crate) fn new(
        roots: Roots,
        programs: Programs,
        usual_users: UsualUsers,
        files: Option<Rlimit>,
    ) -> House {
        House { roots, programs, pending: Arc::default(), execs: Execs::default(), usual_users, files }
    }
}
