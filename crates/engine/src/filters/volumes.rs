//! Filters of `volume ls` and `GET /volumes`.

use bollard_stubs::models::Volume;

use super::Filters;
use crate::Engine;
use crate::error::Result;

const KNOWN: [&str; 4] = ["dangling", "driver", "label", "name"];

impl Engine {
    /// The volumes that are asked for, by name.
    ///
    /// # Errors
    /// An unknown filter, a value that it doesn't take; the database's.
    pub fn volumes_wanted(&self, filters: &Filters) -> Result<Vec<Volume>> {
        filters.only(&KNOWN)?;
        let dangling = filters.truth("dangling")?;
        let asked = |(volume, used): &(Volume, bool)| {
            dangling.is_none_or(|dangling| dangling != *used)
                && filters.exact("driver", &volume.driver)
                && filters.contains("name", &volume.name)
                && filters.labels("label", &volume.labels)
        };
        Ok(self.volumes()?.into_iter().filter(asked).map(|(volume, _)| volume).collect())
    }
}
