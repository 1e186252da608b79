//! `save`: images as an archive (see [`bulkhead_image::Store::save`]).

use std::io::Write;

use bulkhead_image::{Digest, Reference};

use crate::error::{Error, Result};
use crate::store::images;
use crate::{Engine, host_image};

impl Engine {
    /// Writes images to `out`: by a name that one alone, by a name without a tag all of its tags, by an ID without a name.
    ///
    /// # Errors
    /// No such image; `out`'s.
    pub fn save(&mut self, wanted: &[String], out: impl Write) -> Result<()> {
        let mut chosen: Vec<(Digest, Vec<Reference>)> = Vec::new();
        for name in wanted {
            for (id, reference) in self.saved_as(name)? {
                let at = match chosen.iter().position(|(known, _)| *known == id) {
                    Some(at) => at,
                    None => {
                        chosen.push((id, Vec::new()));
                        chosen.len() - 1
                    }
                };
                if let (Some(reference), Some((_, names))) = (reference, chosen.get_mut(at))
                    && !names.contains(&reference)
                {
                    names.push(reference);
                }
            }
        }
        Ok(self.image_store()?.save(&chosen, out)?)
    }

    fn saved_as(&self, wanted: &str) -> Result<Vec<(Digest, Option<Reference>)>> {
        if wanted == host_image::NAME {
            return Err(Error::Invalid(
                "the image host is this machine's own files: there is nothing of it to save".into(),
            ));
        }
        let connection = self.store.read();
        // `busybox` is all of its tags; `busybox:latest` one.
        if let Ok(exact) = Reference::parse_exact(wanted)
            && exact.tag().is_none()
            && exact.digest().is_none()
        {
            let mut all = Vec::new();
            for image in images::all(connection)? {
                for name in images::names(connection, &image.id)? {
                    if name.name() == exact.name() {
                        all.push((image.id.parse()?, Some(name)));
                    }
                }
            }
            if !all.is_empty() {
                return Ok(all);
            }
        }
        let image = images::find(connection, wanted)?;
        let names = images::names(connection, &image.id)?;
        let reference = Reference::parse(wanted).ok().filter(|reference| names.contains(reference));
        Ok(vec![(image.id.parse()?, reference)])
    }
}
