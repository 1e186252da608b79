//! From Docker's words to a plan: what a container was asked for ([`ContainerCreateBody`], completed from its
//! image) becomes the isolation core's complete description of it.
//!
//! | file | turns |
//! |---|---|
//! | [`merge`] | an image's defaults and the request into one configuration |
//! | [`namespaces`] | `--pid`, `--ipc`, `--uts`, `--network`, `--cgroupns`, `--userns`, `--hostname` |
//! | [`binds`] | `-v`, `--mount`, volumes: into a list of what is mounted where; back again: [`settled`] |
//! | `volumes_from`, `volume_options` | `--volumes-from`; what a volume of the driver local is |
//! | [`mount_ids`] | `:idmap`, `:noidmap`, `:U` |
//! | [`mounts`] | those, /proc, /sys, /dev, `--tmpfs`, `--shm-size`: into mounts |
//! | [`security`] | `--cap-add`, `--privileged`, `--security-opt`, `--device`, masked paths |
//! | [`resources`] | `--memory`, `--cpus`, `--pids-limit` … |
//! | [`restart`], [`health`] | `--restart`; `--health-cmd` and its like |
//! | [`log`] | `--log-driver`, `--log-opt` |
//! | [`process`] | the command, its variables, user, limits, terminal |
//!
//! Everything that cannot be held is refused here, before anything is made.

pub mod binds;
pub mod health;
pub mod log;
pub mod merge;
pub mod mount_ids;
pub mod mounts;
pub mod namespaces;
pub mod process;
pub mod resources;
pub mod restart;
pub mod security;
pub mod settled;
pub(crate) mod volume_options;
pub(crate) mod volumes_from;

use std::cell::OnceCell;

use bollard_stubs::models::{ContainerCreateBody, HostConfig};
use bulkhead_isolation::cgroups::Cgroup;
use bulkhead_isolation::rootfs::{Layer, Rootfs};
use bulkhead_isolation::{Plan, TerminalSize};

use crate::error::{Error, Result};
use crate::roots::Roots;
use crate::spec::binds::{Source, Wanted};
use crate::spec::namespaces::{Mode, Modes};
use crate::store::containers::Container;
use crate::store::id_ranges::Own;
use crate::users::Users;
use crate::users::binds::Machine;
use crate::users::pool::Taken;

/// What the plan of a container depends on beside its own configuration.
pub(crate) struct Surroundings<'a> {
    /// Where the engine lives.
    pub(crate) roots: &'a Roots,
    /// The image's layers.
    pub(crate) layers: Vec<Layer>,
    /// The namespaces it joins, opened.
    pub(crate) joined: namespaces::Joined,
    /// The folder whose hosts, hostname and resolv.conf it uses: its own, or another container's.
    pub(crate) files: std::path::PathBuf,
    /// The terminal's size to begin with.
    pub(crate) terminal: TerminalSize,
    /// The executable that is a container's init.
    pub(crate) init: &'a std::path::Path,
    /// Where container IDs stand on disk.
    pub(crate) volumes: Volumes,
    /// The layers of images that are mounted, by what they were asked for as.
    pub(crate) images: Vec<(String, Vec<Layer>)>,
}

/// Where container IDs stand on disk in what several containers share.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    /// The engine's own ranges.
    pub(crate) own: Option<Own>,
    /// What the engine has handed out or taken for itself.
    pub(crate) reserved: Taken,
    /// The machine's accounts, looked up when they are first asked for.
    pub(crate) machine: OnceCell<Machine>,
    /// The first ID of each volume.
    pub(crate) first: Vec<(String, u32)>,
    /// Where the files of each are.
    pub(crate) places: Vec<(String, volume_options::Place)>,
    /// Whether no mount can map their IDs.
    pub(crate) unmapped: bool,
}

impl<'a> Surroundings<'a> {
    /// What a plan that is only to be checked depends on: nothing is opened, and whatever is joined is taken to be there.
    pub(crate) fn stand_in(roots: &'a Roots, init: &'a std::path::Path, id: &str) -> Surroundings<'a> {
        let there = Some(bulkhead_isolation::Handle(0));
        let joined = namespaces::Joined {
            handles: Vec::new(),
            pid: there,
            pid_mounts: there,
            ipc: there,
            ipc_mounts: there,
            net: there,
            uts: there,
            net_mounts: there,
            user: there,
        };
        Surroundings {
            roots,
            layers: Vec::new(),
            joined,
            files: roots.container(id),
            terminal: TerminalSize::default(),
            init,
            volumes: Volumes::default(),
            images: Vec::new(),
        }
    }
}

/// The plan, and sentences on what was left out of it.
pub(crate) fn plan(container: &Container, around: &Surroundings<'_>) -> Result<(Plan, Vec<String>)> {
    let mut warnings = Vec::new();
    let host = container.config.host_config.clone().unwrap_or_default();
    refuse_what_is_not_there(&host)?;
    restart::check(&host)?;
    health::check(&container.config)?;
    let namespaces = namespaces::plan(container, &host, &around.joined)?;
    let mut security = security::plan(&host)?;
    security::gather_devices(&host, &mut security)?;
    let mounts = mounts::plan(container, &host, around, &security)?;
    let resources = resources::plan(&host, &security, &mut warnings)?;
    let process = process::plan(container, &host, around, &security, &mut warnings)?;
    // Who is in another container's user namespace owns what that owns.
    let own_processes =
        Modes::of(&host)?.pid == Mode::Own || matches!(container.users, Users::OfContainer { .. });
    if container.users != Users::Host && !own_processes {
        security.readonly_paths.insert(0, "/proc".into());
    }
    let parent = host.cgroup_parent.as_deref().filter(|parent| !parent.is_empty()).unwrap_or("/bulkhead");
    if parent.split('/').any(|part| part == "..") {
        return Err(Error::Invalid(format!("invalid cgroup-parent {parent}: it must not lead upwards")));
    }
    let plan = Plan {
        sysctls: namespaces::sysctls(&host, &namespaces)?,
        namespaces,
        rootfs: Rootfs {
            layers: around.layers.clone(),
            writable: Some(text(&around.roots.container(&container.id).join("rw"))?),
            readonly: host.readonly_rootfs.unwrap_or(false),
            whole: None,
        },
        mounts,
        masked_paths: security.masked_paths,
        readonly_paths: security.readonly_paths,
        cgroup: Cgroup {
            path: format!("/{}/{}", parent.trim_matches('/'), container.id),
            resources,
            // Privileged within its own user namespace, it can have groups (and an engine) of its own.
            delegate: (security.privileged && container.users != Users::Host).then(|| container.users.root()),
        },
        process,
        hooks: None,
        hold: None,
    };
    Ok((plan, warnings))
}

/// The variables that a later program (exec) begins with; those of a terminal come with it.
pub(crate) fn later_environment(config: &ContainerCreateBody) -> Vec<String> {
    process::environment(config.env.as_deref().unwrap_or_default(), &namespaces::hostname(config), false)
}

/// Whether a container sees files that others see too, in which its IDs stand on disk in the engine's own range.
pub(crate) fn shares_files(host: &HostConfig, wanted: &[Wanted]) -> Result<bool> {
    let files = wanted.iter().any(|one| matches!(one.source, Source::Bind { .. } | Source::Volume { .. }));
    Ok(files || Modes::of(host)?.ipc == Mode::Host)
}

/// Whether a container can leave something behind that has its own range's IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// It cannot.
    Nothing,
    /// It can where a file system cannot map IDs, which shows when it starts.
    Perhaps,
    /// It can: files in what it asked to have unmapped, objects in the host's IPC namespace.
    Surely,
}

/// See [`Leaves`].
pub(crate) fn leaves(host: &HostConfig, wanted: &[Wanted]) -> Result<Leaves> {
    // Who may mount can take a read-only flag off.
    let mounts = security::may_mount(host);
    let writable = |one: &&Wanted| {
        matches!(one.source, Source::Bind { .. } | Source::Volume { .. }) && (mounts || !one.readonly)
    };
    if Modes::of(host)?.ipc == Mode::Host {
        return Ok(Leaves::Surely);
    }
    Ok(wanted.iter().filter(writable).fold(Leaves::Nothing, |so_far, one| match one.ids.mapping {
        mount_ids::Mapping::None => Leaves::Surely,
        _ if so_far == Leaves::Nothing => Leaves::Perhaps,
        _ => so_far,
    }))
}

/// A path as text. Docker's formats, and ours, hold only UTF-8.
pub(crate) fn text(path: &std::path::Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::Invalid(format!("the path {} is not UTF-8", path.display())))
}

/// Settings that a request can hold and this engine cannot: taken and ignored is worse than refused.
pub(crate) fn refuse_what_is_not_there(host: &HostConfig) -> Result<()> {
    let refused = [
        (
            "GPUs and other device requests",
            host.device_requests.as_ref().is_some_and(|list| !list.is_empty()),
        ),
        ("a size limit for the writable layer", host.storage_opt.as_ref().is_some_and(|map| !map.is_empty())),
        ("another runtime", host.runtime.as_deref().is_some_and(|name| !matches!(name, "" | "bulkhead"))),
    ];
    binds::refuse_driver(host.volume_driver.as_deref())?;
    match refused.iter().find(|(_, asked)| *asked) {
        Some((what, _)) => Err(Error::Invalid(format!("this version of bulkhead does not support {what}"))),
        None => Ok(()),
    }
}
