//! `push`: images to registries (see [`bulkhead_registry`]).

use bulkhead_image::{Digest, Reference};
use bulkhead_registry::{Credentials, Outgoing, Progress, Purpose, Pushed, RegistryError, Session};

use super::pull::manifest_of;
use crate::error::{Error, Result};
use crate::store::images;
use crate::{Engine, host_image};

/// What is to be pushed.
#[derive(Clone, Debug, Default)]
pub struct PushRequest {
    /// The name, which also says where to. Without a tag it is `latest`.
    pub reference: String,
    /// All tags of the repository that are here.
    pub all_tags: bool,
}

impl Engine {
    /// Sends an image, or all of a repository. `progress` hears what Docker tells in its JSON lines.
    ///
    /// # Errors
    /// There is no such image here; the registry's.
    pub fn push(
        &mut self,
        request: &PushRequest,
        credentials: &Credentials,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Pushed>> {
        let exact = Reference::parse_exact(&request.reference)?;
        if exact.digest().is_some() {
            return Err(Error::Invalid("cannot push a digest reference".into()));
        }
        if request.all_tags && exact.tag().is_some() {
            return Err(Error::Invalid("tag can't be used with --all-tags/-a".into()));
        }
        let reference = Reference::parse(&request.reference)?;
        host_image::refuse_name(&reference)?;
        let outgoing = self.outgoing(&exact, &reference, request.all_tags)?;
        let settings = self.registry_settings()?;
        progress(Progress::message(format!("The push refers to repository [{}]", reference.name())));
        let session = Session::open(&settings, reference.domain(), credentials, Purpose::Push)?;
        let store = self.image_store()?;
        let mut all = Vec::new();
        for one in &outgoing {
            let pushed = session.push(&store, one, progress)?;
            let digest: Digest = pushed.digest.parse()?;
            // What the registry calls it now is a name of the image here, too; unless it was removed meanwhile.
            self.store.write(|transaction| {
                let image = one.image.to_string();
                match images::find(transaction, &image) {
                    Ok(_) => images::tag(transaction, &one.reference.with_digest(digest), &image),
                    Err(_) => Ok(()),
                }
            })?;
            self.tell("image", "push", &one.reference.familiar(), [("name", one.reference.familiar_name())]);
            all.push(pushed);
        }
        Ok(all)
    }

    fn outgoing(&self, exact: &Reference, reference: &Reference, all_tags: bool) -> Result<Vec<Outgoing>> {
        let connection = self.store.read();
        let mut all = Vec::new();
        for image in images::all(connection)? {
            for name in images::names(connection, &image.id)? {
                if name == *reference || (all_tags && name.name() == exact.name()) {
                    let manifest = manifest_of(connection, &image.id)?;
                    all.push(Outgoing { reference: name, image: image.id.parse()?, manifest });
                }
            }
        }
        if all.is_empty() {
            return Err(RegistryError::NotFound(match all_tags {
                true => format!("An image does not exist locally with the tag: {}", exact.familiar_name()),
                false => format!(
                    "tag does not exist: An image does not exist locally with the tag: {}",
                    reference.familiar()
                ),
            })
            .into());
        }
        all.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(all)
    }
}
