//! `prune` of containers and images: what nothing needs any more goes.

use std::collections::HashMap;
use std::path::Path;

use bollard_stubs::models::ImageSummary;

use super::images::Removed;
use crate::Engine;
use crate::error::{Error, Result};
use crate::store::{containers, images};

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names or IDs.
    pub names: Vec<String>,
    /// How many bytes their files had.
    pub bytes: u64,
}

/// Says what of all that is not used is to go, by when it was made (seconds since 1970) and by its labels.
pub type Wanted<'a> = &'a dyn Fn(i64, &HashMap<String, String>) -> bool;

impl Engine {
    /// Removes the containers that do not run, but not their volumes.
    ///
    /// # Errors
    /// The database's.
    pub fn prune_containers(&mut self, wanted: Wanted<'_>) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        for container in containers::all(self.store.read())? {
            let labels = container.config.labels.clone().unwrap_or_default();
            if self.condition(&container)?.active().is_some()
                || !wanted(container.created / 1_000_000_000, &labels)
            {
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

impl Engine {
    /// Removes the images that no container uses: those without a name, or `all`. `wanted` says which of them.
    ///
    /// # Errors
    /// The database's, or files that cannot be moved.
    pub fn prune_images(
        &mut self,
        all: bool,
        wanted: impl Fn(&ImageSummary) -> bool,
    ) -> Result<(Vec<Removed>, u64)> {
        self.repair()?;
        let (mut gone, mut total) = (Vec::new(), 0);
        for image in self.images()? {
            if image.containers > 0 || !(all || image.repo_tags.is_empty()) || !wanted(&image) {
                continue;
            }
            match self.remove_images_name(&image.id, true) {
                Ok((removed, bytes)) => {
                    gone.extend(removed);
                    total += bytes;
                }
                // A container has taken it meanwhile, or somebody else removes it.
                Err(Error::Conflict(_) | Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        total += self.remove_orphaned_layers()?;
        Ok((gone, total))
    }

    /// Layers that no image has: a command was killed when it had forgotten theirs.
    fn remove_orphaned_layers(&mut self) -> Result<u64> {
        let store = self.image_store()?;
        store.clean()?;
        let _lock = store.lock_layers()?;
        let mut bytes = 0;
        for layer in images::unused(self.store.read(), &store.layers()?)? {
            bytes += store.layer_meta(&layer).map_or(0, |meta| meta.size);
            store.remove_layer(&layer)?;
        }
        Ok(bytes)
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
