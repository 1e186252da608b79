//! `tag`: another name for an image.

use bulkhead_image::Reference;

use crate::error::{Error, Result};
use crate::store::images;
use crate::{Engine, host_image};

impl Engine {
    /// Points `name` at the image `wanted`.
    ///
    /// # Errors
    /// No such image, or a name that is none.
    pub fn tag(&mut self, wanted: &str, name: &str) -> Result<()> {
        let image = images::find(self.store.read(), wanted)?;
        let reference = Reference::parse(name)?;
        if reference.digest().is_some() {
            return Err(Error::Invalid("refusing to create a tag with a digest reference".into()));
        }
        host_image::refuse_name(&reference)?;
        self.store.write(|transaction| images::tag(transaction, &reference, &image.id))?;
        self.tell("image", "tag", &image.id, [("name", reference.familiar())]);
        Ok(())
    }
}
