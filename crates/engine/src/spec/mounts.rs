//! All that is mounted in a container, in order: the kernel's file systems, /dev, the engine's own files, and
//! what the user wants.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bollard_stubs::models::HostConfig;
use bulkhead_isolation::Handle;
use bulkhead_isolation::mounts::bind::Bind;
use bulkhead_isolation::mounts::ids::{BindIds, Stored};
use bulkhead_isolation::mounts::{Attributes, Mount, Source};
use bulkhead_isolation::namespaces::user::IdMap;

use super::binds::{self, Wanted};
use super::mount_ids::{self, Mapping};
use super::namespaces::{Mode, Modes};
use super::security::Security;
use super::{Surroundings, text};
use crate::accounts::Etc;
use crate::error::{Doing, Error, Result};
use crate::store::containers::Container;
use crate::users::binds::Machine;
use crate::users::{self, Users};

/// Docker's default size of /dev/shm.
const SHM_SIZE: i64 = 64 * 1024 * 1024;

pub(crate) fn plan(
    container: &Container,
    host: &HostConfig,
    around: &Surroundings<'_>,
    security: &Security,
) -> Result<Vec<Mount>> {
    let wanted = binds::read(&container.config)?;
    let mut all = kernel_s(container, host, around, security)?;
    all.extend(own_files(&around.files, host.readonly_rootfs.unwrap_or(false))?);
    if host.init == Some(true) {
        all.push(engine_file(around.init, "/sbin/docker-init", true)?);
    }
    // What the user mounts takes the place of what would have been there.
    all.retain(|mount| !wanted.iter().any(|wanted| wanted.target == mount.target));
    for wanted in &wanted {
        all.push(mount(container, wanted, around)?);
    }
    Ok(all)
}

fn new(target: &str, source: Source, attributes: Attributes) -> Mount {
    Mount { target: target.into(), source, attributes }
}

/// The kernel's own file systems. In a user namespace of its own a container can mount those of namespaces that are new
/// with it; of others it gets what is mounted there already, read-only.
fn kernel_s(
    container: &Container,
    host: &HostConfig,
    around: &Surroundings<'_>,
    security: &Security,
) -> Result<Vec<Mount>> {
    let inert = Attributes::INERT;
    let devices = Attributes { noexec: true, nosuid: true, ..Attributes::default() };
    // A privileged container administers the machine: it may write to /sys and its groups.
    let system = if security.privileged { inert } else { inert.readonly() };
    let modes = Modes::of(host)?;
    let foreign = |mode: &Mode, mounts: Option<Handle>, path: &str| -> Result<Option<Mount>> {
        if container.users == Users::Host {
            return Ok(None);
        }
        let source = match mode {
            Mode::Own | Mode::Nothing => return Ok(None),
            Mode::Host => Source::Bind(Bind::of(path.into(), true, BindIds::Unmapped)),
            Mode::Container(_) => Source::OfContainer { namespace: running(mounts)?, path: path.into() },
        };
        // /proc becomes read-only once kernel parameters have been set through it (`readonly_paths`).
        let attributes = if path == "/proc" { inert } else { inert.readonly() };
        Ok(Some(new(path, source, attributes)))
    };
    let or = |found: Option<Mount>, path: &str, source: Source, attributes: Attributes| {
        found.unwrap_or_else(|| new(path, source, attributes))
    };
    let joined = &around.joined;
    let mut all = vec![
        or(foreign(&modes.pid, joined.pid_mounts, "/proc")?, "/proc", Source::Proc, inert),
        new("/dev", Source::Devices(security.devices.clone()), Attributes::default()),
        new("/dev/pts", Source::Devpts, devices),
        or(foreign(&modes.net, joined.net_mounts, "/sys")?, "/sys", Source::Sysfs, system),
        new("/sys/fs/cgroup", Source::Cgroup, system),
    ];
    match (foreign(&modes.ipc, joined.ipc_mounts, "/dev/mqueue")?, &modes.ipc) {
        // A host that has not mounted it has none to share.
        (Some(_), Mode::Host) if !Path::new("/dev/mqueue").is_dir() => {}
        (found, _) => all.push(or(found, "/dev/mqueue", Source::Mqueue, inert)),
    }
    let shm = "/dev/shm";
    match modes.ipc {
        Mode::Host => {
            let ids = usual_ids(container, shm, around)?;
            all.push(new(shm, Source::Bind(Bind::of(shm.into(), true, ids)), inert));
        }
        Mode::Container(_) => {
            let namespace = running(joined.ipc_mounts)?;
            all.push(new(shm, Source::OfContainer { namespace, path: shm.into() }, inert));
        }
        Mode::Nothing => {}
        Mode::Own => {
            let size = host.shm_size.filter(|size| *size != 0).unwrap_or(SHM_SIZE);
            if !(0..1 << 50).contains(&size) {
                return Err(Error::Invalid(format!("invalid size of /dev/shm: {size} bytes")));
            }
            let options = vec![("mode".into(), "1777".into()), ("size".into(), size.to_string())];
            all.push(new(shm, Source::Tmpfs { options, copy_up: false }, inert));
        }
    }
    Ok(all)
}

fn running(handle: Option<Handle>) -> Result<Handle> {
    handle.ok_or_else(|| Error::Invalid("the container to be joined is not running".into()))
}

/// A file of the engine's for the container, which has the owner that it needs on disk.
fn engine_file(path: &Path, target: &str, readonly: bool) -> Result<Mount> {
    let source = Source::Bind(Bind::of(text(path)?, false, BindIds::Unmapped));
    Ok(new(target, source, Attributes { readonly, ..Attributes::default() }))
}

fn own_files(folder: &Path, readonly: bool) -> Result<Vec<Mount>> {
    ["resolv.conf", "hostname", "hosts"]
        .iter()
        .map(|name| engine_file(&folder.join(name), &format!("/etc/{name}"), readonly))
        .collect()
}

fn mount(container: &Container, wanted: &Wanted, around: &Surroundings<'_>) -> Result<Mount> {
    let attributes =
        Attributes { readonly: wanted.readonly, propagation: wanted.propagation, ..Attributes::default() };
    let reown = wanted.ids.reown;
    Ok(match &wanted.source {
        binds::Source::Bind { path, create, recursive } => {
            let ids = match &wanted.ids.mapping {
                Mapping::Usual if reown => own_range(container, path, around)?,
                Mapping::Usual => usual_ids(container, path, around)?,
                Mapping::None => BindIds::Unmapped,
                Mapping::Idmap(lists) => mount_ids::bind_ids(lists)?,
            };
            // Who asks for no mapping knows what that means.
            let warn = wanted.ids.mapping == Mapping::Usual;
            let bind = Bind { create: *create, reown, warn, ..Bind::of(path.clone(), *recursive, ids) };
            new(&wanted.target, Source::Bind(bind), attributes)
        }
        binds::Source::Volume { name, copy, .. } => {
            let path = text(&around.roots.volume(name))?;
            let first = around.volumes.first.iter().find(|(known, _)| known == name).map(|(_, first)| *first);
            let unmapped = around.volumes.unmapped;
            let ids = match (first, &container.users) {
                // What stands on disk is what the kernel takes the container's IDs for.
                (_, users) if unmapped && (!reown || *users == Users::Host) => BindIds::Unmapped,
                (_, users) if unmapped => {
                    let (uid, gid) = users.root();
                    BindIds::Stored { uids: Stored::range(uid), gids: Stored::range(gid) }
                }
                (Some(0) | None, Users::Host) => BindIds::Unmapped,
                // One of an older version: what stands on disk is what was written.
                (Some(0) | None, _) => mount_ids::bind_ids("")?,
                (Some(first), _) => {
                    BindIds::Stored { uids: Stored::range(first), gids: Stored::range(first) }
                }
            };
            // That it is another's was said when the container was made.
            let bind = Bind { fill: *copy, reown, warn: !unmapped, ..Bind::of(path, false, ids) };
            new(&wanted.target, Source::Bind(bind), attributes)
        }
        binds::Source::Image { id } => {
            let layers =
                around.images.iter().find(|(known, _)| known == id).map(|(_, layers)| layers.clone());
            new(&wanted.target, Source::Image(layers.unwrap_or_default()), attributes.readonly())
        }
        binds::Source::Tmpfs { options } => tmpfs(wanted, options)?,
    })
}

/// The mapping that a source of the host gets if nobody asks for another.
fn usual_ids(container: &Container, path: &str, around: &Surroundings<'_>) -> Result<BindIds> {
    if container.users == Users::Host {
        return Ok(BindIds::Unmapped);
    }
    let (machine, owner) = look(container, path, around)?;
    let (uids, gids) = users::binds::decide(&machine, owner);
    Ok(BindIds::Stored { uids, gids })
}

/// The same for a source that is given to the container, and has nobody's IDs in it afterwards but the container's.
fn own_range(container: &Container, path: &str, around: &Surroundings<'_>) -> Result<BindIds> {
    match usual_ids(container, path, around)? {
        BindIds::Stored { uids, gids } => {
            Ok(BindIds::Stored { uids: Stored::range(uids.first), gids: Stored::range(gids.first) })
        }
        other => Ok(other),
    }
}

fn look(container: &Container, path: &str, around: &Surroundings<'_>) -> Result<(Machine, (u32, u32))> {
    // One that is not there yet is to belong to whom the folder above belongs to.
    let mut there = Path::new(path);
    let metadata = loop {
        match std::fs::metadata(there) {
            Ok(metadata) => break metadata,
            Err(error) => match there.parent() {
                Some(parent) if error.kind() == std::io::ErrorKind::NotFound => there = parent,
                _ => return Err(error).doing(|| format!("look at {path}, which is to be mounted")),
            },
        }
    };
    let owner = (metadata.uid(), metadata.gid());
    let stable = around.volumes.stable;
    let machine = match &container.users {
        Users::Shared(mappings) => {
            let first = |lines: &[IdMap]| lines.first().map_or(stable, |line| line.outside);
            let (uids, gids) = (first(&mappings.uids), first(&mappings.gids));
            Machine::look(&Etc::system(), owner.0, stable)?.with_one_range(uids, gids)
        }
        _ => Machine::look(&Etc::system(), owner.0, stable)?,
    };
    Ok((machine, owner))
}

/// Docker's `--tmpfs` is `noexec,nosuid,nodev` unless the opposite is asked for.
fn tmpfs(wanted: &Wanted, options: &[(String, String)]) -> Result<Mount> {
    let mut attributes = Attributes { readonly: wanted.readonly, ..Attributes::INERT };
    let mut kept = Vec::new();
    for (key, value) in options {
        match key.as_str() {
            "ro" => attributes.readonly = true,
            "rw" => attributes.readonly = false,
            "exec" => attributes.noexec = false,
            "noexec" => attributes.noexec = true,
            "suid" => attributes.nosuid = false,
            "nosuid" => attributes.nosuid = true,
            "dev" => attributes.nodev = false,
            "nodev" => attributes.nodev = true,
            "noatime" => attributes.noatime = true,
            "size" | "mode" | "uid" | "gid" | "nr_inodes" | "nr_blocks" | "huge" if !value.is_empty() => {
                kept.push((key.clone(), value.clone()));
            }
            _ => {
                return Err(Error::Invalid(format!(
                    "invalid tmpfs option {key:?} for {}: see tmpfs(5)",
                    wanted.target
                )));
            }
        }
    }
    if !kept.iter().any(|(key, _)| key == "mode") {
        kept.push(("mode".into(), "1777".into()));
    }
    Ok(new(&wanted.target, Source::Tmpfs { options: kept, copy_up: false }, attributes))
}
