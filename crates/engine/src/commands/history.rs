//! `history`: how an image came to be, step by step.

use std::collections::HashMap;

use bollard_stubs::models::ImageHistoryResponseItem;
use bulkhead_image::Reference;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Engine;
use crate::error::Result;
use crate::store::images;

/// Docker's word for a step that is no image here.
const MISSING: &str = "<missing>";

impl Engine {
    /// The steps of an image, the latest first.
    ///
    /// # Errors
    /// No such image, or its config cannot be read.
    pub fn history(&self, wanted: &str) -> Result<Vec<ImageHistoryResponseItem>> {
        let connection = self.store.read();
        let image = images::find(connection, wanted)?;
        let names = images::names(connection, &image.id)?;
        let store = self.image_store()?;
        let config = store.read_config(&image.id.parse()?)?;
        // Images here that are the beginning of this one: what a commit was made of, say.
        let mut known: HashMap<(usize, usize), String> = HashMap::new();
        for other in images::all(connection)? {
            if other.id == image.id || !image.layers.starts_with(&other.layers) {
                continue;
            }
            // One whose config cannot be read is shown as missing.
            let Ok(steps) = store.read_config(&other.id.parse()?).map(|config| config.history) else {
                continue;
            };
            if config.history.starts_with(&steps) {
                known.insert((other.layers.len(), steps.len()), other.id);
            }
        }
        let mut layers = image.layers.iter();
        let mut items = Vec::new();
        let mut count = 0;
        for (index, step) in config.history.iter().enumerate() {
            let size = match step.empty_layer {
                true => 0,
                false => {
                    count += 1;
                    layers.next().map_or(Ok(0), |layer| store.layer_meta(layer).map(|meta| meta.size))?
                }
            };
            let created = step.created.as_deref().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
            let last = index + 1 == config.history.len();
            let id = match known.get(&(count, index + 1)) {
                _ if last => image.id.clone(),
                Some(id) => id.clone(),
                None => MISSING.to_owned(),
            };
            items.push(ImageHistoryResponseItem {
                id,
                created: created.map_or(0, OffsetDateTime::unix_timestamp),
                created_by: step.created_by.clone().unwrap_or_default(),
                tags: if last { names.iter().map(Reference::familiar).collect() } else { Vec::new() },
                size: i64::try_from(size).unwrap_or(i64::MAX),
                comment: step.comment.clone().unwrap_or_default(),
            });
        }
        items.reverse();
        Ok(items)
    }
}
