//! `commit`: a container's changes become a layer, and with its image's layers another image.
//!
//! The layer is written as a tar and taken in like one that comes from an archive, at the same time: what the store then has
//! is what it would have had, had the tar come from elsewhere, so it can be saved bit for bit. Removals become whiteouts
//! (OCI image-spec, `layer.md`).

use std::io;
use std::os::fd::AsFd;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::changes::{Change, Kind, Now, Views};
use crate::load::{Loaded, Platform, stream};
use crate::pack::{Descriptors, Packer, join};
use crate::{ContainerConfig, Digest, History, Ids, ImageConfig, ImageError, Limits, Result, Store};

/// What an image is made of.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// The image that the container was made from; `None`: none.
    pub parent: Option<Digest>,
    /// What containers of the new image start with.
    pub config: ContainerConfig,
    /// Who makes it.
    pub author: Option<String>,
    /// A message for its history.
    pub message: Option<String>,
    /// The command that the container ran, for the history.
    pub created_by: String,
}

impl Store {
    /// Makes an image of what a container changed. `skip` is true of paths that are none of its own. The second is what is
    /// to be said about it, a sentence each.
    ///
    /// # Errors
    /// Files that cannot be read or stored: nothing is left of the image then.
    pub fn commit(
        &self,
        views: &Views,
        ids: Ids<'_>,
        skip: &dyn Fn(&[u8]) -> bool,
        options: &CommitOptions,
    ) -> Result<(Loaded, Vec<String>)> {
        let mut config = match &options.parent {
            Some(parent) => self.read_config(parent)?,
            None => {
                let platform = Platform::host();
                let (os, architecture, variant) = (platform.os, platform.architecture, platform.variant);
                ImageConfig { os, architecture, variant, ..ImageConfig::default() }
            }
        };
        let work = self.work()?;
        let mut warnings = Vec::new();
        let layer = stream::layer_written(&work, "layer", &Limits::default(), |out| {
            let descriptors = Descriptors::open().map_err(|e| ImageError::io("open /proc/self/fd", e))?;
            let mut packer = Packer::new(out, ids, &descriptors);
            write(views, skip, &mut packer).map_err(|e| ImageError::io("read the container's files", e))?;
            warnings = packer.finish().map_err(|e| ImageError::io("write the layer", e))?.1;
            Ok(())
        })?;
        let created = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .map_err(|e| ImageError::io("read the clock", io::Error::other(e)))?;
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        config.history.push(History {
            created: Some(created.clone()),
            created_by: Some(options.created_by.clone()),
            author: text(&options.author),
            comment: text(&options.message),
            empty_layer: false,
        });
        config.created = Some(created);
        config.author = text(&options.author);
        config.comment = text(&options.message);
        config.config = options.config.clone();
        config.rootfs.diff_ids.push(layer.diff_id);
        self.commit_layer(&work, "layer", &layer.diff_id)?;
        let layers = config.rootfs.diff_ids.clone();
        let mut size = 0;
        for layer in &layers {
            size += self.layer_meta(layer)?.size;
        }
        let id = self.put_blob(&work, &config.to_json()?)?;
        Ok((Loaded { id, references: Vec::new(), layers, size, config }, warnings))
    }
}

/// Writes the changes as the entries of a layer.
fn write<W: io::Write>(
    views: &Views,
    skip: &dyn Fn(&[u8]) -> bool,
    packer: &mut Packer<'_, W>,
) -> io::Result<()> {
    // The root's own mode and owner are the topmost layer's.
    packer.node(views.merged.as_fd(), b".")?;
    views.compare(skip, &mut |change: &Change<'_>| match change.now {
        Now::Folder(..) | Now::Other(..) if name_of(change.path).starts_with(b".wh.") => Err(
            io::Error::other("a layer keeps names that begin with .wh. for removals: give it another one"),
        ),
        Now::Folder(folder, alone) => {
            packer.node(folder, change.path)?;
            // Only a folder that was there has something to hide.
            if alone && change.kind == Kind::Changed {
                packer.mark(join(change.path, b".wh..wh..opq"))?;
            }
            Ok(())
        }
        Now::Other(folder, name) => packer.child(folder, name, change.path),
        Now::Nothing => {
            let name = name_of(change.path);
            let folder = change.path.strip_suffix(name).unwrap_or_default();
            packer.mark([folder, b".wh.", name].concat())
        }
    })
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}
