//! Copies of layers with a container's own IDs, where no mount can map those of the image's files: one for each layer
//! and mapping, kept as long as a container with that mapping sees the layer.
//!
//! Which are needed is not counted but read from the containers' records, under the lock of the mapping's copies (see
//! [`bulkhead_image::Shifted`]): a record comes before the first look for a copy, and goes before the last removal. So
//! wherever a command is killed, what it left is a copy that no record needs, or one with the name of work in progress,
//! and the next command that repairs removes both.

use std::collections::HashMap;

use bulkhead_image::{Digest, Ids, Store};
use bulkhead_isolation::namespaces::user::IdMappings;
use bulkhead_isolation::rootfs::Layer;

use crate::error::Result;
use crate::spec::text;
use crate::store::{containers, images};
use crate::users::Users;
use crate::{Engine, host_image};

/// A mapping's name: its root's ID, for people, and a digest of all of it.
fn key(mappings: &IdMappings) -> String {
    let mut lines = String::new();
    for (kind, list) in [("u", &mappings.uids), ("g", &mappings.gids)] {
        for line in list {
            lines += &format!("{kind} {} {} {}\n", line.inside, line.outside, line.count);
        }
    }
    let (root, _) = mappings.outside(0, 0).unwrap_or_default();
    let digest = Digest::of(lines.as_bytes()).hex();
    format!("{root}-{}", digest.get(..32).unwrap_or_default())
}

/// These layers as a container with this mapping gets them, copied if they are not there.
pub(crate) fn layers(store: &Store, layers: &[Digest], mappings: &IdMappings) -> Result<Vec<Layer>> {
    let user = |id| mappings.outside_user(id);
    let group = |id| mappings.outside_group(id);
    let copies = store.shifted(&key(mappings))?;
    let mut all = Vec::with_capacity(layers.len());
    for layer in layers {
        let (store, name) = copies.layer(layer, Ids { user: &user, group: &group })?;
        all.push(Layer::Shifted { store: text(&store)?, name });
    }
    Ok(all)
}

impl Engine {
    /// Removes the copies that only a container with these IDs needed, which has no record any more. If somebody else
    /// is at them, that is left to the next repair.
    pub(crate) fn drop_copies(&self, users: &Users) -> Result<()> {
        match users.mappings() {
            Some(mappings) if self.may_have_copies() => self.keep_needed(&key(mappings)),
            _ => Ok(()),
        }
    }

    /// Removes all copies that no container needs, and what is left of unfinished ones.
    pub(crate) fn remove_unneeded_copies(&self) -> Result<()> {
        if !self.may_have_copies() {
            return Ok(());
        }
        let found = self.image_store()?.shifted_names()?;
        if found.is_empty() {
            return Ok(());
        }
        // Seen without locks, this only tells where to look again.
        let needed = self.needed_copies()?;
        for copies in found {
            let wanted = needed.get(&copies.key).map(Vec::as_slice).unwrap_or_default();
            if copies.unfinished
                || wanted.is_empty()
                || copies.layers.iter().any(|layer| !wanted.contains(layer))
            {
                self.keep_needed(&copies.key)?;
            }
        }
        Ok(())
    }

    fn may_have_copies(&self) -> bool {
        Store::may_have_shifted(&self.roots.images())
    }

    fn keep_needed(&self, key: &str) -> Result<()> {
        let store = self.image_store()?;
        let Some(copies) = store.shifted_if_free(key)? else { return Ok(()) };
        let needed = self.needed_copies()?.remove(key).unwrap_or_default();
        Ok(copies.keep(&needed)?)
    }

    /// By the mappings' names, the layers that containers see.
    fn needed_copies(&self) -> Result<HashMap<String, Vec<Digest>>> {
        let connection = self.store.read();
        let mut needed: HashMap<String, Vec<Digest>> = HashMap::new();
        let mut known: HashMap<String, Vec<Digest>> = HashMap::new();
        for (image, users) in containers::images_by_users(connection)? {
            let Some(mappings) = users.mappings() else { continue };
            if image == host_image::NAME {
                continue;
            }
            if !known.contains_key(&image) {
                known.insert(image.clone(), images::find(connection, &image)?.layers);
            }
            let layers = known.get(&image).map(Vec::as_slice).unwrap_or_default();
            needed.entry(key(mappings)).or_default().extend(layers);
        }
        Ok(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::key;
    use bulkhead_isolation::namespaces::user::IdMappings;

    #[test]
    fn mappings_have_names_of_their_own() {
        let one = IdMappings::range(524_288, 65_536);
        let other = IdMappings { gids: IdMappings::range(589_824, 65_536).gids, ..one.clone() };
        let larger = IdMappings::range(524_288, 131_072);
        assert_eq!(key(&one), key(&one.clone()));
        assert!(key(&one).starts_with("524288-") && key(&one).len() == 39);
        assert!(key(&one) != key(&other) && key(&one) != key(&larger));
    }
}
