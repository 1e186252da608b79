//! `prune`: what nothing needs any more goes.

use std::path::Path;

use crate::Engine;
use crate::error::{Error, Result};
use crate::store::containers;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names or IDs.
    pub names: Vec<String>,
    /// How many bytes their files had.
    pub bytes: u64,
}

impl Engine {
    /// Removes all containers that do not run, but not their volumes.
    ///
    /// # Errors
    /// The database's.
    pub fn prune_containers(&mut self) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        for container in containers::all(self.store.read())? {
            if self.condition(&container)?.active().is_some() {
                continue;
            }
            let bytes = size(&self.roots.container(&container.id).join("rw/upper"));
            match self.remove(&container, false, false) {
                Ok(()) => {
                    pruned.names.push(container.id);
                    pruned.bytes += bytes;
                }
                // It was started meanwhile, or somebody else removes it.
                Err(Error::Conflict(_) | Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(pruned)
    }
}

/// The sizes of all files below a folder, no link followed; what cannot be read counts nothing.
pub(super) fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
