//! `images` and `rmi`, and how containers find their image.

use std::collections::HashMap;

use bollard_stubs::models::ImageSummary;
use bulkhead_image::{ContainerConfig, Digest, Highest, Reference};
use bulkhead_isolation::rootfs::Layer;

use super::pull;
use crate::error::{Error, Result};
use crate::id_mapping::IdMapping;
use crate::spec::text;
use crate::store::{containers, images};
use crate::users::Users;
use crate::{Engine, host_image, id, shifted};

/// An image as a container needs it.
pub(crate) struct Chosen {
    /// Its ID, or the built-in image's name.
    pub(crate) id: String,
    /// What its containers start with.
    pub(crate) config: ContainerConfig,
    /// The highest user or group ID of its files, if that was recorded.
    highest: Option<Highest>,
    layers: Vec<Digest>,
}

/// What `rmi` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name went.
    Untagged(String),
    /// An image or layer went.
    Deleted(String),
}

impl Engine {
    /// The image that a container is to be made from.
    pub(crate) fn image_of(&self, wanted: &str) -> Result<Chosen> {
        if wanted.is_empty() {
            return Err(Error::Invalid("no image was named".into()));
        }
        if wanted == host_image::NAME {
            let (id, config) = (host_image::NAME.into(), host_image::config());
            return Ok(Chosen { id, config, highest: Some(Highest::default()), layers: Vec::new() });
        }
        match images::find(self.store.read(), wanted) {
            Ok(image) => Ok(Chosen {
                id: image.id,
                config: image.config,
                highest: image.highest,
                layers: image.layers,
            }),
            // A name that could be none says so; one that could be says how it looks in full.
            Err(Error::NotFound { kind, name }) => match Reference::parse(&name) {
                Ok(reference) => Err(Error::NotFound { kind, name: reference.familiar() }),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// Whether an image is here, by a name or an ID.
    ///
    /// # Errors
    /// A name that could be none.
    pub fn has_image(&self, wanted: &str) -> Result<bool> {
        match self.image_of(wanted) {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The highest user or group ID of its files.
    pub(crate) fn highest_id(&self, image: &Chosen) -> Result<Highest> {
        match &image.highest {
            Some(highest) => Ok(highest.clone()),
            None => Ok(self.image_store()?.highest_id(&image.layers)?),
        }
    }

    /// Its layers, where they are on disk for containers with these IDs.
    pub(crate) fn layers_of(&self, image: &str, users: &Users, mapping: &IdMapping) -> Result<Vec<Layer>> {
        if image == host_image::NAME {
            return Ok(host_image::layers());
        }
        let image = images::find(self.store.read(), image)?;
        let mut layers: Vec<Digest> = Vec::new();
        for (index, digest) in image.layers.iter().enumerate() {
            // A layer may come twice; overlayfs takes a folder once, and the uppermost place decides.
            if !image.layers.iter().skip(index + 1).any(|later| later == digest) {
                layers.push(*digest);
            }
        }
        if layers.is_empty() {
            return Err(Error::Invalid(format!(
                "the image {} has no layers: nothing could run in it",
                image.id
            )));
        }
        let store = self.image_store()?;
        if let (Some(mappings), Some(_)) = (users.mappings(), mapping.no_mapped_layers()) {
            return shifted::layers(&store, &layers, mappings);
        }
        let place = |digest| -> Result<Layer> {
            let (folder, name) = store.layer_place(digest)?;
            Ok(Layer::Stored { store: text(&folder)?, name })
        };
        layers.iter().map(place).collect()
    }

    /// All images, in Docker's form.
    ///
    /// # Errors
    /// The database's.
    pub fn images(&self) -> Result<Vec<ImageSummary>> {
        let connection = self.store.read();
        let mut all = Vec::new();
        for image in images::all(connection)? {
            let names = images::names(connection, &image.id)?;
            let created =
                time::OffsetDateTime::parse(&image.created, &time::format_description::well_known::Rfc3339);
            all.push(ImageSummary {
                id: image.id.clone(),
                parent_id: String::new(),
                repo_tags: names.iter().map(Reference::familiar).collect(),
                repo_digests: images::digests(connection, &image.id)?
                    .iter()
                    .map(Reference::familiar)
                    .collect(),
                created: created.map_or(0, time::OffsetDateTime::unix_timestamp),
                size: i64::try_from(image.size).unwrap_or(i64::MAX),
                shared_size: -1,
                labels: image.config.labels.into_iter().collect::<HashMap<_, _>>(),
                containers: i64::try_from(containers::of_image(connection, &image.id)?.len()).unwrap_or(0),
                manifests: None,
                descriptor: None,
            });
        }
        Ok(all)
    }

    /// Removes a name, and with its last name (or when it is given by ID) the image.
    ///
    /// # Errors
    /// Containers need it, or several names point to an image given by ID, and `force` was not asked for.
    pub fn remove_image(&mut self, wanted: &str, force: bool) -> Result<Vec<Removed>> {
        self.remove_images_name(wanted, force).map(|(done, _)| done)
    }

    /// The same; second: how many bytes went.
    pub(super) fn remove_images_name(&mut self, wanted: &str, force: bool) -> Result<(Vec<Removed>, u64)> {
        let store = self.image_store()?;
        // Nobody counts on a layer being there while some are found to be unused and taken away.
        let lock = store.lock_layers()?;
        let (mut users, mut manifest) = (Vec::new(), None);
        // All is looked at in the transaction that removes: a container that is made at the same time comes before it,
        // and is seen, or after it, and finds no image.
        let gone = self.store.write(|transaction| {
            let image = images::find(transaction, wanted)?;
            let names = images::names(transaction, &image.id)?;
            let digests = images::digests(transaction, &image.id)?;
            let asked = Reference::parse(wanted).ok().map(|reference| match reference.digest() {
                Some(digest) => reference.with_digest(*digest),
                None => reference,
            });
            let by_name = asked.filter(|asked| names.contains(asked) || digests.contains(asked));
            // With the last tag of a repository goes what the registry calls the image there.
            let by_name = by_name.map(|reference| {
                let kin = |other: &&Reference| other.name() == reference.name();
                let last = reference.digest().is_none() && names.iter().filter(kin).count() == 1;
                let with: Vec<Reference> = digests.iter().filter(|other| last && kin(other)).cloned().collect();
                [vec![reference], with].concat()
            });
            if by_name.is_none() && names.len() > 1 && !force {
                let short = Digest::from_hex(image.id.trim_start_matches("sha256:"))?.short();
                return Err(Error::Conflict(format!(
                    "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
                )));
            }
            let going = by_name.unwrap_or_else(|| [names.clone(), digests.clone()].concat());
            let last = going.len() == names.len() + digests.len();
            if last {
                users = containers::of_image(transaction, &image.id)?;
                if !users.is_empty() {
                    return Ok(None);
                }
            }
            for reference in &going {
                images::untag(transaction, reference)?;
            }
            if !last {
                return Ok(Some((image.id, going, None)));
            }
            images::delete(transaction, &image.id)?;
            manifest = pull::forget_manifest(transaction, &image.id)?;
            let unused = images::unused(transaction, &image.layers)?;
            Ok(Some((image.id, going, Some(unused))))
        })?;
        let Some((id, going, unused)) = gone else { return Err(self.image_is_used(wanted, &users)) };
        bulkhead_sys::fail::point("rmi: record gone");
        for name in &going {
            self.tell("image", "untag", &id, [("name", name.familiar())]);
        }
        let mut done: Vec<Removed> = going.iter().map(|name| Removed::Untagged(name.familiar())).collect();
        let mut bytes = 0;
        if let Some(unused) = unused {
            self.tell("image", "delete", &id, [("name", id.clone())]);
            done.push(Removed::Deleted(id.clone()));
            for layer in unused {
                bytes += store.layer_meta(&layer).map_or(0, |meta| meta.size);
                store.remove_layer(&layer)?;
                done.push(Removed::Deleted(layer.to_string()));
            }
            bulkhead_sys::fail::point("rmi: layers gone");
            store.remove_blob(&id.parse()?)?;
            if let Some(manifest) = manifest {
                store.remove_blob(&manifest)?;
            }
        }
        drop(lock);
        Ok((done, bytes))
    }

    /// Why an image stays that containers use.
    fn image_is_used(&self, wanted: &str, users: &[String]) -> Error {
        let running = users.iter().find(|id| {
            let condition = self.container(id).and_then(|container| self.condition(&container));
            condition.is_ok_and(|condition| condition.running().is_some())
        });
        Error::Conflict(match (running, users.first()) {
            (Some(user), _) => format!(
                "conflict: unable to delete {wanted} (cannot be forced) - image is being used by running container {}",
                id::short(user)
            ),
            // Its containers could never be started again: Docker's --force would leave them so.
            (None, user) => format!(
                "conflict: unable to remove {wanted} - container {} is using it: remove the container first",
                id::short(user.map_or("", String::as_str))
            ),
        })
    }
}
