//! Control groups by the kernel's files: the path is the configuration's, and nobody else is asked.

use bulkhead_isolation::Result as Done;
use bulkhead_isolation::cgroups::resources::Resources as Limits;
use bulkhead_isolation::cgroups::{self, Below, Cgroup, Created};

use super::{Manager, Unit};
use crate::error::{Error, Result};

/// A group at this path below the root of each hierarchy.
pub(super) struct Files {
    pub(super) path: String,
}

impl Manager for Files {
    fn is_taken(&self) -> Done<bool> {
        // In any hierarchy: what is killed at the container's end is looked for in all.
        cgroups::has_processes_anywhere(&self.path)
    }

    fn create(&mut self, cgroup: &Cgroup, _: &mut dyn FnMut(Unit) -> Done<()>) -> Done<Created> {
        Created::create(cgroup)
    }

    fn settle(&mut self, _: &Cgroup, _: i32) -> Done<()> {
        Ok(())
    }

    fn open_below(&self, below: &[Below]) -> Done<Created> {
        Created::open_below(&self.path, below)
    }

    fn limit(&mut self, limits: &Limits) -> Done<Vec<String>> {
        Created::open(&self.path)?.limit(limits)
    }

    fn remove(&mut self) -> Done<()> {
        cgroups::clear(&self.path);
        Ok(())
    }
}

/// The group's path: as the configuration says, below the root of each hierarchy; a relative path is below the
/// runtime's own.
pub(super) fn path(path: &str, id: &str) -> Result<String> {
    const OWN: &str = "/bulkhead-runtime";
    if path.split('/').any(|part| part == "..") {
        return Err(Error::invalid(format!("config.json: linux.cgroupsPath: {path:?} leads upwards")));
    }
    Ok(match path.strip_prefix('/') {
        Some(rest) if !rest.trim_matches('/').is_empty() => format!("/{}", rest.trim_matches('/')),
        Some(_) => {
            return Err(Error::invalid("config.json: linux.cgroupsPath: the root is no container's group"));
        }
        None if path.is_empty() => format!("{OWN}/{id}"),
        None => format!("{OWN}/{}", path.trim_matches('/')),
    })
}
