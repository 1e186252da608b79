//! What a process of ours that was killed in the middle has left, put right by the next command that makes, lists or
//! removes something.
//!
//! | left behind | how it is known | what is done |
//! |---|---|---|
//! | a container to be removed at its end, never started | its maker is dead | it is removed |
//! | a container to be removed at its end, which has ended | its status says so | it is removed |
//! | a container whose supervisor was killed | the status says it runs, the supervisor is dead | see [`condition`](Engine::condition) |
//! | folders of removed containers and volumes | they are in the trash folder, or have no record | they are deleted |
//! | control groups of removed containers | their folder of this boot has no record | they are removed |
//! | published ports of a killed supervisor | its file says so | they are taken out of the firewall |
//! | a network that was being connected or removed | it is noted | see [`network`](crate::commands::network) |
//! | a container whose limits were being changed | it is noted | see [`update`](crate::commands::update) |
//! | ID ranges of removed containers | they are marked | they are freed, once no file or process is left |
//! | copies of layers for removed containers | no record needs them | they are deleted, see [`shifted`](crate::shifted) |
//! | half-loaded layers | the image store knows | see [`bulkhead_image::Store::clean`] |

use std::collections::HashSet;

use bulkhead_isolation::cgroups;
use bulkhead_supervisor::networks::withdraw_dead;
use bulkhead_supervisor::status::ProcessId;

use crate::error::{Doing, Error, Result};
use crate::store::{containers, volumes};
use crate::{Condition, Connection, Engine, id};

/// The file, in a container's folder of this boot, that says where its control group is, if that is not the usual place.
pub(crate) const GROUP: &str = "cgroup";

impl Engine {
    /// Repairs. Each thing is tried by itself: one that fails is met again by the next command.
    ///
    /// # Errors
    /// The database's.
    pub fn repair(&mut self) -> Result<()> {
        for (id, creator) in containers::auto_removed(self.store.read())? {
            if creator.as_ref().is_some_and(ProcessId::lives) {
                continue;
            }
            let Ok(container) = self.container(&id) else { continue };
            let over = match self.condition(&container) {
                Ok(Condition::Created) => creator.is_some(),
                Ok(Condition::Exited(_)) => true,
                Ok(Condition::Running(_) | Condition::Restarting(_)) | Err(_) => false,
            };
            if !over {
                continue;
            }
            match self.lock(&container) {
                Ok(Some(lock)) => drop(self.remove_locked(&container, true, Some(lock))),
                // Somebody else is at it.
                Ok(None) => {}
                // Its folder has gone already.
                Err(_) => drop(self.remove_locked(&container, true, None)),
            }
        }
        self.finish_updates()?;
        self.finish_connections()?;
        self.finish_removals_of_networks()?;
        withdraw_dead(&self.roots.published()).doing(|| "take back the ports of killed supervisors")?;
        self.empty_trash();
        // What cannot be removed now is met again.
        let _ = self.remove_unneeded_copies();
        self.end_uses_of_ranges()
    }

    /// Deletes the folders of containers whose record has gone: a command was killed right after that.
    ///
    /// `known` are the IDs of containers that there were a moment ago: of these nothing needs to be looked up.
    pub(crate) fn remove_orphaned_folders(&self, known: &HashSet<String>) -> Result<()> {
        let Ok(entries) = std::fs::read_dir(self.roots.root.join("containers")) else { return Ok(()) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let orphan = |name: &&str| name.len() == 64 && !known.contains(*name);
            let Some(id) = name.to_str().filter(orphan) else { continue };
            // Only a clear "there is none" counts: a database that cannot be read must cost nobody their files.
            match self.container(id) {
                Err(Error::NotFound { .. }) => drop(std::fs::remove_dir_all(entry.path())),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The same for volumes: a volume's record is made before its folder, and goes before it.
    pub(crate) fn remove_orphaned_volumes(&self) -> Result<()> {
        let Ok(entries) = std::fs::read_dir(self.roots.root.join("volumes")) else { return Ok(()) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let known = name.to_str().map(|name| volumes::find(self.store.read(), name)).transpose()?;
            if let Some(None) = known {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
    }

    /// Removes the control groups of containers that were removed while their supervisors, which had only that left to do,
    /// were killed. They are known by the container's folder of this boot, which goes last.
    pub(crate) fn remove_orphaned_groups(&self, known: &HashSet<String>) {
        let Ok(entries) = std::fs::read_dir(self.roots.state.join("containers")) else { return };
        for entry in entries.flatten() {
            let (name, folder) = (entry.file_name(), entry.path());
            let orphan = |name: &&str| id::is_full(name) && !known.contains(*name);
            let Some(id) = name.to_str().filter(orphan) else { continue };
            // A supervisor that still listens has not come to that yet.
            if matches!(self.container(id), Err(Error::NotFound { .. })) && Connection::to(&folder).is_err() {
                let own = std::fs::read_to_string(folder.join(GROUP)).ok();
                cgroups::clear(&own.unwrap_or_else(|| format!("/bulkhead/{id}")));
                let _ = std::fs::remove_dir_all(&folder);
            }
        }
    }

    /// Deletes the folders of removed containers.
    pub(crate) fn empty_trash(&self) {
        let Ok(entries) = std::fs::read_dir(self.roots.root.join("trash")) else { return };
        for entry in entries.flatten() {
            // Two commands may be at it at once; whatever stays is met again.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Engine, Programs, Roots};
    use std::collections::HashSet;

    #[test]
    fn a_record_that_cannot_be_read_costs_nobody_their_files() {
        if rustix::process::geteuid() != rustix::process::Uid::ROOT {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { root: folder.path().join("root"), state: folder.path().join("state") };
        let programs = Programs { supervisor: "/none".into(), bulkhead: "/none".into() };
        let mut engine = Engine::open(roots, programs).unwrap();
        let (known, unknown) = ("a".repeat(64), "b".repeat(64));
        let folder_of = |id: &str| engine.roots.container(id);
        let folders = [folder_of(&known), folder_of(&unknown)];
        for folder in &folders {
            std::fs::create_dir_all(folder).unwrap();
        }
        let record = format!(
            "INSERT INTO containers VALUES ('{known}', 'name', 0, 'i', 'no JSON', 0, 'null', '\"Host\"')"
        );
        engine.store.write(|transaction| Ok(transaction.execute_batch(&record)?)).unwrap();
        assert!(engine.remove_orphaned_folders(&HashSet::new()).is_err());
        assert!(folders[0].exists(), "there is a record of it, readable or not");
        engine.store.write(|transaction| Ok(transaction.execute_batch("DELETE FROM containers")?)).unwrap();
        engine.remove_orphaned_folders(&HashSet::new()).unwrap();
        assert!(folders.iter().all(|folder| !folder.exists()), "of these there is clearly none");
    }
}
