//! `create`: what was asked for is completed from its image, checked whole, and recorded with all that it
//! holds (name, address, volumes) in one transaction. Nothing runs yet.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bollard_stubs::models::{ContainerCreateBody, HostConfig};
use bulkhead_supervisor::status::ProcessId;

use crate::config::Config;
use crate::error::{Doing, Error, Result};
use crate::id_mapping::IdMapping;
use crate::networks::asked::Asked;
use crate::networks::ports;
use crate::spec::binds::{self, Source, Wanted};
use crate::spec::namespaces::{self, Mode, Modes};
use crate::spec::{Leaves, merge, settled, volumes_from};
use crate::store::containers::Container;
use crate::store::{containers, endpoints, id_ranges, images, networks, volumes};
use crate::users::choose;
use crate::users::leases::Decided;
use crate::{Engine, host_image, id, names, spec};

/// A container that was made.
#[derive(Debug)]
pub struct Created {
    /// It.
    pub container: Container,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
}

/// What a container is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be started by the same process at once: if that is killed before, the container was never wanted.
    StartNow,
    /// To be started some day.
    StartLater,
}

impl Engine {
    /// Makes a container.
    ///
    /// # Errors
    /// Anything that cannot be held: nothing is left behind then.
    pub fn create(
        &mut self,
        mut request: ContainerCreateBody,
        name: Option<&str>,
        purpose: Purpose,
    ) -> Result<Created> {
        self.repair()?;
        if let Some(name) = name
            && !names::is_valid(name)
        {
            return Err(Error::Invalid(format!(
                "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )));
        }
        let wanted_image = request.image.clone().unwrap_or_default();
        let image = self.image_of(&wanted_image)?;
        let mut host = request.host_config.clone().unwrap_or_default();
        let mut warnings = Vec::new();
        let decided = self.decide_users(&mut request, &mut host, &mut warnings)?;
        // Docker shows these empty, not missing.
        host.userns_mode.get_or_insert_default();
        host.pid_mode.get_or_insert_default();
        host.uts_mode.get_or_insert_default();
        choose::check_image(&decided.choice, &self.highest_id(&image)?)?;
        merge::merge(&mut request, &image.config)?;
        let id = id::random();
        namespaces::check(&request, &host)?;
        let asked = self.asked_networks(&request, &host)?;
        request.networking_config = None;
        check_ports(&request, &host, &asked, &mut warnings)?;
        self.name_itself(&mut request, &id)?;
        let from = self.volumes_from(&host)?;
        volumes_from::instead_of_the_image_s(&mut request.volumes, &from);
        let mut wanted = binds::read(&request)?;
        binds::add_missing(&mut wanted, from);
        check_sources(&wanted)?;
        for one in &mut wanted {
            if let Source::Image { id } = &mut one.source {
                *id = self.image_of(id)?.id;
            }
        }
        let mapping = self.id_mapping_for(&image.id, &decided.provisional(), &wanted)?;
        mapping.check_image(&image.id, &wanted)?;
        settled::settle(&mut host, &wanted);
        spec::log::settle(&mut host, &Config::load()?)?;
        request.volumes = None;
        request.host_config = Some(host);
        let mut container = Container {
            id,
            name: String::new(),
            created: now_nanoseconds(),
            image: image.id,
            auto_remove: request.host_config.as_ref().and_then(|host| host.auto_remove).unwrap_or(false),
            config: request,
            creator: match purpose {
                Purpose::StartLater => None,
                Purpose::StartNow => {
                    Some(ProcessId::of(std::process::id().cast_signed()).doing(|| "look at this process")?)
                }
            },
            users: decided.provisional(),
        };
        warnings.extend(self.check_plan(&container)?);
        bulkhead_sys::fail::point("create: checked");
        self.record(&mut container, name, &wanted, &asked, &decided, &mapping, &mut warnings)?;
        bulkhead_sys::fail::point("create: recorded");
        let warned = self.warn_of_foreign_volumes(&container.users, &wanted, &mapping, &mut warnings);
        if let Err(error) = warned.and_then(|()| self.furnish(&container, &wanted)) {
            let error = self.unless_removed(&container, error);
            // All that it took is given back. The first error is the one to tell.
            let _ = self.remove_locked(&container, true, None);
            return Err(error);
        }
        bulkhead_sys::fail::point("create: furnished");
        self.tell_of(&container, "create", []);
        Ok(Created { container, warnings })
    }

    /// What comes from the other containers of `--volumes-from`.
    fn volumes_from(&self, host: &HostConfig) -> Result<Vec<Wanted>> {
        let mut all = Vec::new();
        for text in host.volumes_from.iter().flatten() {
            let (name, readonly) = volumes_from::parse(text)?;
            volumes_from::add(&mut all, binds::read(&self.container(name)?.config)?, readonly);
        }
        Ok(all)
    }

    /// The host name that the container will have, if it was given none.
    fn name_itself(&self, request: &mut ContainerCreateBody, id: &str) -> Result<()> {
        if request.hostname.as_deref().is_some_and(|name| !name.is_empty()) {
            return Ok(());
        }
        let modes = Modes::of(&request.host_config.clone().unwrap_or_default())?;
        request.hostname = match (&modes.uts, &modes.net) {
            (Mode::Host, _) | (_, Mode::Host) => {
                Some(rustix::system::uname().nodename().to_string_lossy().into_owned())
            }
            (_, Mode::Container(other)) => self.container(other)?.config.hostname,
            _ => Some(id::short(id).to_owned()),
        };
        Ok(())
    }

    /// Makes the plan once, to refuse now what would be refused at the start. Containers to be joined need not
    /// run yet.
    fn check_plan(&self, container: &Container) -> Result<Vec<String>> {
        let host = container.config.host_config.clone().unwrap_or_default();
        let modes = Modes::of(&host)?;
        for mode in [&modes.pid, &modes.ipc, &modes.net, &modes.uts] {
            if let Mode::Container(name) = mode {
                self.container(name)?;
            }
        }
        spec::log::plan(container, &self.roots)?;
        let around = spec::Surroundings::stand_in(&self.roots, self.init(), &container.id);
        spec::plan(container, &around).map(|(_, warnings)| warnings)
    }

    /// One transaction takes everything.
    #[allow(clippy::too_many_arguments)]
    fn record(
        &mut self,
        container: &mut Container,
        name: Option<&str>,
        wanted: &[Wanted],
        asked: &[Asked],
        decided: &Decided,
        mapping: &IdMapping,
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        let host = container.config.host_config.clone().unwrap_or_default();
        let shares = spec::shares_files(&host, wanted)?;
        let mut leaves = spec::leaves(&host, wanted)?;
        // A volume that no mount maps has the container's own IDs, and may stay when it goes.
        let stays = |one: &Wanted| match one.source {
            Source::Volume { anonymous, .. } => !(anonymous && container.auto_remove),
            _ => false,
        };
        if mapping.no_mapped_volumes().is_some() && wanted.iter().any(stays) {
            leaves = Leaves::Surely;
        }
        let root = self.roots.root.clone();
        let ready = self.ready_users(decided, shares, &root)?;
        let mut attempt = 0;
        loop {
            container.name = name.map_or_else(|| names::propose(attempt), str::to_owned);
            attempt += 1;
            let done = self.store.write(|transaction| {
                // It may have been removed since it was looked up.
                if container.image != host_image::NAME {
                    images::find(transaction, &container.image)?;
                }
                let first_id = if shares { ready.own(transaction)?.volumes() } else { 0 };
                container.users = ready.take(transaction, &container.id)?;
                match leaves {
                    Leaves::Surely => id_ranges::keep(transaction, &container.id)?,
                    Leaves::Perhaps => id_ranges::unsure(transaction, &container.id, true)?,
                    Leaves::Nothing => {}
                }
                let first_id = match mapping.no_mapped_volumes() {
                    None => first_id,
                    // It is for this container, and for others with the same IDs.
                    Some(_) => container.users.root().0,
                };
                containers::insert(transaction, container)?;
                for (network, settings) in asked {
                    // It may have been removed since it was looked up.
                    networks::find(transaction, &network.id)?;
                    endpoints::join(transaction, network, &container.id, settings)?;
                }
                let of_host = |one: &Wanted| match &one.source {
                    Source::Bind { .. } => true,
                    Source::Volume { options, .. } => !options.is_empty(),
                    _ => false,
                };
                if wanted.iter().any(of_host) {
                    id_ranges::note_binds(transaction)?;
                }
                for one in wanted {
                    if let Source::Image { id } = &one.source
                        && id != host_image::NAME
                    {
                        images::take(transaction, id, &container.id)?;
                    }
                    if let Source::Volume { name, anonymous, labels, options, .. } = &one.source {
                        let volume = volumes::Volume {
                            name: name.clone(),
                            created: now_nanoseconds() / 1_000_000_000,
                            labels: labels.clone(),
                            options: options.clone(),
                            anonymous: *anonymous,
                            first_id,
                        };
                        volumes::take(transaction, &volume, &container.id)?;
                    }
                }
                bulkhead_sys::fail::point("create: everything taken, not committed");
                Ok(())
            });
            match done {
                Err(Error::Conflict(_)) if name.is_none() && attempt < 32 => {}
                other => {
                    warnings.extend(ready.warning());
                    return other;
                }
            }
        }
    }

    /// Makes its folders on disk, as far as they are not there.
    pub(crate) fn furnish(&self, container: &Container, wanted: &[Wanted]) -> Result<()> {
        self.make_folders(container)?;
        if container.image == host_image::NAME {
            let upper = self.roots.container(&container.id).join("rw/upper");
            host_image::prepare(&upper, &self.roots.root, container.users.root())?;
        }
        for one in wanted {
            if let Source::Volume { name, .. } = &one.source {
                let volume = volumes::find(self.store.read(), name)?;
                let first = volume.map_or(0, |volume| volume.first_id);
                let (uid, gid) = container.users.root();
                // Where no mount maps its IDs, a volume has those of a container, whose groups may begin elsewhere.
                let owner = if first == uid { (uid, gid) } else { (first, first) };
                make_volume(&self.roots.volume(name), owner)?;
            }
        }
        Ok(())
    }
}

/// Refuses ports that cannot be published, and says which are not.
fn check_ports(
    request: &ContainerCreateBody,
    host: &HostConfig,
    asked: &[Asked],
    warnings: &mut Vec<String>,
) -> Result<()> {
    ports::wanted(request, host, None)?;
    match Modes::of(host)?.net {
        Mode::Container(_) if ports::any(host) => Err(Error::Invalid(
            "conflicting options: port publishing and the container type network mode".into(),
        )),
        Mode::Host if ports::any(host) => {
            warnings.push("Published ports are discarded when using host network mode".into());
            Ok(())
        }
        Mode::Own if ports::any(host) && !asked.iter().any(|(network, _)| ports::can_lead_to(network)) => {
            warnings.push(
                "Published ports are discarded: the container is on no network that they can lead to".into(),
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Makes a volume's folder, owned by what a container's root is in it.
pub(super) fn make_volume(path: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    crate::store::make_folder(parent)?;
    match std::fs::DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => other.doing(|| format!("make the volume {}", path.display()))?,
    }
    // No ID of a container is the host's root there: one that belongs to it has not been given yet.
    let owner = std::fs::metadata(path).map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata));
    if uid != 0 && owner.doing(|| format!("look at the volume {}", path.display()))? == 0 {
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .doing(|| format!("give the volume {} to the containers' root", path.display()))?;
    }
    Ok(())
}

fn check_sources(wanted: &[Wanted]) -> Result<()> {
    for one in wanted {
        if let Source::Bind { path, create: false, .. } = &one.source
            && !Path::new(path).exists()
        {
            return Err(Error::Invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {path}"
            )));
        }
    }
    Ok(())
}

/// The time in nanoseconds since 1970.
pub(crate) fn now_nanoseconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |span| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}
