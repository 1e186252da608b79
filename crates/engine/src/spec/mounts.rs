//! All that is mounted in a container, in order: the kernel's file systems, /dev, the engine's own files, and
//! what the user wants.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bollard_stubs::models::HostConfig;
use bulkhead_isolation::Handle;
use bulkhead_isolation::mounts::bind::{Bind, Seen};
use bulkhead_isolation::mounts::ids::{BindIds, Stored};
use bulkhead_isolation::mounts::{Attributes, Mount, Source};
use bulkhead_isolation::namespaces::mnt::Propagation;
use bulkhead_isolation::namespaces::user::IdMap;

use super::binds::{self, Wanted};
use super::mount_ids::{self, Mapping};
use super::namespaces::{Mode, Modes};
use super::security::Security;
use super::volume_options::{self, Place};
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
        new("/dev", Source::Devices { nodes: security.devices.clone(), label: None }, Attributes::default()),
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
            let (ids, _) = usual_ids(container, shm, around)?;
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
            // One that others may join holds the IDs of others too: it must not be the container's own.
            let of_host = host.ipc_mode.as_deref() == Some("shareable");
            all.push(new(shm, Source::Tmpfs { options, copy_up: false, of_host }, inert));
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
    Ok(match &wanted.source {
        binds::Source::Bind { path, create, recursive } => {
            refuse_shared(container, wanted)?;
            let (mut ids, seen) = match &wanted.ids.mapping {
                Mapping::Usual => usual_ids(container, path, around)?,
                Mapping::None => (BindIds::Unmapped, None),
                Mapping::Idmap(lists) => (mount_ids::bind_ids(lists)?, None),
            };
            let reown = wanted.ids.reown;
            if reown {
                refuse_to_give(path)?;
                // Nobody's IDs are in it afterwards but the container's.
                if let BindIds::Stored { uids, gids } = &mut ids {
                    for stored in [uids, gids] {
                        (stored.process, stored.same) = (None, None);
                    }
                }
            }
            // Who asks for no mapping knows what that means.
            let warn = wanted.ids.mapping == Mapping::Usual;
            let bind = Bind { create: *create, reown, warn, seen, ..Bind::of(path.clone(), *recursive, ids) };
            new(&wanted.target, Source::Bind(bind), attributes)
        }
        binds::Source::Volume { name, copy, options, .. } => {
            let known = around.volumes.places.iter().find(|(known, _)| known == name);
            match known.map_or_else(|| volume_options::read(options), |(_, place)| Ok(place.clone()))? {
                Place::Folder => {}
                Place::Bind { path, recursive, readonly } => {
                    let source = binds::Source::Bind { path, create: false, recursive };
                    let readonly = readonly || wanted.readonly;
                    return mount(container, &Wanted { source, readonly, ..wanted.clone() }, around);
                }
                Place::Tmpfs { options } => return tmpfs(wanted, &options, Attributes::default(), *copy),
            }
            let path = text(&around.roots.volume(name))?;
            let first = around.volumes.first.iter().find(|(known, _)| known == name).map(|(_, first)| *first);
            let unmapped = around.volumes.unmapped;
            let reown = wanted.ids.reown;
            let ids = match (first, container.users.mappings()) {
                // What stands on disk is what the kernel takes the container's IDs for.
                (_, mappings) if unmapped && (!reown || mappings.is_none()) => BindIds::Unmapped,
                (_, Some(_)) if unmapped => {
                    let (uid, gid) = container.users.root();
                    BindIds::Stored { uids: Stored::range(uid), gids: Stored::range(gid) }
                }
                // Not made yet, or with the host's IDs.
                (None, _) | (Some(0), None) => BindIds::Unmapped,
                // What stands in it are IDs of the host, root's among them.
                (Some(0), Some(_)) => {
                    return Err(Error::Conflict(format!(
                        "the volume {name} was made by an earlier version and holds IDs of the host: use it with \
                         --userns=host, or make another one"
                    )));
                }
                (Some(first), _) => {
                    BindIds::Stored { uids: Stored::range(first), gids: Stored::range(first) }
                }
            };
            // A container whose users are the host's must not become somebody by a file that another one left there.
            let attributes = Attributes { nosuid: container.users == Users::Host, ..attributes };
            // That it is another's was said when the container was made.
            let bind = Bind { fill: *copy, reown, warn: !unmapped, ..Bind::of(path, false, ids) };
            new(&wanted.target, Source::Bind(bind), attributes)
        }
        binds::Source::Image { id } => {
            let layers =
                around.images.iter().find(|(known, _)| known == id).map(|(_, layers)| layers.clone());
            new(&wanted.target, Source::Image(layers.unwrap_or_default()), attributes.readonly())
        }
        binds::Source::Tmpfs { options } => tmpfs(wanted, options, Attributes::INERT, false)?,
    })
}

/// Mounts of a container that is not the host's root to the kernel must not appear on the host.
fn refuse_shared(container: &Container, wanted: &Wanted) -> Result<()> {
    match wanted.propagation {
        Some(shared @ (Propagation::Shared | Propagation::RecursiveShared))
            if container.users != Users::Host =>
        {
            Err(Error::Invalid(format!(
                "the mount at {} cannot be {}: what a container with a user namespace of its own mounts there would appear \
                 on the host (use rslave, or --userns=host)",
                wanted.target,
                shared.word()
            )))
        }
        _ => Ok(()),
    }
}

/// The mapping that a source of the host gets if nobody asks for another, and who was found there.
fn usual_ids(
    container: &Container,
    path: &str,
    around: &Surroundings<'_>,
) -> Result<(BindIds, Option<Seen>)> {
    let Some(own) = around.volumes.own else { return Ok((BindIds::Unmapped, None)) };
    let users = container.users.in_the_first_place();
    if matches!(users, Users::Host | Users::Lines(_)) {
        // IDs of the host that were given by name are what stands on disk.
        return Ok((BindIds::Unmapped, None));
    }
    let seen = look(path)?;
    let machine = match around.volumes.machine.get() {
        Some(machine) => machine,
        None => {
            let made = Machine::look(&Etc::system(), own, around.volumes.reserved.clone())?;
            around.volumes.machine.get_or_init(|| made)
        }
    };
    let shared = match users {
        Users::Shared(mappings) => {
            let first = |lines: &[IdMap]| lines.first().map(|line| line.outside);
            first(&mappings.uids).zip(first(&mappings.gids))
        }
        _ => None,
    };
    let (uids, gids) = users::binds::decide(machine, (seen.uid, seen.gid), shared, users.kept());
    Ok((BindIds::Stored { uids, gids }, Some(seen)))
}

/// Who is at `path`, or, if nothing is there yet, in the nearest folder above: to that it will belong.
fn look(path: &str) -> Result<Seen> {
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
    Ok(Seen { device: metadata.dev(), inode: metadata.ino(), uid: metadata.uid(), gid: metadata.gid() })
}

/// `:U` gives everything in a folder away: not one that the machine lives on.
fn refuse_to_give(path: &str) -> Result<()> {
    let real = std::fs::canonicalize(path)
        .doing(|| format!("find {path}, which is to be given to the container"))?;
    let parts: Vec<_> = real.iter().skip(1).map(|part| part.to_string_lossy()).collect();
    let system = match parts.first().map(|part| &**part) {
        None => true,
        Some(
            "bin" | "boot" | "dev" | "etc" | "lib" | "lib32" | "lib64" | "libx32" | "proc" | "sbin" | "sys"
            | "usr",
        ) => true,
        Some("var") => parts.len() < 3 || matches!(parts.get(1).map(|part| &**part), Some("run" | "spool")),
        Some(_) => parts.len() < 2,
    };
    if system {
        return Err(Error::Invalid(format!(
            "{} is the machine's own: it is not given to a container (:U)",
            real.display()
        )));
    }
    Ok(())
}

/// A file system in memory. Docker's `--tmpfs` is `noexec,nosuid,nodev` unless the opposite is asked for; a volume is not.
fn tmpfs(wanted: &Wanted, options: &[(String, String)], usual: Attributes, copy_up: bool) -> Result<Mount> {
    let mut attributes = Attributes { readonly: wanted.readonly, ..usual };
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
    // What is copied in brings a mode along.
    if !copy_up && !kept.iter().any(|(key, _)| key == "mode") {
        kept.push(("mode".into(), "1777".into()));
    }
    Ok(new(&wanted.target, Source::Tmpfs { options: kept, copy_up, of_host: false }, attributes))
}
