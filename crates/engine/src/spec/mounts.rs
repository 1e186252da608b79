//! All that is mounted in a container, in order: the kernel's file systems, /dev, the engine's own files, and
//! what the user wants.

use std::path::Path;

use bollard_stubs::models::HostConfig;
use bulkhead_isolation::mounts::bind::{Bind, BindIds};
use bulkhead_isolation::mounts::{Attributes, Mount, Source};

use super::binds::{self, Wanted};
use super::namespaces::{Mode, Modes};
use super::security::Security;
use super::{Surroundings, text};
use crate::error::{Error, Result};
use crate::store::containers::Container;

/// Docker's default size of /dev/shm.
const SHM_SIZE: i64 = 64 * 1024 * 1024;

pub(crate) fn plan(
    container: &Container,
    host: &HostConfig,
    around: &Surroundings<'_>,
    security: &Security,
) -> Result<Vec<Mount>> {
    let wanted = binds::read(&container.config)?;
    let mut all = kernel_s(host, around, security)?;
    all.extend(own_files(&around.files, host.readonly_rootfs.unwrap_or(false))?);
    if host.init == Some(true) {
        all.push(engine_file(around.init, "/sbin/docker-init", true)?);
    }
    // What the user mounts takes the place of what would have been there.
    all.retain(|mount| !wanted.iter().any(|wanted| wanted.target == mount.target));
    for wanted in &wanted {
        all.push(mount(wanted, around)?);
    }
    Ok(all)
}

fn new(target: &str, source: Source, attributes: Attributes) -> Mount {
    Mount { target: target.into(), source, attributes }
}

fn kernel_s(host: &HostConfig, around: &Surroundings<'_>, security: &Security) -> Result<Vec<Mount>> {
    let inert = Attributes::INERT;
    let devices = Attributes { noexec: true, nosuid: true, ..Attributes::default() };
    // A privileged container administers the machine: it may write to /sys and its groups.
    let system = if security.privileged { inert } else { inert.readonly() };
    let modes = Modes::of(host)?;
    let mut all = vec![
        new("/proc", Source::Proc, inert),
        new("/dev", Source::Devices(security.devices.clone()), Attributes::default()),
        new("/dev/pts", Source::Devpts, devices),
        new("/sys", Source::Sysfs, system),
        new("/sys/fs/cgroup", Source::Cgroup, system),
        new("/dev/mqueue", Source::Mqueue, inert),
    ];
    let shm = "/dev/shm";
    match modes.ipc {
        Mode::Host => all.push(new(shm, bind("/dev/shm", true), inert)),
        Mode::Container(_) => {
            let namespace = around.joined.ipc_mounts.ok_or_else(|| {
                Error::Invalid("the container whose IPC is to be joined is not running".into())
            })?;
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

fn bind(path: &str, recursive: bool) -> Source {
    Source::Bind(Bind { path: path.into(), recursive, ids: BindIds::Unmapped, fill: false })
}

/// A file of the engine's for the container: its IDs are container IDs.
fn engine_file(path: &Path, target: &str, readonly: bool) -> Result<Mount> {
    let source =
        Source::Bind(Bind { path: text(path)?, recursive: false, ids: BindIds::Container, fill: false });
    Ok(new(target, source, Attributes { readonly, ..Attributes::default() }))
}

fn own_files(folder: &Path, readonly: bool) -> Result<Vec<Mount>> {
    ["resolv.conf", "hostname", "hosts"]
        .iter()
        .map(|name| engine_file(&folder.join(name), &format!("/etc/{name}"), readonly))
        .collect()
}

fn mount(wanted: &Wanted, around: &Surroundings<'_>) -> Result<Mount> {
    let attributes =
        Attributes { readonly: wanted.readonly, propagation: wanted.propagation, ..Attributes::default() };
    Ok(match &wanted.source {
        binds::Source::Bind { path, recursive, .. } => {
            new(&wanted.target, bind(path, *recursive), attributes)
        }
        binds::Source::Volume { name, copy, .. } => {
            let path = text(&around.roots.volume(name))?;
            let bind = Bind { path, recursive: false, ids: BindIds::Container, fill: *copy };
            new(&wanted.target, Source::Bind(bind), attributes)
        }
        binds::Source::Tmpfs { options } => tmpfs(wanted, options)?,
    })
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
