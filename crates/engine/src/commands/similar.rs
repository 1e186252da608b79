//! Names: all that there are, for completion, and the one that somebody meant who mistyped it.

use bulkhead_image::Reference;

use crate::Engine;
use crate::error::Result;
use crate::store::{containers, images, networks, volumes};

impl Engine {
    /// The names of everything of a kind: `container`, `image`, `network`, `volume`; none of another kind.
    ///
    /// # Errors
    /// The database's.
    pub fn names(&self, kind: &str) -> Result<Vec<String>> {
        let connection = self.store.read();
        Ok(match kind {
            "container" => containers::all(connection)?.into_iter().map(|container| container.name).collect(),
            "image" => {
                let mut all = Vec::new();
                for image in images::all(connection)? {
                    all.extend(images::names(connection, &image.id)?.iter().map(Reference::familiar));
                }
                all
            }
            "volume" => volumes::all(connection)?.into_iter().map(|volume| volume.name).collect(),
            "network" => networks::all(connection)?.into_iter().map(|network| network.name).collect(),
            _ => Vec::new(),
        })
    }
}
