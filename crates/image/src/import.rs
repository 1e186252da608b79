//! `import`: an image of one layer, made of the tar of a root file system.

use std::io::{BufRead, BufReader, Read};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::compression::Compression;
use crate::load::{Loaded, Platform, stream};
use crate::{
    ContainerConfig, History, ImageConfig, ImageError, Limits, Result, RootFs, Store, apply_changes,
};

/// What `import` may be told.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The message of the image's only history entry.
    pub message: String,
    /// `--change` instructions, see [`apply_changes`].
    pub changes: Vec<String>,
    /// The platform that the image is for.
    pub platform: Platform,
}

impl Default for ImportOptions {
    fn default() -> ImportOptions {
        ImportOptions {
            message: "Imported from -".to_owned(),
            changes: Vec::new(),
            platform: Platform::host(),
        }
    }
}

impl Store {
    /// Makes an image of the tar of a root file system, compressed or not. It has no name yet.
    pub fn import(&self, tar: impl Read, options: &ImportOptions) -> Result<Loaded> {
        // The changes first: an invalid one should not cost the time to unpack.
        let mut container = ContainerConfig::default();
        apply_changes(&mut container, &options.changes)?;
        let work = self.work()?;
        let mut tar = BufReader::with_capacity(stream::BUFFER, tar);
        let head = tar.fill_buf().map_err(|e| ImageError::io("read the archive", e))?;
        let compression = Compression::sniff(head)?;
        let layer = stream::layer(tar, compression, &work, "layer", &Limits::default())?;
        let created = OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .map_err(|e| ImageError::io("read the clock", std::io::Error::other(e)))?;
        let history = History {
            created: Some(created.clone()),
            comment: Some(options.message.clone()),
            ..History::default()
        };
        let config = ImageConfig {
            architecture: options.platform.architecture.clone(),
            variant: options.platform.variant.clone(),
            os: options.platform.os.clone(),
            created: Some(created),
            comment: Some(options.message.clone()),
            config: container,
            rootfs: RootFs { diff_ids: vec![layer.diff_id], ..RootFs::default() },
            history: vec![history],
            ..ImageConfig::default()
        };
        self.commit_layer(&work, "layer", &layer.diff_id)?;
        let size = self.layer_meta(&layer.diff_id)?.size;
        let id = self.put_blob(&work, &config.to_json()?)?;
        Ok(Loaded { id, references: Vec::new(), layers: vec![layer.diff_id], size, config })
    }
}
