//! `inspect`: everything about one container or image, in Docker's form.

use std::collections::HashMap;
use std::path::Path;

use bollard_stubs::models::{
    self, ContainerConfig, ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, DriverData,
    HealthcheckResult, ImageConfig, ImageInspect, ImageInspectRootFs, MountPoint, NetworkSettings,
};
use bulkhead_image::Reference;
use bulkhead_supervisor::health::{self, Health};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::list::signed;
use super::size::size;
use crate::error::{Error, Result};
use crate::networks::ports;
use crate::roots::Roots;
use crate::spec::binds::{self, Source};
use crate::spec::log;
use crate::spec::merge::command;
use crate::spec::mount_ids::Ids;
use crate::store::containers::Container;
use crate::store::images;
use crate::{Condition, Engine, units};

/// What Docker shows for a moment that has not come.
const NEVER: &str = "0001-01-01T00:00:00Z";

impl Engine {
    /// Everything about a container.
    ///
    /// # Errors
    /// The database's, or a status that cannot be read.
    pub fn inspect(&self, container: &Container) -> Result<ContainerInspectResponse> {
        let condition = self.condition(container)?;
        let mut words = command(&container.config).into_iter();
        let folder = self.roots.container(&container.id);
        let path = |name: &str| Some(folder.join(name).to_string_lossy().into_owned());
        let config = &container.config;
        let running = condition.running().is_some();
        let networks = self.networks_shown(container)?;
        Ok(ContainerInspectResponse {
            id: Some(container.id.clone()),
            created: OffsetDateTime::from_unix_timestamp_nanos(container.created.into()).ok(),
            path: Some(words.next().unwrap_or_default()),
            args: Some(words.collect()),
            state: Some(state(&condition, &folder)),
            image: Some(container.image.clone()),
            resolv_conf_path: path("resolv.conf"),
            hostname_path: path("hostname"),
            hosts_path: path("hosts"),
            log_path: Some(log::shown_path(container, &self.roots)),
            name: Some(format!("/{}", container.name)),
            restart_count: condition.status().map(|status| i64::from(status.restarts)).or(Some(0)),
            driver: Some("overlay2".into()),
            platform: Some("linux".into()),
            mount_label: Some(String::new()),
            process_label: Some(String::new()),
            app_armor_profile: Some(String::new()),
            host_config: config.host_config.clone(),
            graph_driver: Some(DriverData {
                name: "overlay2".into(),
                data: HashMap::from([(
                    "UpperDir".to_owned(),
                    folder.join("rw/upper").to_string_lossy().into_owned(),
                )]),
            }),
            mounts: Some(mount_points(container, &self.roots)),
            config: Some(ContainerConfig {
                hostname: config.hostname.clone(),
                domainname: config.domainname.clone(),
                user: config.user.clone(),
                attach_stdin: config.attach_stdin,
                attach_stdout: config.attach_stdout,
                attach_stderr: config.attach_stderr,
                exposed_ports: config.exposed_ports.clone(),
                tty: config.tty,
                open_stdin: config.open_stdin,
                stdin_once: config.stdin_once,
                env: config.env.clone(),
                cmd: config.cmd.clone(),
                healthcheck: config.healthcheck.clone(),
                image: config.image.clone(),
                volumes: config.volumes.clone(),
                working_dir: config.working_dir.clone(),
                entrypoint: config.entrypoint.clone(),
                labels: config.labels.clone(),
                stop_signal: config.stop_signal.clone(),
                stop_timeout: config.stop_timeout,
                ..ContainerConfig::default()
            }),
            network_settings: Some(NetworkSettings {
                // Docker names a network namespace by the container.
                sandbox_id: Some(if running { container.id.clone() } else { String::new() }),
                sandbox_key: Some(namespace_path(&condition)),
                // One that does not run has no ports, published or not.
                ports: Some(if running {
                    ports::map(config, networks.published(&container.id, running))
                } else {
                    HashMap::new()
                }),
                networks: Some(networks.endpoints(container, running)?),
            }),
            ..ContainerInspectResponse::default()
        })
    }

    /// The same, with what its files are, without and with its image's: all of them are looked at.
    ///
    /// # Errors
    /// The same.
    pub fn inspect_with_size(&self, container: &Container) -> Result<ContainerInspectResponse> {
        let own = size(&self.roots.container(&container.id).join("rw/upper"));
        let image = match images::find(self.store.read(), &container.image) {
            Ok(image) => image.size,
            // The built-in one is the machine's own files.
            Err(Error::NotFound { .. }) => 0,
            Err(error) => return Err(error),
        };
        Ok(ContainerInspectResponse {
            size_rw: Some(signed(own)),
            size_root_fs: Some(signed(own.saturating_add(image))),
            ..self.inspect(container)?
        })
    }

    /// Everything about an image.
    ///
    /// # Errors
    /// No such image.
    pub fn inspect_image(&self, wanted: &str) -> Result<ImageInspect> {
        let image = images::find(self.store.read(), wanted)?;
        let names = images::names(self.store.read(), &image.id)?;
        let digests = images::digests(self.store.read(), &image.id)?;
        let document = self.image_store()?.read_config(&image.id.parse()?)?;
        let config = image.config;
        Ok(ImageInspect {
            author: Some(document.author.unwrap_or_default()),
            comment: Some(document.comment.unwrap_or_default()),
            id: Some(image.id),
            repo_tags: Some(names.iter().map(Reference::familiar).collect()),
            repo_digests: Some(digests.iter().map(Reference::familiar).collect()),
            created: OffsetDateTime::parse(&image.created, &time::format_description::well_known::Rfc3339)
                .ok(),
            config: Some(ImageConfig {
                user: Some(config.user),
                exposed_ports: Some(config.exposed_ports.into_keys().collect()),
                env: Some(config.env),
                cmd: config.cmd,
                volumes: Some(config.volumes.into_keys().collect()),
                working_dir: Some(config.working_dir),
                entrypoint: config.entrypoint,
                labels: Some(config.labels.into_iter().collect()),
                stop_signal: config.stop_signal,
                ..ImageConfig::default()
            }),
            architecture: Some(image.architecture),
            os: Some("linux".into()),
            size: i64::try_from(image.size).ok(),
            root_fs: Some(ImageInspectRootFs {
                typ: "layers".into(),
                layers: Some(image.layers.iter().map(ToString::to_string).collect()),
            }),
            ..ImageInspect::default()
        })
    }
}

/// Where the network namespace of a running container can be opened.
fn namespace_path(condition: &Condition) -> String {
    let first = condition.running().and_then(|status| status.first.as_ref());
    first.map(|first| format!("/proc/{}/ns/net", first.pid)).unwrap_or_default()
}

fn state(condition: &Condition, folder: &Path) -> ContainerState {
    let status = condition.status();
    let running = condition.running();
    let paused = condition.word() == "paused";
    let first = running.and_then(|status| status.first.as_ref());
    ContainerState {
        status: condition.word().parse::<ContainerStateStatusEnum>().ok(),
        // Docker: what is about to run again runs.
        running: Some(condition.active().is_some()),
        paused: Some(paused),
        restarting: Some(matches!(condition, Condition::Restarting(_))),
        oom_killed: Some(status.is_some_and(|status| status.oom_killed)),
        dead: Some(false),
        pid: Some(first.map_or(0, |first| i64::from(first.pid))),
        exit_code: Some(status.map_or(0, |status| i64::from(status.exit_code))),
        error: Some(status.map_or(String::new(), |status| status.error.clone())),
        started_at: Some(status.map_or(NEVER.into(), |status| status.started_at.clone())),
        finished_at: Some(
            status.and_then(|status| status.finished_at.clone()).unwrap_or_else(|| NEVER.into()),
        ),
        health: status.and_then(|status| status.health).map(|health| of_health(health, folder)),
    }
}

/// How its health is, in Docker's form.
fn of_health(health: Health, folder: &Path) -> models::Health {
    let moment = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let log = health::outcomes(folder).into_iter().map(|outcome| HealthcheckResult {
        start: moment(&outcome.start),
        end: moment(&outcome.end),
        exit_code: Some(outcome.exit_code.into()),
        output: Some(outcome.output),
    });
    models::Health {
        status: health.word.text().parse().ok(),
        failing_streak: Some(health.failures.into()),
        log: Some(log.collect()),
    }
}

/// What is mounted in it at the user's wish, in Docker's form.
pub(crate) fn mount_points(container: &Container, roots: &Roots) -> Vec<MountPoint> {
    let Ok(wanted) = binds::read(&container.config) else { return Vec::new() };
    wanted
        .into_iter()
        .filter_map(|wanted| {
            let mut point = MountPoint {
                destination: Some(wanted.target),
                mode: Some(mode(wanted.readonly, &wanted.ids)),
                rw: Some(!wanted.readonly),
                propagation: Some(String::new()),
                ..MountPoint::default()
            };
            match wanted.source {
                Source::Bind { path, .. } => {
                    point.typ = Some("bind".into());
                    point.source = Some(path);
                    point.propagation = Some(wanted.propagation.unwrap_or_default().word().into());
                }
                Source::Volume { name, .. } => {
                    point.typ = Some("volume".into());
                    point.source = Some(roots.volume(&name).to_string_lossy().into_owned());
                    point.name = Some(name);
                    point.driver = Some("local".into());
                }
                Source::Image { id } => {
                    point.typ = Some("image".into());
                    point.source = Some(id);
                    point.rw = Some(false);
                }
                Source::Tmpfs { .. } => return None,
            }
            Some(point)
        })
        .collect()
}

/// The options of a mount, as `-v` has them.
fn mode(readonly: bool, ids: &Ids) -> String {
    readonly.then(|| "ro".to_owned()).into_iter().chain(ids.to_text()).collect::<Vec<_>>().join(",")
}

/// How long ago a container was made, in people's words.
pub fn created_ago(container: &Container) -> String {
    let span = super::create::now_nanoseconds() - container.created;
    format!("{} ago", units::human_duration(span / 1_000_000_000))
}
