//! `load` and `import`: images from archives.

use std::io::Read;

use bulkhead_image::{ImageError, ImportOptions, Loaded, Progress, Reference};

use super::create::now_nanoseconds;
use crate::error::{Error, Result};
use crate::store::images;
use crate::{Engine, host_image};

impl Engine {
    /// Takes in all images of an archive (docker-archive or OCI layout). They appear together, when all of them
    /// are there.
    ///
    /// # Errors
    /// A broken or hostile archive: nothing of it is kept.
    pub fn load(&mut self, archive: impl Read, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Loaded>> {
        self.repair()?;
        let store = self.image_store()?;
        store.clean()?;
        let mut loaded = store.load(archive, progress).map_err(|error| match error {
            // It was there when it was skipped, or put there a moment ago.
            ImageError::NotFound { .. } => removed_meanwhile("in the archive"),
            error => error.into(),
        })?;
        bulkhead_sys::fail::point("load: stored");
        for image in &mut loaded {
            // An archive cannot take the built-in image's name; the image itself is welcome.
            image.references.retain(|reference| host_image::refuse_name(reference).is_ok());
        }
        self.adopt(&loaded)?;
        bulkhead_sys::fail::point("load: recorded");
        self.tell_of_images("load", &loaded);
        Ok(loaded)
    }

    /// Makes an image of one layer from the tar of a root file system, and names it.
    ///
    /// # Errors
    /// A broken or hostile archive, a name that is none, changes that make no sense.
    pub fn import(&mut self, tar: impl Read, name: Option<&str>, options: &ImportOptions) -> Result<Loaded> {
        self.repair()?;
        let reference = name.map(Reference::parse).transpose()?;
        if reference.as_ref().is_some_and(|reference| reference.digest().is_some()) {
            return Err(Error::Invalid("cannot import digest reference".into()));
        }
        if let Some(reference) = &reference {
            host_image::refuse_name(reference)?;
        }
        let store = self.image_store()?;
        store.clean()?;
        let mut loaded = store.import(tar, options)?;
        bulkhead_sys::fail::point("import: stored");
        loaded.references.extend(reference);
        self.adopt(std::slice::from_ref(&loaded))?;
        bulkhead_sys::fail::point("import: recorded");
        self.tell_of_images("import", std::slice::from_ref(&loaded));
        Ok(loaded)
    }

    fn tell_of_images(&self, action: &str, images: &[Loaded]) {
        for image in images {
            let id = image.id.to_string();
            let name = image.references.first().map_or_else(|| id.clone(), Reference::familiar);
            self.tell("image", action, &id, [("name", name)]);
        }
    }

    /// Records images whose bytes are in the store.
    pub(crate) fn adopt(&mut self, loaded: &[Loaded]) -> Result<()> {
        let now = now_nanoseconds() / 1_000_000_000;
        let store = self.image_store()?;
        // Who removes images holds it too: what is there now stays until the images are recorded.
        let _lock = store.lock_layers()?;
        for image in loaded {
            let whole = image.layers.iter().all(|layer| store.has_layer(layer));
            if !whole || store.read_blob(&image.id).is_err() {
                return Err(removed_meanwhile(&image.id.short()));
            }
        }
        let highest = loaded
            .iter()
            .map(|image| store.highest_id(&image.layers))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        self.store.write(|transaction| {
            for (image, highest) in loaded.iter().zip(&highest) {
                images::insert(transaction, image, highest, now)?;
            }
            Ok(())
        })
    }
}

pub(super) fn removed_meanwhile(image: &str) -> Error {
    Error::Conflict(format!(
        "another command removed parts of the image {image} while it was being stored: try again"
    ))
}
