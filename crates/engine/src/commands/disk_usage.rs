//! `system df`: what images, containers and volumes take on disk, in Docker's form, and how much of it would be free if
//! what is not used went.

use std::collections::{HashMap, HashSet};

use bollard_stubs::models::{
    BuildCacheDiskUsage, ContainerSummary, ContainersDiskUsage, ImageSummary, ImagesDiskUsage,
    SystemDataUsageResponse, Volume, VolumeUsageData, VolumesDiskUsage,
};
use bulkhead_image::Digest;

use super::list::{Listing, signed};
use super::size::size;
use crate::Engine;
use crate::error::{Error, Result};
use crate::store::{images, volumes};

/// Of what the use of the disk is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Images.
    Images,
    /// Containers: what they wrote.
    Containers,
    /// Volumes.
    Volumes,
    /// There is none; it takes nothing.
    BuildCache,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Images, Kind::Containers, Kind::Volumes, Kind::BuildCache];
}

impl Engine {
    /// Of these kinds. All files of containers and volumes are looked at, which can take its time.
    ///
    /// # Errors
    /// The database's, or an image store that cannot be read.
    pub fn disk_usage(&mut self, kinds: &[Kind]) -> Result<SystemDataUsageResponse> {
        let of = |kind: Kind| kinds.contains(&kind);
        let containers = if of(Kind::Containers) {
            let all = Listing { all: true, sizes: true, ..Listing::default() };
            Some(container_usage(&self.list_wanted(&all)?)?)
        } else {
            None
        };
        Ok(SystemDataUsageResponse {
            image_usage: of(Kind::Images).then(|| self.image_usage()).transpose()?,
            volume_usage: of(Kind::Volumes).then(|| self.volume_usage()).transpose()?,
            container_usage: containers,
            build_cache_usage: of(Kind::BuildCache).then(|| BuildCacheDiskUsage {
                active_count: Some(0),
                total_count: Some(0),
                reclaimable: Some(0),
                total_size: Some(0),
                items: Some(Vec::new()),
            }),
        })
    }

    /// Adds how much of each image others have too.
    ///
    /// # Errors
    /// The database's, or an image store that cannot be read.
    pub fn add_shared_sizes(&self, summaries: &mut [ImageSummary]) -> Result<()> {
        self.layers()?.add_shared_sizes(summaries);
        Ok(())
    }

    fn layers(&self) -> Result<Layers> {
        let store = self.image_store()?;
        let mut layers = Layers::default();
        for image in images::all(self.store.read())? {
            let own: HashSet<Digest> = image.layers.into_iter().collect();
            for layer in &own {
                match layers.known.get_mut(layer) {
                    Some((_, users)) => *users += 1,
                    None => drop(layers.known.insert(*layer, (store.layer_meta(layer)?.size, 1))),
                }
            }
            layers.of_images.insert(image.id, own);
        }
        Ok(layers)
    }

    fn image_usage(&self) -> Result<ImagesDiskUsage> {
        let layers = self.layers()?;
        let mut summaries = self.images()?;
        layers.add_shared_sizes(&mut summaries);
        let in_use = || summaries.iter().filter(|image| image.containers > 0);
        let used: HashSet<&Digest> = in_use().flat_map(|image| layers.of(image)).collect();
        let total: u64 = layers.known.values().map(|(size, _)| size).sum();
        let unused = layers.known.iter().filter(|(layer, _)| !used.contains(layer));
        let free: u64 = unused.map(|(_, (size, _))| size).sum();
        Ok(ImagesDiskUsage {
            active_count: Some(count(in_use())),
            total_count: Some(count(summaries.iter())),
            reclaimable: Some(signed(free)),
            total_size: Some(signed(total)),
            items: Some(values::<ImageSummary>(&summaries)?),
        })
    }

    fn volume_usage(&self) -> Result<VolumesDiskUsage> {
        let mut all: Vec<Volume> = Vec::new();
        for (mut volume, _) in self.volumes()? {
            let users = volumes::users(self.store.read(), &volume.name)?.len();
            let bytes = size(&self.roots.volume(&volume.name));
            let ref_count = i64::try_from(users).unwrap_or(i64::MAX);
            volume.usage_data = Some(VolumeUsageData { size: signed(bytes), ref_count });
            all.push(volume);
        }
        let used = |volume: &Volume| volume.usage_data.as_ref().is_some_and(|usage| usage.ref_count > 0);
        let bytes = |volume: &Volume| volume.usage_data.as_ref().map_or(0, |usage| usage.size);
        Ok(VolumesDiskUsage {
            active_count: Some(count(all.iter().filter(|volume| used(volume)))),
            total_count: Some(count(all.iter())),
            reclaimable: Some(all.iter().filter(|volume| !used(volume)).map(bytes).sum()),
            total_size: Some(all.iter().map(bytes).sum()),
            items: Some(values(&all)?),
        })
    }
}

/// The layers of all images.
#[derive(Default)]
struct Layers {
    /// How many bytes each has, and how many images.
    known: HashMap<Digest, (u64, usize)>,
    of_images: HashMap<String, HashSet<Digest>>,
}

impl Layers {
    fn of(&self, image: &ImageSummary) -> impl Iterator<Item = &Digest> {
        self.of_images.get(&image.id).into_iter().flatten()
    }

    fn add_shared_sizes(&self, summaries: &mut [ImageSummary]) {
        for image in summaries {
            let shared =
                self.of(image).filter_map(|layer| self.known.get(layer)).filter(|(_, users)| *users > 1);
            image.shared_size = signed(shared.map(|(size, _)| size).sum());
        }
    }
}

fn container_usage(all: &[ContainerSummary]) -> Result<ContainersDiskUsage> {
    use bollard_stubs::models::ContainerSummaryStateEnum as State;
    let runs = |container: &&ContainerSummary| {
        matches!(container.state, Some(State::RUNNING | State::PAUSED | State::RESTARTING))
    };
    let bytes = |container: &ContainerSummary| container.size_rw.unwrap_or(0);
    Ok(ContainersDiskUsage {
        active_count: Some(count(all.iter().filter(runs))),
        total_count: Some(count(all.iter())),
        reclaimable: Some(all.iter().filter(|container| !runs(container)).map(bytes).sum()),
        total_size: Some(all.iter().map(bytes).sum()),
        items: Some(values(all)?),
    })
}

fn values<T: serde::Serialize>(all: &[T]) -> Result<Vec<serde_json::Value>> {
    all.iter()
        .map(|one| serde_json::to_value(one).map_err(|error| Error::Corrupt(error.to_string())))
        .collect()
}

fn count<T>(all: impl Iterator<Item = T>) -> i64 {
    i64::try_from(all.count()).unwrap_or(i64::MAX)
}
