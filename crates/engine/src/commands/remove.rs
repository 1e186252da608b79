//! `rm`: a container and everything that it holds goes: first its record, in one transaction, so that nobody can
//! start it any more; then its folder, moved aside in one step; deleting files is the last. Wherever that is
//! interrupted, what is left has no record, and the next command deletes it.

use std::os::fd::OwnedFd;

use bulkhead_supervisor::status::State;

use crate::Engine;
use crate::error::{Doing, Error, Result};
use crate::store::containers::{self, Container};
use crate::store::{id_ranges, volumes};
use crate::users::Users;

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
        let gone = self.store.write(|transaction| {
            let volumes_too =
                if with_volumes { volumes::anonymous_of(transaction, &container.id)? } else { Vec::new() };
            id_ranges::give_back(transaction, &container.id)?;
            containers::delete(transaction, &container.id)?;
            let mut gone = Vec::new();
            for volume in volumes_too {
                if volumes::delete(transaction, &volume)? {
                    gone.push(volume);
                }
            }
            Ok(gone)
        })?;
        let trash = self.roots.root.join("trash");
        let folder = self.roots.container(&container.id);
        let aside = trash.join(format!("{}-{}", container.id, std::process::id()));
        let moved = match std::fs::rename(&folder, &aside) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                crate::store::make_folder(&trash)?;
                std::fs::rename(&folder, &aside)
            }
            other => other,
        };
        // Somebody else may have moved it, and not deleted it yet.
        let mut files_left = false;
        match moved {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                files_left = self.has_files_in_trash(&container.id);
            }
            other => other.doing(|| format!("move {} aside", folder.display()))?,
        }
        drop(lock);
        for volume in gone {
            let path = self.roots.volume(&volume);
            let _ = std::fs::remove_dir_all(path.parent().unwrap_or(&path));
        }
        // What cannot be deleted now is in the trash, where the next command finds it.
        if let Err(error) = std::fs::remove_dir_all(&aside) {
            files_left |= error.kind() != std::io::ErrorKind::NotFound;
        }
        // Nor can these be lost: each command that repairs looks for them.
        let _ = self.drop_copies(&container.users);
        match &container.users {
            Users::Host | Users::Shared(_) | Users::Lines(_) => Ok(()),
            // The next command ends it, when the files are gone.
            Users::Own(_) | Users::OfContainer { .. } if files_left => Ok(()),
            Users::Own(_) | Users::OfContainer { .. } => {
                self.end_use_of_range(&container.id, &self.cgroup_of(container))
            }
        }
    }
}
