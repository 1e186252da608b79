//! `commit`: an image of what a container changed (see [`bulkhead_image::CommitOptions`]).

use std::collections::BTreeMap;

use bulkhead_image::{CommitOptions, ContainerConfig, Empty, Loaded, Reference, apply_changes};
use bulkhead_supervisor::status::State;

use super::diff::Places;
use super::export::inside;
use crate::error::{Error, Result};
use crate::spec::binds;
use crate::store::containers::Container;
use crate::store::{images, volumes};
use crate::{Engine, host_image};

/// How it is to be done.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The image's name.
    pub name: Option<String>,
    /// Who makes it.
    pub author: Option<String>,
    /// A message for its history.
    pub message: Option<String>,
    /// What the image says otherwise than the container.
    pub config: Option<ContainerConfig>,
    /// Dockerfile instructions, see [`apply_changes`].
    pub changes: Vec<String>,
    /// Whether the container is frozen meanwhile, if it runs.
    pub pause: bool,
}

impl Engine {
    /// Makes an image of a container. Second: what is to be said about it, a sentence each.
    ///
    /// # Errors
    /// A name or a change that makes no sense; files that cannot be read or stored. No image is there then.
    pub fn commit(&mut self, container: &Container, options: &Options) -> Result<(Loaded, Vec<String>)> {
        self.repair()?;
        let reference = options.name.as_deref().map(Reference::parse).transpose()?;
        if let Some(reference) = &reference {
            if reference.digest().is_some() {
                return Err(Error::Invalid("refusing to create a tag with a digest reference".into()));
            }
            host_image::refuse_name(reference)?;
        }
        let mut config = self.config_of(container)?;
        if container.image != host_image::NAME {
            // What a container cannot change is the image's.
            let image = images::find(self.store.read(), &container.image)?.config;
            config.shell = image.shell;
            config.on_build = image.on_build;
            config.volumes.extend(image.volumes);
        }
        if let Some(given) = &options.config {
            config = over(config, given.clone());
        }
        apply_changes(&mut config, &options.changes)?;
        let files = self.files_of(container)?;
        let places = self.places_of(container, Places::Engine)?;
        let thaw = options.pause && self.freeze_for_commit(container)?;
        bulkhead_sys::fail::point("commit: frozen");
        let done = self.commit_files(container, files, &places, options, config);
        bulkhead_sys::fail::point("commit: layer stored");
        if thaw {
            match self.freeze(container, false) {
                // It was ended meanwhile, or somebody else has let it go on.
                Ok(()) | Err(Error::Conflict(_)) => {}
                Err(error) => return done.and(Err(error)),
            }
        }
        let (mut loaded, warnings) = done?;
        loaded.references.extend(reference);
        bulkhead_sys::fail::point("commit: let go on");
        self.adopt(std::slice::from_ref(&loaded))?;
        bulkhead_sys::fail::point("commit: recorded");
        self.tell_of(container, "commit", [("imageID", loaded.id.to_string())]);
        Ok((loaded, warnings))
    }

    fn commit_files(
        &mut self,
        container: &Container,
        files: super::diff::Files,
        places: &[Vec<u8>],
        options: &Options,
        config: ContainerConfig,
    ) -> Result<(Loaded, Vec<String>)> {
        let store = self.image_store()?;
        store.clean()?;
        let (views, lock) = self.views_of(container, files)?;
        let mut command = container.config.entrypoint.clone().unwrap_or_default();
        command.extend(container.config.cmd.clone().unwrap_or_default());
        let made_of = CommitOptions {
            parent: Some(container.image.parse()?),
            config,
            author: options.author.clone(),
            message: options.message.clone(),
            created_by: command.join(" "),
        };
        let skip = |path: &[u8]| places.binary_search_by(|place| place.as_slice().cmp(path)).is_ok();
        let made = inside(&container.users, |ids| store.commit(&views, ids, &skip, &made_of))?;
        drop((views, lock));
        Ok(made)
    }

    /// Freezes it if it runs and is not frozen already. Gives whether it has to be let go on.
    fn freeze_for_commit(&self, container: &Container) -> Result<bool> {
        match self.condition(container)?.running() {
            Some(status) if status.state == State::Running => {}
            _ => return Ok(false),
        }
        match self.freeze(container, true) {
            Ok(()) => Ok(true),
            // It has ended, or was frozen by somebody else this moment.
            Err(Error::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What the container was made with, as an image says it. Its anonymous volumes are ones that the image declares.
    fn config_of(&self, container: &Container) -> Result<ContainerConfig> {
        let config = &container.config;
        let mut declared = BTreeMap::new();
        for one in binds::read(config)? {
            if let binds::Source::Volume { name, .. } = &one.source
                && volumes::find(self.store.read(), name)?.is_some_and(|volume| volume.anonymous)
            {
                declared.insert(one.target, Empty {});
            }
        }
        Ok(ContainerConfig {
            user: config.user.clone().unwrap_or_default(),
            exposed_ports: config
                .exposed_ports
                .iter()
                .flatten()
                .map(|port| (port.clone(), Empty {}))
                .collect(),
            env: config.env.clone().unwrap_or_default(),
            entrypoint: config.entrypoint.clone().filter(|words| !words.is_empty()),
            cmd: config.cmd.clone().filter(|words| !words.is_empty()),
            volumes: declared,
            working_dir: config.working_dir.clone().unwrap_or_default(),
            labels: config.labels.clone().unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
            stop_signal: config.stop_signal.clone().filter(|signal| !signal.is_empty()),
            healthcheck: config.healthcheck.as_ref().and_then(|check| serde_json::to_value(check).ok()),
            ..ContainerConfig::default()
        })
    }
}

/// `given` over what the container was made with, by the rules of an image's defaults under a container's request.
fn over(mut under: ContainerConfig, given: ContainerConfig) -> ContainerConfig {
    let name = |line: &String| line.split('=').next().unwrap_or_default().to_owned();
    let replaced: Vec<String> = given.env.iter().map(name).collect();
    under.env.retain(|line| !replaced.contains(&name(line)));
    under.env.extend(given.env);
    under.exposed_ports.extend(given.exposed_ports);
    under.volumes.extend(given.volumes);
    under.labels.extend(given.labels);
    // An entrypoint of one's own makes the other's command meaningless.
    if given.entrypoint.as_ref().is_some_and(|words| !words.is_empty()) {
        (under.entrypoint, under.cmd) = (given.entrypoint, None);
    }
    if given.cmd.as_ref().is_some_and(|words| !words.is_empty()) {
        under.cmd = given.cmd;
    }
    for (text, given) in [(&mut under.user, given.user), (&mut under.working_dir, given.working_dir)] {
        if !given.is_empty() {
            *text = given;
        }
    }
    under.stop_signal = given.stop_signal.filter(|signal| !signal.is_empty()).or(under.stop_signal);
    under.shell = given.shell.filter(|words| !words.is_empty()).or(under.shell);
    under.healthcheck = given.healthcheck.or(under.healthcheck);
    if !given.on_build.is_empty() {
        under.on_build = given.on_build;
    }
    under
}
