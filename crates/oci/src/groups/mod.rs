//! Who makes a container's control group, changes its limits and removes it: this runtime by the kernel's files, or
//! systemd (`--systemd-cgroup`). What is decided when a container is made is recorded; later commands go by the record.
//!
//! | file | holds |
//! |---|---|
//! | [`files`] | by the kernel's files |
//! | [`systemd`] | by systemd |

mod files;
mod systemd;

use std::collections::BTreeMap;

use bulkhead_isolation::Result as Done;
use bulkhead_isolation::cgroups::resources::Resources as Limits;
use bulkhead_isolation::cgroups::{Below, Cgroup, Created};

use crate::error::Result;
use crate::state::State;
pub(crate) use systemd::annotations;
pub use systemd::unit::Unit;

/// One container's group, in the hands of who manages it.
pub(crate) trait Manager {
    /// Whether somebody else's processes are there already.
    fn is_taken(&self) -> Done<bool>;

    /// Makes the group with its limits. Until [`settle`](Self::settle) it is there though nobody is in it. What is known of its
    /// unit only once there is one goes to `record`.
    fn create(&mut self, cgroup: &Cgroup, record: &mut dyn FnMut(Unit) -> Done<()>) -> Done<Created>;

    /// Its first process, `pid`, is about to be in it: when it is, what could not hold until then is made to.
    fn settle(&mut self, cgroup: &Cgroup, pid: i32) -> Done<()>;

    /// The group, or groups below it, for another process to enter.
    fn open_below(&self, below: &[Below]) -> Done<Created>;

    /// Sets limits beside, or in place of, those that hold; gives what could not be set, a sentence each.
    fn limit(&mut self, limits: &Limits) -> Done<Vec<String>>;

    /// Ends what is in the group, and removes it. Gone already is fine.
    fn remove(&mut self) -> Done<()>;
}

/// Where a container's group is to be.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its path below the root of each hierarchy.
    pub(crate) path: String,
    /// The unit that it belongs to, if systemd makes it.
    pub(crate) unit: Option<Unit>,
}

impl Place {
    /// As `linux.cgroupsPath` says, for the container `id`; annotations say more for a unit.
    ///
    /// # Errors
    /// It can be no place.
    pub(crate) fn choose(
        path: Option<&str>,
        id: &str,
        by_systemd: bool,
        annotations: Option<&BTreeMap<String, String>>,
    ) -> Result<Place> {
        let path = path.unwrap_or_default();
        if !by_systemd {
            return Ok(Place { path: files::path(path, id)?, unit: None });
        }
        let unit = Unit::parse(path, id)?;
        if let Some(annotations) = annotations {
            annotations::read(annotations)?;
        }
        Ok(Place { path: unit.path(), unit: Some(unit) })
    }
}

/// Who manages the group of the container that is so recorded.
pub(crate) fn of(state: &State) -> Box<dyn Manager + '_> {
    match &state.unit {
        None => Box::new(files::Files { path: state.cgroup.clone() }),
        Some(unit) => Box::new(systemd::Systemd::new(unit.clone(), &state.id, &state.annotations)),
    }
}
