//! `prune` of containers and images: what nothing needs any more goes.

use super::images::Removed;
use super::size::size;
use crate::Engine;
use crate::error::{Error, Result};
use crate::filters::prune::PruneFilter;
use crate::store::{containers, images};

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names or IDs.
    pub names: Vec<String>,
    /// How many bytes their files had.
    pub bytes: u64,
}

impl Engine {
    /// Removes the containers that do not run, but not their volumes.
    ///
    /// # Errors
    /// The database's.
    pub fn prune_containers(&mut self, filter: &PruneFilter) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        for container in containers::all(self.store.read())? {
            let labels = container.config.labels.clone().unwrap_or_default();
            if self.condition(&container)?.active().is_some()
                || !filter.wants(container.created / 1_000_000_000, &labels)
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
        self.tell_pruned("container", pruned.bytes);
        Ok(pruned)
    }

    /// Tells that things of a kind were pruned, as Docker does.
    pub(super) fn tell_pruned(&self, kind: &str, bytes: u64) {
        self.tell(kind, "prune", "", [("reclaimed", bytes.to_string())]);
    }
    /// Removes the images that no container uses: those without a name, or all. Gives what went, and how many bytes.
    ///
    /// # Errors
    /// The database's, or files that cannot be moved.
    pub fn prune_images(&mut self, filter: &PruneFilter) -> Result<(Vec<Removed>, u64)> {
        self.repair()?;
        let (mut gone, mut total) = (Vec::new(), 0);
        for image in self.images()? {
            let meant = filter.takes_named() || image.repo_tags.is_empty();
            if image.containers > 0 || !meant || !filter.wants(image.created, &image.labels) {
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
        self.tell_pruned("image", total);
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
