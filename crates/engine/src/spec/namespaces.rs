//! `--pid`, `--ipc`, `--uts`, `--network`, `--cgroupns`, `--userns`, `--hostname`, `--sysctl`.

use std::os::fd::OwnedFd;

use bollard_stubs::models::{ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum};
use bulkhead_isolation::Handle;
use bulkhead_isolation::namespaces::Namespaces;
use bulkhead_isolation::namespaces::cgroup::CgroupNamespace;
use bulkhead_isolation::namespaces::ipc::IpcNamespace;
use bulkhead_isolation::namespaces::mnt::MntNamespace;
use bulkhead_isolation::namespaces::net::NetNamespace;
use bulkhead_isolation::namespaces::pid::PidNamespace;
use bulkhead_isolation::namespaces::time::TimeNamespace;
use bulkhead_isolation::namespaces::user::{IdMappings, UserNamespace};
use bulkhead_isolation::namespaces::uts::{LONGEST, UtsNamespace};

use crate::error::{Error, Result};
use crate::store::containers::Container;
use crate::users::Users;

/// The annotations in which the time namespace's offsets are kept, since Docker's configuration has no place.
pub const TIME_MONOTONIC: &str = "io.bulkhead.time.monotonic";
/// See [`TIME_MONOTONIC`].
pub const TIME_BOOTTIME: &str = "io.bulkhead.time.boottime";

/// Which namespaces of a kind a container is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Its own.
    Own,
    /// Its own, with nothing to share it by (`none`).
    Nothing,
    /// The host's.
    Host,
    /// Those of the container of that name.
    Container(String),
}

/// Reads `MODE` as Docker has it for `--KIND`; `own` are the words for one's own.
fn mode(kind: &str, given: Option<&String>, own: &[&str]) -> Result<Mode> {
    let given = given.map_or("", String::as_str);
    if given.is_empty() || own.contains(&given) {
        return Ok(Mode::Own);
    }
    match given.split_once(':') {
        None if given == "host" => Ok(Mode::Host),
        None if given == "none" && kind != "pid" && kind != "uts" => Ok(Mode::Nothing),
        Some(("container", name)) if !name.is_empty() => Ok(Mode::Container(name.to_owned())),
        // A network of that name, which is looked up when the container is made.
        None if kind == "network" => Ok(Mode::Own),
        _ => Err(Error::Invalid(format!(
            "invalid {kind} mode {given:?}: {} host or container:NAME",
            own.join(", ")
        ))),
    }
}

/// The modes of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modes {
    /// `--pid`.
    pub pid: Mode,
    /// `--ipc`.
    pub ipc: Mode,
    /// `--network`.
    pub net: Mode,
    /// `--uts`.
    pub uts: Mode,
}

impl Modes {
    /// Reads them.
    ///
    /// # Errors
    /// A word that is none.
    pub fn of(host: &HostConfig) -> Result<Modes> {
        Ok(Modes {
            pid: mode("pid", host.pid_mode.as_ref(), &["private"])?,
            ipc: mode("ipc", host.ipc_mode.as_ref(), &["private", "shareable"])?,
            net: mode("network", host.network_mode.as_ref(), &["default", "bridge"])?,
            uts: mode("uts", host.uts_mode.as_ref(), &["private"])?,
        })
    }
}

/// The opened namespaces of the containers that are joined: each is a place in `handles`.
#[derive(Debug, Default)]
pub struct Joined {
    /// The descriptors, to be sent with the plan.
    pub handles: Vec<OwnedFd>,
    /// Processes.
    pub pid: Option<Handle>,
    /// The mounts of the container whose processes are joined.
    pub pid_mounts: Option<Handle>,
    /// IPC.
    pub ipc: Option<Handle>,
    /// The mounts of the container whose IPC is joined, for its /dev/shm.
    pub ipc_mounts: Option<Handle>,
    /// Network.
    pub net: Option<Handle>,
    /// Host name: that of the container whose network is joined.
    pub uts: Option<Handle>,
    /// The mounts of the container whose network is joined, for its /sys.
    pub net_mounts: Option<Handle>,
    /// Users.
    pub user: Option<Handle>,
}

impl Joined {
    /// Adds a descriptor.
    pub fn add(&mut self, fd: OwnedFd) -> Handle {
        self.handles.push(fd);
        Handle(self.handles.len() - 1)
    }
}

/// Whether another container may join this one's IPC.
pub(crate) fn shares_ipc(host: &HostConfig) -> bool {
    // Docker's default since 20.10 is private; the daemon's default can be changed, ours cannot.
    host.ipc_mode.as_deref() == Some("shareable")
}

pub(crate) fn plan(container: &Container, host: &HostConfig, joined: &Joined) -> Result<Namespaces> {
    let modes = Modes::of(host)?;
    let user = match &container.users {
        Users::Host => UserNamespace::Host,
        Users::Own(mappings) | Users::Shared(mappings) | Users::Lines(mappings) => {
            UserNamespace::New(mappings.clone())
        }
        Users::OfContainer { users, .. } => UserNamespace::Join {
            namespace: opened(joined.user)?,
            mappings: users.mappings().cloned().unwrap_or_default(),
        },
    };
    let cgroup = match host.cgroupns_mode {
        Some(HostConfigCgroupnsModeEnum::HOST) => CgroupNamespace::Host,
        // A privileged container sees what the host sees, as Docker has it on version 1.
        _ => CgroupNamespace::New,
    };
    Ok(Namespaces {
        user,
        pid: match modes.pid {
            Mode::Host => PidNamespace::Host,
            Mode::Container(_) => PidNamespace::Join(opened(joined.pid)?),
            Mode::Own | Mode::Nothing => PidNamespace::New,
        },
        mnt: MntNamespace { copy_of: joined.pid_mounts },
        ipc: match modes.ipc {
            Mode::Host => IpcNamespace::Host,
            Mode::Container(_) => IpcNamespace::Join(opened(joined.ipc)?),
            Mode::Own | Mode::Nothing => IpcNamespace::New,
        },
        net: match modes.net {
            Mode::Host => NetNamespace::Host,
            Mode::Container(_) => NetNamespace::Join(opened(joined.net)?),
            Mode::Own | Mode::Nothing => NetNamespace::New,
        },
        uts: uts(container, &modes, joined)?,
        cgroup,
        time: time(host)?,
    })
}

fn opened(handle: Option<Handle>) -> Result<Handle> {
    handle.ok_or_else(|| Error::Invalid("the container to be joined is not running".into()))
}

fn uts(container: &Container, modes: &Modes, joined: &Joined) -> Result<UtsNamespace> {
    let config = &container.config;
    Ok(match (&modes.uts, &modes.net) {
        (Mode::Host, _) => UtsNamespace::Host,
        // Docker: who shares a container's network shares its name.
        (Mode::Own, Mode::Container(_)) => UtsNamespace::Join(opened(joined.uts)?),
        (Mode::Container(_), _) => return Err(Error::Invalid("--uts takes host only".into())),
        _ => UtsNamespace::New {
            hostname: hostname(config),
            domainname: config.domainname.clone().unwrap_or_default(),
        },
    })
}

/// The host name inside.
pub(crate) fn hostname(config: &ContainerCreateBody) -> String {
    config.hostname.clone().unwrap_or_default()
}

/// Refuses names that the kernel or a resolver cannot hold, and combinations that Docker refuses.
pub(crate) fn check(config: &ContainerCreateBody, host: &HostConfig) -> Result<()> {
    let modes = Modes::of(host)?;
    for (what, name) in [("hostname", &config.hostname), ("domainname", &config.domainname)] {
        let name = name.as_deref().unwrap_or("");
        let plain =
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if !plain || name.len() > LONGEST || name.starts_with(['-', '.']) {
            return Err(Error::Invalid(format!(
                "invalid {what} {name:?}: up to {LONGEST} letters, digits, dots and hyphens"
            )));
        }
    }
    let named = config.hostname.as_deref().is_some_and(|name| !name.is_empty());
    if named && modes.uts == Mode::Host {
        return Err(Error::Invalid("conflicting options: hostname and the UTS mode".into()));
    }
    if named && matches!(modes.net, Mode::Container(_)) {
        return Err(Error::Invalid("conflicting options: hostname and the network mode".into()));
    }
    time(host).map(drop)
}

fn time(host: &HostConfig) -> Result<TimeNamespace> {
    let offset = |key: &str| -> Result<Option<i64>> {
        let Some(value) = host.annotations.as_ref().and_then(|all| all.get(key)) else { return Ok(None) };
        value
            .parse()
            .map(Some)
            .map_err(|_| Error::Invalid(format!("invalid time offset {value:?}: a number of seconds")))
    };
    Ok(match (offset(TIME_MONOTONIC)?, offset(TIME_BOOTTIME)?) {
        (None, None) => TimeNamespace::Host,
        (monotonic, boottime) => {
            TimeNamespace::New { monotonic: monotonic.unwrap_or(0), boottime: boottime.unwrap_or(0) }
        }
    })
}

/// The last group of the first stretch of a mapping.
fn last_group(mappings: &IdMappings) -> u32 {
    let mut end = 0;
    let mut lines = mappings.gids.clone();
    lines.sort_unstable_by_key(|line| line.inside);
    for line in lines {
        if line.inside == end {
            end += line.count;
        }
    }
    end.saturating_sub(1).min(i32::MAX.cast_unsigned())
}

pub(crate) fn sysctls(host: &HostConfig, namespaces: &Namespaces) -> Result<Vec<(String, String)>> {
    let mut all: Vec<(String, String)> = Vec::new();
    if namespaces.net == NetNamespace::New {
        // As Docker: in a network of its own, a program may take low ports and ping without being root.
        all.push(("net.ipv4.ip_unprivileged_port_start".into(), "0".into()));
        // Both ends must be groups that the namespace has.
        let last = namespaces.user.mappings().map_or(i32::MAX.cast_unsigned(), last_group);
        all.push(("net.ipv4.ping_group_range".into(), format!("0 {last}")));
    }
    let mut asked: Vec<_> = host.sysctls.iter().flatten().collect();
    asked.sort();
    for (name, value) in asked {
        let own = if name.starts_with("net.") {
            namespaces.net == NetNamespace::New
        } else if bulkhead_isolation::sysctls::is_of_ipc(name) {
            namespaces.ipc == IpcNamespace::New
        } else if name.starts_with("user.max_") {
            matches!(namespaces.user, UserNamespace::New(_))
        } else {
            false
        };
        // In a name, a slash stands for a dot and the other way round (sysctl(8)): no part may lead elsewhere.
        let plain = name.split(['.', '/']).all(|part| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        });
        if !own || !plain {
            return Err(Error::Invalid(format!(
                "sysctl {name:?} is not in a separate kernel namespace of this container: it would change the host"
            )));
        }
        all.retain(|(known, _)| known != name);
        all.push((name.clone(), value.clone()));
    }
    Ok(all)
}
