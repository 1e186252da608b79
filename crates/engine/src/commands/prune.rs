//! `prune`: what nothing needs any more goes.

use std::collections::HashMap;
use std::path::Path;

use super::images::Removed;
use crate::error::{Error, Result};
use crate::store::{containers, images};
use crate::{Condition, Engine};

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
            if matches!(self.condition(&container)?, Condition::Running(_))
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
    /// Removes the images that no container uses: those without a name, or `all`. Gives what went, and how many bytes
    /// their layers had.
    ///
    /// # Errors
    /// The database's, or an image store that cannot be changed.
    pub fn prune_unused_images(&mut self, all: bool, wanted: Wanted<'_>) -> Result<(Vec<Removed>, u64)> {
        let (mut done, mut bytes) = (Vec::new(), 0);
        for image in self.images()? {
            let dangling = image.repo_tags.is_empty();
            if image.containers > 0 || !(all || dangling) || !wanted(image.created, &image.labels) {
                continue;
            }
            let sizes = self.layer_sizes(&image.id)?;
            match self.remove_image(&image.id, true) {
                Ok(removed) => {
                    bytes += removed
                        .iter()
                        .filter_map(|one| match one {
                            Removed::Deleted(name) => sizes.get(name),
                            Removed::Untagged(_) => None,
                        })
                        .sum::<u64>();
                    done.extend(removed);
                }
                // A container has taken it meanwhile, or it has gone.
                Err(Error::Conflict(_) | Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((done, bytes))
    }

    fn layer_sizes(&self, image: &str) -> Result<HashMap<String, u64>> {
        let store = self.image_store()?;
        let layers = images::find(self.store.read(), image)?.layers;
        layers.iter().map(|layer| Ok((layer.to_string(), store.layer_meta(layer)?.size))).collect()
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
