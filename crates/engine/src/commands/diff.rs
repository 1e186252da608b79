//! `diff`: what a container changed in its root file system (see [`bulkhead_image::changes`]).

use std::os::fd::{AsFd, OwnedFd};

use bulkhead_image::changes::{Change, Kind, Views};
use bulkhead_isolation::rootfs::{Layer, Rootfs};
use bulkhead_isolation::view;
use rustix::fs::{Mode, OFlags, open};

use crate::error::{Doing, Error, Result};
use crate::joined::open_namespace;
use crate::spec::{self, binds, text};
use crate::store::containers::Container;
use crate::{Condition, Engine, host_image};

/// One difference from the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `A`, `C` or `D`.
    pub kind: char,
    /// The path, which need not be UTF-8.
    pub path: Vec<u8>,
}

/// A container's files, for as long as nobody may start or remove it if it does not run.
pub(crate) struct Files {
    pub(crate) merged: OwnedFd,
    layers: Vec<Layer>,
    /// Held where the container does not run.
    lock: Option<OwnedFd>,
}

/// Which of the places where something is mounted in a container count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Places {
    /// Those of the kernel's file systems and of the engine's own files.
    Engine,
    /// Those where the user mounts something, too.
    All,
}

impl Engine {
    /// What the container added, changed and deleted, by path.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn diff(&mut self, container: &Container) -> Result<Vec<Difference>> {
        let files = self.files_of(container)?;
        let places = self.places_of(container, Places::All)?;
        let mut all = Vec::new();
        let mut tell = |change: &Change<'_>| {
            let kind = match change.kind {
                Kind::Changed => 'C',
                Kind::Added => 'A',
                Kind::Deleted => 'D',
            };
            all.push(Difference { kind, path: [b"/", change.path].concat() });
            Ok(())
        };
        self.views_of(container, files)?
            .0
            .compare(&|path| places.binary_search_by(|place| place.as_slice().cmp(path)).is_ok(), &mut tell)
            .doing(|| format!("compare container {} with its image", container.name))?;
        Ok(all)
    }

    /// The root file system of a container, as it sees it without its mounts.
    pub(crate) fn files_of(&mut self, container: &Container) -> Result<Files> {
        if container.image == host_image::NAME {
            return Err(Error::Invalid(format!(
                "container {} was made from the image host: its files are this machine's own, which are no image's",
                container.name
            )));
        }
        let mapping = self.id_mapping_for(&container.image, &container.users, &[])?;
        let layers = self.layers_of(&container.image, &container.users, &mapping)?;
        if let Some(namespace) = self.namespace_of(container, "mnt")? {
            let merged = view::of_running(namespace.as_fd())?;
            return Ok(Files { merged, layers, lock: None });
        }
        let lock = self.lock_for_files(container)?;
        self.make_folders(container)?;
        let writable = Some(text(&self.roots.container(&container.id).join("rw"))?);
        let rootfs = Rootfs { layers: layers.clone(), writable, readonly: false, whole: None };
        let merged = view::of_stopped(&rootfs, container.users.mappings())?;
        Ok(Files { merged, layers, lock: Some(lock) })
    }

    /// A namespace of its first program, if it runs.
    pub(crate) fn namespace_of(&self, container: &Container, kind: &str) -> Result<Option<OwnedFd>> {
        let Condition::Running(status) = self.condition(container)? else { return Ok(None) };
        match open_namespace(container, &status, kind) {
            Ok(namespace) => Ok(Some(namespace)),
            // It has ended this moment.
            Err(_) if self.condition(container)?.running().is_none() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The lock of a container that does not run, whose last supervisor has gone.
    pub(crate) fn lock_for_files(&self, container: &Container) -> Result<OwnedFd> {
        let lock = self.lock_stopped(container, |_| {
            Err(Error::Conflict(format!("container {} was started this moment: try again", container.name)))
        })?;
        // It may have been removed while the lock was waited for.
        self.container(&container.id)?;
        Ok(lock)
    }

    /// The three views of its root. What is second must live as long as they are used.
    pub(crate) fn views_of(&self, container: &Container, files: Files) -> Result<(Views, Option<OwnedFd>)> {
        let upper = self.roots.container(&container.id).join("rw/upper");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let upper = open(&upper, flags, Mode::empty()).doing(|| format!("open {}", upper.display()))?;
        let lower = view::of_layers(&files.layers, container.users.mappings())?;
        Ok((Views { upper, merged: files.merged, lower }, files.lock))
    }

    /// Where something is mounted in the container, without a slash in front: what lies there on disk was made by the
    /// engine, and nobody sees it.
    pub(crate) fn places_of(&self, container: &Container, which: Places) -> Result<Vec<Vec<u8>>> {
        let around = spec::Surroundings::stand_in(&self.roots, self.init(), &container.id);
        let wanted = binds::read(&container.config)?;
        let is_wanted = |target: &str| wanted.iter().any(|one| one.target == target);
        let (plan, _) = spec::plan(container, &around)?;
        let targets = plan.mounts.iter().map(|mount| mount.target.as_str());
        let mut places: Vec<Vec<u8>> = targets
            .filter(|target| which == Places::All || !is_wanted(target))
            .map(|target| target.trim_start_matches('/').as_bytes().to_vec())
            .collect();
        places.sort();
        Ok(places)
    }
}
