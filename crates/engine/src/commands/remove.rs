//! `rm`: a container and everything that it holds goes: first its record, in one transaction, so that nobody can
//! start it any more; then its folder, moved aside in one step; deleting files is the last. Wherever that is
//! interrupted, what is left has no record, and the next command deletes it. (Of what `run --rm` made the folder goes
//! first: interrupted, the next command finds by the record that it was not to stay.)

use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use bulkhead_isolation::cgroups;
use bulkhead_supervisor::status::State;

use crate::error::{Doing, Error, Result};
use crate::store::containers::{self, Container};
use crate::store::{id_ranges, volumes};
use crate::users::Users;
use crate::{Condition, Engine};

impl Engine {
    /// Removes a container; `force` ends it first, `with_volumes` removes its anonymous volumes too.
    ///
    /// # Errors
    /// It runs, and `force` was not asked for.
    pub fn remove(&mut self, container: &Container, force: bool, with_volumes: bool) -> Result<()> {
        let mut killed = false;
        let locked = self.lock_stopped(container, |status| {
            if !force {
                return Err(Error::Conflict(format!(
                    "cannot remove container \"{}\": container is {}: stop the container before removing or force remove",
                    container.name,
                    if status.state == State::Paused { "paused" } else { "running" }
                )));
            }
            if killed {
                return Ok(());
            }
            killed = true;
            match self.kill(container, 9) {
                // It has ended by itself this moment.
                Err(Error::Conflict(_)) => Ok(()),
                other => other,
            }
        });
        let lock = match locked {
            Ok(lock) => Some(lock),
            // Its folder has gone: another command was killed between that and the record, or is removing it now.
            Err(Error::System { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        // One that never ran may have been killed in the middle of its birth. What stays is met again.
        if lock.is_some() && matches!(self.condition(container), Ok(Condition::Created)) {
            let _ = self.end_group(container);
        }
        self.remove_locked(container, with_volumes, lock)
    }

    /// Removes a container that does not run, and whose lock is held (or whose folder has gone already).
    pub(crate) fn remove_locked(
        &mut self,
        container: &Container,
        with_volumes: bool,
        lock: Option<OwnedFd>,
    ) -> Result<()> {
        self.forget_run(container);
        // What `run --rm` made goes in any case: its files go first, and then one transaction does all the rest.
        let goes_anyway = container.auto_remove && container.creator.is_some();
        let files_first = if goes_anyway { Some(self.delete_files(container)?) } else { None };
        let all_gone =
            files_first == Some(Files::Gone) && !cgroups::has_processes(&self.cgroup_of(container));
        let gone = self.store.write(|transaction| {
            let volumes_too =
                if with_volumes { volumes::anonymous_of(transaction, &container.id)? } else { Vec::new() };
            id_ranges::give_back(transaction, &container.id)?;
            containers::delete(transaction, &container.id)?;
            if all_gone {
                id_ranges::end_use(transaction, &container.id)?;
            }
            let mut gone = Vec::new();
            for volume in volumes_too {
                if volumes::delete(transaction, &volume)? {
                    gone.push(volume);
                }
            }
            Ok(gone)
        })?;
        let files = match files_first {
            Some(files) => files,
            None => self.delete_files(container)?,
        };
        drop(lock);
        for volume in gone {
            let path = self.roots.volume(&volume);
            let _ = std::fs::remove_dir_all(path.parent().unwrap_or(&path));
        }
        // Nor can these be lost: each command that repairs looks for them.
        let _ = self.drop_copies(&container.users);
        match &container.users {
            Users::Own(_) | Users::OfContainer { .. } if files == Files::Gone && !all_gone => {
                self.end_use_of_range(&container.id, &self.cgroup_of(container))
            }
            // It has ended, or there was none, or the next command ends it when the files are gone.
            _ => Ok(()),
        }
    }

    /// Deletes a container's folder, which first is moved aside in one step. What cannot be deleted now is in the trash
    /// then, where the next command finds it.
    fn delete_files(&self, container: &Container) -> Result<Files> {
        let trash = self.roots.root.join("trash");
        let folder = self.roots.container(&container.id);
        let aside = trash.join(format!("{}-{}", container.id, std::process::id()));
        let moved = match std::fs::rename(&folder, &aside) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                crate::store::make_folder(&trash)?;
                std::fs::rename(&folder, &aside)
            }
            other => other,
        };
        match moved {
            // Somebody else may have moved it, and not deleted it yet.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let left = self.has_files_in_trash(&container.id);
                return Ok(if left { Files::Left } else { Files::Gone });
            }
            other => other.doing(|| format!("move {} aside", folder.display()))?,
        }
        Ok(if std::fs::remove_dir_all(&aside).is_ok() { Files::Gone } else { Files::Left })
    }
}

/// What is left of a container's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    /// Nothing.
    Gone,
    /// Something that could not be deleted.
    Left,
}
