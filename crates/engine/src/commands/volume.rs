//! `volume`: named places for files that outlive containers. What they store, and as whose, is said in
//! docs/user-namespaces.md.

use std::collections::{BTreeMap, HashMap};

use bollard_stubs::models::{Volume, VolumeScopeEnum};

use super::create::{make_volume, now_nanoseconds};
use super::prune::Pruned;
use super::size::size;
use crate::error::{Doing, Error, Result};
use crate::filters::prune::PruneFilter;
use crate::spec::binds::volume_name;
use crate::spec::volume_options;
use crate::store::{id_ranges, volumes};
use crate::{Engine, id};

impl Engine {
    /// Makes a volume; without a name it gets one that nobody has. One that is there stays as it is. `options` are those
    /// of the driver local.
    ///
    /// # Errors
    /// A name that can be none, or options that cannot be held.
    pub fn create_volume(
        &mut self,
        name: Option<&str>,
        labels: BTreeMap<String, String>,
        options: BTreeMap<String, String>,
    ) -> Result<Volume> {
        volume_options::read(&options)?;
        let anonymous = name.is_none();
        let name = name.map_or_else(|| Ok(id::random()), volume_name)?;
        self.repair()?;
        let first_id = self.first_id_of_volumes()?;
        let volume = volumes::Volume {
            name: name.clone(),
            created: now_nanoseconds() / 1_000_000_000,
            labels,
            options,
            anonymous,
            first_id,
        };
        let new = volumes::find(self.store.read(), &name)?.is_none();
        self.store.write(|transaction| {
            if !volume.options.is_empty() {
                id_ranges::note_binds(transaction)?;
            }
            volumes::insert(transaction, &volume)
        })?;
        if new {
            self.tell("volume", "create", &name, [("driver", "local".into())]);
        }
        bulkhead_sys::fail::point("volume create: recorded");
        let volume = self.volume(&name)?;
        make_volume(&self.roots.volume(&name), (volume.first_id, volume.first_id))?;
        Ok(self.shown(volume))
    }

    /// The volume of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn inspect_volume(&self, name: &str) -> Result<Volume> {
        self.volume(name).map(|volume| self.shown(volume))
    }

    /// All volumes by name, each with whether a container uses it.
    ///
    /// # Errors
    /// The database's.
    pub fn volumes(&self) -> Result<Vec<(Volume, bool)>> {
        let all = volumes::all(self.store.read())?;
        all.into_iter()
            .map(|volume| {
                let used = !volumes::users(self.store.read(), &volume.name)?.is_empty();
                Ok((self.shown(volume), used))
            })
            .collect()
    }

    /// Removes a volume with its files.
    ///
    /// # Errors
    /// There is none of that name, or a container uses it.
    pub fn remove_volume(&mut self, name: &str) -> Result<()> {
        self.volume(name)?;
        self.remove_unused(name)
    }

    /// Removes the volumes that no container uses: those without a name of their own, or all.
    ///
    /// # Errors
    /// The database's, or files that cannot be moved.
    pub fn prune_volumes(&mut self, filter: &PruneFilter) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        for volume in volumes::all(self.store.read())? {
            let used = !volumes::users(self.store.read(), &volume.name)?.is_empty();
            if used
                || !(filter.takes_named() || volume.anonymous)
                || !filter.wants(volume.created, &volume.labels.clone().into_iter().collect())
            {
                continue;
            }
            let bytes = size(&self.roots.volume(&volume.name));
            match self.remove_unused(&volume.name) {
                Ok(()) => {
                    pruned.names.push(volume.name);
                    pruned.bytes += bytes;
                }
                // A container has taken it meanwhile.
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.tell_pruned("volume", pruned.bytes);
        Ok(pruned)
    }

    fn volume(&self, name: &str) -> Result<volumes::Volume> {
        volumes::find(self.store.read(), name)?
            .ok_or_else(|| Error::NotFound { kind: "volume", name: name.into() })
    }

    /// The files go to the trash before the record is gone for good: one of that name that is made later is empty,
    /// whatever was killed.
    fn remove_unused(&mut self, name: &str) -> Result<()> {
        let folder = self.roots.volume(name);
        let folder = folder.parent().unwrap_or(&folder).to_owned();
        let trash = self.roots.root.join("trash");
        let aside = trash.join(format!("volume-{name}-{}", std::process::id()));
        crate::store::make_folder(&trash)?;
        self.store.write(|transaction| {
            let users = volumes::users(transaction, name)?;
            if !users.is_empty() || !volumes::delete(transaction, name)? {
                return Err(Error::Conflict(format!(
                    "remove {name}: volume is in use - [{}]",
                    users.join(", ")
                )));
            }
            match std::fs::rename(&folder, &aside) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.doing(|| format!("move {} aside", folder.display()))?,
            }
            bulkhead_sys::fail::point("volume rm: moved aside, not committed");
            Ok(())
        })?;
        bulkhead_sys::fail::point("volume rm: record gone");
        self.tell("volume", "destroy", name, [("driver", "local".into())]);
        // What cannot be deleted now is in the trash, where the next command finds it.
        let _ = std::fs::remove_dir_all(&aside);
        Ok(())
    }

    fn shown(&self, volume: volumes::Volume) -> Volume {
        let created = time::OffsetDateTime::from_unix_timestamp(volume.created).ok();
        Volume {
            mountpoint: self.roots.volume(&volume.name).to_string_lossy().into_owned(),
            name: volume.name,
            driver: "local".into(),
            created_at: created,
            labels: volume.labels.into_iter().collect::<HashMap<_, _>>(),
            options: volume.options.into_iter().collect(),
            scope: Some(VolumeScopeEnum::LOCAL),
            ..Volume::default()
        }
    }
}
