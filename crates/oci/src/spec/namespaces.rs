//! `linux.namespaces`, the mapping of a user namespace, host name and clocks.

use std::os::fd::{AsFd, OwnedFd};

use bulkhead_isolation::Handle;
use bulkhead_isolation::namespaces::Namespaces;
use bulkhead_isolation::namespaces::cgroup::CgroupNamespace;
use bulkhead_isolation::namespaces::ipc::IpcNamespace;
use bulkhead_isolation::namespaces::mnt::MntNamespace;
use bulkhead_isolation::namespaces::net::NetNamespace;
use bulkhead_isolation::namespaces::pid::PidNamespace;
use bulkhead_isolation::namespaces::time::TimeNamespace;
use bulkhead_isolation::namespaces::user::{UserNamespace, mappings_of};
use bulkhead_isolation::namespaces::uts::UtsNamespace;
use rustix::fs::{Mode, OFlags, open};

use super::linux::Linux;
use super::{FILE, Spec};
use crate::error::{Doing, Error, Result};

const KINDS: [&str; 8] = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"];

/// What is to become of one kind.
enum Wanted {
    Host,
    New,
    Join(Handle),
}

/// Opens the namespaces that are joined: from then on it is they that count, whatever becomes of their paths.
pub(super) fn namespaces(spec: &Spec, linux: &Linux, handles: &mut Vec<OwnedFd>) -> Result<Namespaces> {
    let given = linux.namespaces.clone().unwrap_or_default();
    for (index, namespace) in given.iter().enumerate() {
        let kind = &namespace.kind;
        if !KINDS.contains(&kind.as_str()) {
            return Err(Error::invalid(format!(
                "{FILE}: linux.namespaces[{index}].type: {kind:?} is no namespace"
            )));
        }
        if given.iter().take(index).any(|other| other.kind == *kind) {
            return Err(Error::invalid(format!("{FILE}: linux.namespaces[{index}]: {kind} is there twice")));
        }
    }
    let mut find = |kind: &str| -> Result<Wanted> {
        let Some(namespace) = given.iter().find(|namespace| namespace.kind == kind) else {
            return Ok(Wanted::Host);
        };
        match namespace.path.as_deref() {
            None | Some("") => Ok(Wanted::New),
            Some(path) if !path.starts_with('/') => Err(Error::invalid(format!(
                "{FILE}: linux.namespaces: the path of the {kind} namespace, {path:?}, is not absolute"
            ))),
            Some(path) => {
                let opened = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .doing(|| format!("open the {kind} namespace {path}"))?;
                handles.push(opened);
                Ok(Wanted::Join(Handle(handles.len() - 1)))
            }
        }
    };
    match find("mount")? {
        Wanted::New => {}
        Wanted::Host => return Err(Error::unsupported("a container without a mount namespace of its own")),
        Wanted::Join(_) => return Err(Error::unsupported("joining a mount namespace by its path")),
    }
    let pid = match find("pid")? {
        Wanted::Host => PidNamespace::Host,
        Wanted::New => PidNamespace::New,
        Wanted::Join(handle) => PidNamespace::Join(handle),
    };
    let net = match find("network")? {
        Wanted::Host => NetNamespace::Host,
        Wanted::New => NetNamespace::New,
        Wanted::Join(handle) => NetNamespace::Join(handle),
    };
    let ipc = match find("ipc")? {
        Wanted::Host => IpcNamespace::Host,
        Wanted::New => IpcNamespace::New,
        Wanted::Join(handle) => IpcNamespace::Join(handle),
    };
    let cgroup = match find("cgroup")? {
        Wanted::Host => CgroupNamespace::Host,
        Wanted::New => CgroupNamespace::New,
        Wanted::Join(handle) => CgroupNamespace::Join(handle),
    };
    let (uts, time, user) = (find("uts")?, find("time")?, find("user")?);
    let user = match user {
        Wanted::Host => None,
        Wanted::New => Some(None),
        Wanted::Join(handle) => Some(Some(handle)),
    };
    Ok(Namespaces {
        user: users(linux, user, handles)?,
        pid,
        mnt: MntNamespace::default(),
        uts: names(spec, &uts)?,
        ipc,
        net,
        cgroup,
        time: clocks(linux, &time)?,
    })
}

fn users(linux: &Linux, wanted: Option<Option<Handle>>, handles: &[OwnedFd]) -> Result<UserNamespace> {
    let mappings = linux.mappings();
    match wanted {
        None if mappings.uids.is_empty() && mappings.gids.is_empty() => Ok(UserNamespace::Host),
        None => Err(Error::invalid(
            "User namespace mappings specified, but USER namespace isn't enabled in the config",
        )),
        Some(None) if mappings.uids.is_empty() || mappings.gids.is_empty() => Err(Error::invalid(format!(
            "{FILE}: linux.uidMappings and linux.gidMappings: a new user namespace needs both"
        ))),
        Some(None) => Ok(UserNamespace::New(mappings)),
        Some(Some(handle)) => {
            let namespace = handles.get(handle.0).ok_or(Error::NotFound)?;
            Ok(UserNamespace::Join { namespace: handle, mappings: mappings_of(namespace.as_fd())? })
        }
    }
}

fn names(spec: &Spec, wanted: &Wanted) -> Result<UtsNamespace> {
    let hostname = spec.hostname.clone().unwrap_or_default();
    let domainname = spec.domainname.clone().unwrap_or_default();
    match wanted {
        Wanted::New => Ok(UtsNamespace::New { hostname, domainname }),
        _ if !hostname.is_empty() => {
            Err(Error::invalid("unable to set hostname without a private UTS namespace"))
        }
        _ if !domainname.is_empty() => {
            Err(Error::invalid("unable to set domainname without a private UTS namespace"))
        }
        Wanted::Host => Ok(UtsNamespace::Host),
        Wanted::Join(handle) => Ok(UtsNamespace::Join(*handle)),
    }
}

fn clocks(linux: &Linux, wanted: &Wanted) -> Result<TimeNamespace> {
    let offsets = linux.time_offsets.clone().unwrap_or_default();
    if !matches!(wanted, Wanted::New) && !offsets.is_empty() {
        return Err(Error::invalid(format!("{FILE}: linux.timeOffsets: they need a new time namespace")));
    }
    if let Some(clock) = offsets.keys().find(|clock| !["monotonic", "boottime"].contains(&clock.as_str())) {
        return Err(Error::invalid(format!("{FILE}: linux.timeOffsets.{clock}: there is no such clock")));
    }
    let of = |clock: &str| -> Result<i64> {
        let Some(offset) = offsets.get(clock) else { return Ok(0) };
        match offset.nanosecs {
            None | Some(0) => Ok(offset.secs.unwrap_or(0)),
            Some(_) => Err(Error::unsupported(format!("linux.timeOffsets.{clock}.nanosecs"))),
        }
    };
    match wanted {
        Wanted::Host => Ok(TimeNamespace::Host),
        Wanted::New => Ok(TimeNamespace::New { monotonic: of("monotonic")?, boottime: of("boottime")? }),
        Wanted::Join(handle) => Ok(TimeNamespace::Join(*handle)),
    }
}
