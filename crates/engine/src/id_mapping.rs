//! Whether mounts can map IDs where the engine's files are (see [`probe`]).
//!
//! The kernel is asked once for a place: the answer is a setting in the store, which holds as long as the kernel and the
//! devices of the two folders are the same. So a start pays for two looks at folders and one row.
//!
//! Where the answer is no, or `userns-idmap` is off, layers are copied for each mapping ([`shifted`](crate::shifted)),
//! and a volume belongs to the IDs of the container that it was made for.

use std::path::Path;

use bulkhead_isolation::rootfs::probe::{self, Answer};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Idmap};
use crate::error::{Doing, Error, Result};
use crate::spec::binds::{Source, Wanted};
use crate::spec::text;
use crate::store::{settings, volumes};
use crate::users::Users;
use crate::{Engine, host_image};

const SETTING: &str = "id-mapped mounts";

/// What cannot be mapped, and why; by default all can.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdMapping {
    /// Mounts of the folder of layers.
    layers: Option<String>,
    /// Layers of overlays: known only if mounts of their folder can be mapped.
    overlays: Option<String>,
    /// Mounts of volumes.
    volumes: Option<String>,
}

/// The answer for a place.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// Kernel, devices and kinds of file systems.
    place: String,
    answer: IdMapping,
}

impl IdMapping {
    /// Why layers cannot be seen through a mapping, if so.
    pub(crate) fn no_mapped_layers(&self) -> Option<&str> {
        self.layers.as_deref().or(self.overlays.as_deref())
    }

    /// Why volumes cannot, if so.
    pub(crate) fn no_mapped_volumes(&self) -> Option<&str> {
        self.volumes.as_deref()
    }

    /// For `info`.
    pub(crate) fn in_words(&self) -> String {
        match (self.no_mapped_layers(), self.no_mapped_volumes()) {
            (None, None) => "yes".into(),
            (None, Some(why)) => format!("yes, but not of volumes ({why})"),
            (Some(why), _) => format!("no: layers are copied once per ID range ({why})"),
        }
    }

    /// Refuses the image `host` where it cannot be had: the machine's own files are not copied.
    pub(crate) fn check_image(&self, image: &str, wanted: &[Wanted]) -> Result<()> {
        let mounted = |one: &Wanted| matches!(&one.source, Source::Image { id } if id == host_image::NAME);
        match &self.overlays {
            Some(why) if image == host_image::NAME || wanted.iter().any(mounted) => Err(Error::Invalid(
                format!("the image host needs ID-mapped mounts, and {why}: load an image"),
            )),
            _ => Ok(()),
        }
    }
}

impl Engine {
    /// What holds for a container of this image with these IDs and mounts; where nothing is mapped, nothing is asked.
    pub(crate) fn id_mapping_for(
        &mut self,
        image: &str,
        users: &Users,
        wanted: &[Wanted],
    ) -> Result<IdMapping> {
        let shared = |one: &Wanted| matches!(one.source, Source::Volume { .. } | Source::Image { .. });
        if *users == Users::Host && image != host_image::NAME && !wanted.iter().any(shared) {
            return Ok(IdMapping::default());
        }
        let (answer, new) = self.look_at_id_mapping()?;
        if let Some(new) = new {
            let text = serde_json::to_string(&new).map_err(|error| Error::Corrupt(error.to_string()))?;
            self.store.write(|transaction| settings::set(transaction, SETTING, &text))?;
        }
        Ok(answer)
    }

    /// What holds here; and what is to be remembered of that, if it is new.
    pub(crate) fn look_at_id_mapping(&self) -> Result<(IdMapping, Option<Remembered>)> {
        if Config::load()?.idmap == Idmap::Off {
            let why = Some("userns-idmap is off in /etc/bulkhead/daemon.json".to_owned());
            return Ok((IdMapping { layers: why.clone(), overlays: None, volumes: why }, None));
        }
        let images = self.roots.images();
        let volumes = Some(self.roots.root.join("volumes")).filter(|folder| folder.exists());
        // Before the first volume there is no folder of them: it will be where the root is.
        let volumes = volumes.unwrap_or_else(|| self.roots.root.clone());
        let layers = images.join("layers");
        let folder_of_layers = match folder(&layers) {
            Err(Error::System { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                self.image_store()?;
                folder(&layers)?
            }
            other => other?,
        };
        let folder_of_volumes = folder(&volumes)?;
        let kernel = rustix::system::uname();
        let place = format!("{} {folder_of_layers} {folder_of_volumes}", kernel.release().to_string_lossy());
        let remembered = settings::get(self.store.read(), SETTING)?;
        // One of another version's is asked for anew.
        let remembered = remembered.and_then(|text| serde_json::from_str::<Remembered>(&text).ok());
        if let Some(known) = remembered.filter(|known| known.place == place) {
            return Ok((known.answer, None));
        }
        let why = |answer| match answer {
            Answer::Yes => None,
            Answer::No(why) => Some(why),
        };
        let mut answer = IdMapping { layers: why(probe::mount_of(&text(&layers)?)?), ..IdMapping::default() };
        if answer.layers.is_none() {
            // Any two folders of the store are layers enough.
            answer.overlays = why(probe::overlay_of(&text(&images)?, ["layers", "tmp"])?);
        }
        answer.volumes = if folder_of_volumes == folder_of_layers {
            answer.layers.clone()
        } else {
            why(probe::mount_of(&text(&volumes)?)?)
        };
        Ok((answer.clone(), Some(Remembered { place, answer })))
    }

    /// Says which volumes belong to other containers' IDs.
    pub(crate) fn warn_of_foreign_volumes(
        &self,
        users: &Users,
        wanted: &[Wanted],
        mapping: &IdMapping,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        let Some(why) = mapping.no_mapped_volumes() else { return Ok(()) };
        for one in wanted {
            let Source::Volume { name, .. } = &one.source else { continue };
            let volume = volumes::find(self.store.read(), name)?;
            if volume.is_some_and(|volume| volume.first_id != users.root().0) {
                warnings.push(format!(
                    "the volume {name} belongs to a container with other IDs, which no mount maps to this one's ({why}): \
                     this container may do there what others may; containers that share volumes need the same IDs here \
                     (userns-remap, --userns=container:NAME or --userns=host)"
                ));
            }
        }
        Ok(())
    }
}

/// By what a folder's file system is known again: its device, and what kind it is.
fn folder(path: &Path) -> Result<String> {
    let looked = rustix::fs::stat(path)
        .and_then(|stat| Ok((stat.st_dev, rustix::fs::statfs(path)?.f_type)))
        .doing(|| format!("look at {}", path.display()))?;
    Ok(format!("{}:{:x}", looked.0, looked.1))
}

#[cfg(test)]
mod tests {
    use super::IdMapping;

    #[test]
    fn the_image_host_is_refused_only_where_overlays_cannot_show_it() {
        let no = || Some("no".to_owned());
        let store = IdMapping { layers: no(), ..IdMapping::default() };
        let overlays = IdMapping { overlays: no(), ..IdMapping::default() };
        assert!(store.check_image("host", &[]).is_ok());
        assert!(overlays.check_image("sha256:00", &[]).is_ok());
        assert!(overlays.check_image("host", &[]).is_err());
        assert!(store.no_mapped_layers().is_some() && overlays.no_mapped_layers().is_some());
    }
}
