//! `system reset`: everything of this engine goes, and the machine is as if it had never been there.
//!
//! | step | killed after it |
//! |---|---|
//! | containers are ended and removed, with their volumes | the others are there |
//! | images and volumes are taken from the record, in one transaction | their files are nobody's; the next reset deletes them |
//! | files are deleted, but for the database | the engine is empty |
//! | bridge, empty control groups, IDs set aside, folder of this boot | the database still knows what is left |
//! | the database and the root folder | there is nothing |
//!
//! So a reset that was killed can be carried out again, and until then the next command finds an engine that is true.
//!
//! What containers wrote into folders of the host has IDs of the engine's, which nobody else must get: those stay set
//! aside, if there ever was such a folder. The account that holds them in subuid(5) stays too.

use std::path::Path;

use bulkhead_isolation::cgroups;

use crate::Engine;
use crate::accounts::{Etc, Range};
use crate::error::{Doing, Error, Result};
use crate::store::{containers, id_ranges, images, networks, volumes};
use crate::users::pool;

/// What a reset leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// First and last of the IDs that stay set aside, since files elsewhere may have them.
    pub ids: Vec<(u32, u32)>,
}

impl Engine {
    /// Removes everything: running containers are ended.
    ///
    /// # Errors
    /// Something is mounted below the root folder, or cannot be removed. What is left is named, and a second try goes on
    /// from there.
    pub fn reset(mut self) -> Result<Left> {
        refuse_mounts(&self.roots.root)?;
        for container in containers::all(self.store.read())? {
            match self.remove(&container, true, true) {
                // Somebody else removes it.
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.store.write(|transaction| {
            if !containers::all(transaction)?.is_empty() {
                return Err(Error::Conflict(
                    "containers are being made while everything is removed: try again when nobody makes any"
                        .into(),
                ));
            }
            for volume in volumes::all(transaction)? {
                volumes::delete(transaction, &volume.name)?;
            }
            for image in images::all(transaction)? {
                images::delete(transaction, &image.id)?;
            }
            Ok(())
        })?;
        self.delete_all_but_the_database()?;
        for network in networks::all(self.store.read())? {
            if let Some(bridge) = network.bridge() {
                bulkhead_network::bridge::remove(&bridge)?;
            }
        }
        bulkhead_network::firewall::remove_if_empty()?;
        // Those of other engines of this machine stay: theirs are not empty.
        cgroups::supervisors::remove()?;
        cgroups::remove_if_empty("/bulkhead")?;
        let left = self.give_ids_back()?;
        remove_folder(&self.roots.state)?;
        let root = self.roots.root.clone();
        drop(self);
        remove_folder(&root)?;
        Ok(left)
    }

    fn delete_all_but_the_database(&self) -> Result<()> {
        let root = &self.roots.root;
        for entry in std::fs::read_dir(root).doing(|| format!("list {}", root.display()))? {
            let entry = entry.doing(|| format!("list {}", root.display()))?;
            if entry.file_name().to_string_lossy().starts_with("bulkhead.db") {
                continue;
            }
            let path = entry.path();
            let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let gone = if folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            match gone {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.doing(|| format!("delete {}", path.display()))?,
            }
        }
        Ok(())
    }

    /// Gives the blocks of IDs back, but for what files in folders of the host may have.
    fn give_ids_back(&mut self) -> Result<Left> {
        let connection = self.store.read();
        let mut left: Vec<(u32, u32)> = id_ranges::kept_for_good(connection)?;
        let own =
            if id_ranges::has_had_binds(connection)? { id_ranges::known_own(connection)? } else { None };
        left.extend(own.map(|own| (own.binds(), own.binds().saturating_add(pool::SLOT - 1))));
        left.sort_unstable();
        let blocks = id_ranges::blocks(connection)?;
        let etc = Etc::system();
        let stays = |block: &pool::Block| -> Vec<Range> {
            let inside = left.iter().filter(|(first, _)| (block.first..block.end).contains(first));
            inside.filter_map(|(first, last)| Range::new(*first, (last - first).saturating_add(1))).collect()
        };
        for block in &blocks {
            if let Some(whole) = Range::new(block.first, block.end.saturating_sub(block.first)) {
                etc.replace(pool::POOL_USER, whole, &stays(block))?;
            }
            // Another engine must not hand out what is left.
            if stays(block).is_empty() {
                pool::let_go(&self.roots.root, *block)?;
            }
        }
        Ok(Left { ids: left })
    }
}

/// What is mounted below the root folder is not the engine's, and deleting would go on into it.
fn refuse_mounts(root: &Path) -> Result<()> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").doing(|| "read /proc/self/mountinfo")?;
    let real = std::fs::canonicalize(root).doing(|| format!("find {}", root.display()))?;
    let below = |line: &str| {
        // Spaces in it are written as octal numbers (proc_pid_mountinfo(5)).
        let place = line.split(' ').nth(4)?.replace("\\040", " ");
        (Path::new(&place).starts_with(&real) && Path::new(&place) != real).then_some(place)
    };
    match text.lines().find_map(below) {
        Some(place) => {
            Err(Error::Conflict(format!("{place} is mounted: unmount it before everything is removed")))
        }
        None => Ok(()),
    }
}

/// Removes a folder; of one that is a mount itself, what is in it.
fn remove_folder(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => Ok(()),
        other => other.doing(|| format!("delete {}", path.display())),
    }
}
