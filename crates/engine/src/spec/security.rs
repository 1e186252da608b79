//! `--privileged`, `--cap-add`, `--cap-drop`, `--security-opt`, `--device`, `--device-cgroup-rule`, masked paths.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use bollard_stubs::models::{DeviceMapping, HostConfig};
use bulkhead_isolation::capabilities::{Set, bounding_set};
use bulkhead_isolation::cgroups::devices::{Access, Kind, Rule, standard};
use bulkhead_isolation::devices::{Device, NodeKind};

use crate::error::{Doing, Error, Result};

/// Parts of /proc and /sys that tell of the whole machine, or of what it does (Docker's list).
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
/// Parts of /proc through which the machine is changed.
const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A container's security settings.
#[derive(Clone, Debug)]
pub(crate) struct Security {
    pub(crate) privileged: bool,
    pub(crate) capabilities: Set,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Seccomp,
    pub(crate) devices: Vec<Device>,
    pub(crate) device_rules: Vec<Rule>,
    pub(crate) masked_paths: Vec<String>,
    pub(crate) readonly_paths: Vec<String>,
}

/// Which system call filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seccomp {
    Default,
    Unconfined,
    /// A profile's JSON.
    Profile(String),
}

pub(crate) fn plan(host: &HostConfig) -> Result<Security> {
    let privileged = host.privileged.unwrap_or(false);
    let mut security = Security {
        privileged,
        capabilities: capabilities(host, privileged)?,
        no_new_privileges: false,
        seccomp: if privileged { Seccomp::Unconfined } else { Seccomp::Default },
        devices: Vec::new(),
        device_rules: if privileged { Vec::new() } else { standard() },
        masked_paths: Vec::new(),
        readonly_paths: Vec::new(),
    };
    if !privileged {
        let or = |given: &Option<Vec<String>>, usual: &[&str]| {
            given.clone().unwrap_or_else(|| usual.iter().map(|path| (*path).to_owned()).collect())
        };
        security.masked_paths = or(&host.masked_paths, &MASKED);
        security.readonly_paths = or(&host.readonly_paths, &READONLY);
    }
    for option in host.security_opt.iter().flatten() {
        apply(option, &mut security)?;
    }
    Ok(security)
}

/// Looks at the devices that the container is given, on the host as it is now.
pub(crate) fn gather_devices(host: &HostConfig, security: &mut Security) -> Result<()> {
    if security.privileged {
        security.devices = all_devices()?;
    }
    for mapping in host.devices.iter().flatten() {
        map_device(mapping, security)?;
    }
    for text in host.device_cgroup_rules.iter().flatten() {
        security.device_rules.push(device_rule(text)?);
    }
    Ok(())
}

/// One `--security-opt`: `KEY=VALUE`, or with a colon as old clients write it.
fn apply(option: &str, security: &mut Security) -> Result<()> {
    let (key, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    match (key, value) {
        ("no-new-privileges", "" | "true") => security.no_new_privileges = true,
        ("no-new-privileges", "false") => security.no_new_privileges = false,
        ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
        ("seccomp", "builtin") => security.seccomp = Seccomp::Default,
        // The client has read the file already.
        ("seccomp", profile) => security.seccomp = Seccomp::Profile(profile.to_owned()),
        ("systempaths", "unconfined") => {
            security.masked_paths.clear();
            security.readonly_paths.clear();
        }
        ("apparmor", "unconfined") | ("label", "disable") => {}
        ("apparmor", _) if !Path::new("/sys/kernel/security/apparmor").exists() => {
            return Err(Error::Invalid("invalid --security-opt: this machine has no AppArmor".into()));
        }
        ("apparmor" | "label", _) => {
            return Err(Error::Invalid(format!(
                "this version of bulkhead does not support --security-opt {option}"
            )));
        }
        _ => return Err(Error::Invalid(format!("invalid --security-opt: {option:?}"))),
    }
    Ok(())
}

fn capabilities(host: &HostConfig, privileged: bool) -> Result<Set> {
    let own = bounding_set();
    let named = |name: &String| -> Result<Set> {
        if name.eq_ignore_ascii_case("all") {
            return Ok(own);
        }
        Set::named(name)
            .ok_or_else(|| Error::Invalid(format!("invalid capability: unknown capability {name:?}")))
    };
    let mut set = if privileged { own } else { Set::DEFAULT };
    let list = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
    let (add, drop) = (list(&host.cap_add), list(&host.cap_drop));
    let all = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case("all"));
    // As Docker: "all" sets the ground on either side, and single names then correct it.
    if all(&drop) {
        set = Set::NONE;
    }
    for name in &add {
        set = set.with(named(name)?);
    }
    for name in drop.iter().filter(|name| !name.eq_ignore_ascii_case("all")) {
        set = set.without(named(name)?);
    }
    for name in &add {
        let one = named(name)?;
        if !own.has(one) {
            return Err(Error::Invalid(format!(
                "cannot give the capability {name}: this engine itself does not have it"
            )));
        }
    }
    // Of the usual ones, an engine that runs in a container itself can give only what it has.
    Ok(set.and(own))
}

/// Whether the container's root may mount, and so take the read-only flag off a mount of its own.
pub(crate) fn may_mount(host: &HostConfig) -> bool {
    let given = host.cap_add.iter().flatten();
    host.privileged == Some(true)
        || given
            .map(|name| name.to_ascii_uppercase())
            .any(|name| matches!(name.trim_start_matches("CAP_"), "ALL" | "SYS_ADMIN"))
}

fn map_device(mapping: &DeviceMapping, security: &mut Security) -> Result<()> {
    let path = mapping.path_on_host.as_deref().unwrap_or("");
    let inside = mapping.path_in_container.as_deref().filter(|path| !path.is_empty()).unwrap_or(path);
    let letters = mapping.cgroup_permissions.as_deref().filter(|text| !text.is_empty()).unwrap_or("rwm");
    let access =
        Access::parse(letters).ok_or_else(|| Error::Invalid(format!("invalid device mode: {letters}")))?;
    let metadata = std::fs::metadata(path)
        .doing(|| format!("gather device information while creating the container: look at {path}"))?;
    if metadata.is_dir() {
        let mut found = Vec::new();
        walk(Path::new(path), Path::new(inside), &mut found)?;
        if found.is_empty() {
            return Err(Error::Invalid(format!("{path} holds no devices")));
        }
        for device in found {
            allow(device, access, security);
        }
        return Ok(());
    }
    let device = device(&metadata, inside).ok_or_else(|| {
        Error::Invalid(format!("error gathering device information: {path} is not a device node"))
    })?;
    allow(device, access, security);
    Ok(())
}

fn allow(device: Device, access: Access, security: &mut Security) {
    let kind = if device.kind == NodeKind::Block { Kind::Block } else { Kind::Character };
    if !security.privileged {
        security.device_rules.push(Rule::allow(kind, Some(device.major), Some(device.minor), access));
    }
    security.devices.retain(|other| other.path != device.path);
    security.devices.push(device);
}

fn device(metadata: &std::fs::Metadata, path: &str) -> Option<Device> {
    let kind = metadata.file_type();
    if !kind.is_block_device() && !kind.is_char_device() {
        return None;
    }
    Some(Device {
        path: path.to_owned(),
        kind: if kind.is_block_device() { NodeKind::Block } else { NodeKind::Character },
        major: rustix::fs::major(metadata.rdev()),
        minor: rustix::fs::minor(metadata.rdev()),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        of_host: false,
    })
}

/// All device nodes of the host, for a privileged container; terminals and shared memory are its own.
fn all_devices() -> Result<Vec<Device>> {
    let mut found = Vec::new();
    walk(Path::new("/dev"), Path::new("/dev"), &mut found)?;
    // Nobody asked for these by name: their owner stays who it is, so that in a user namespace of its own a
    // container can open what everybody may.
    for device in &mut found {
        device.of_host = true;
    }
    Ok(found)
}

fn walk(folder: &Path, inside: &Path, found: &mut Vec<Device>) -> Result<()> {
    let entries = std::fs::read_dir(folder).doing(|| format!("list {}", folder.display()))?;
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let skipped = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", "console", "ptmx"];
        if skipped.iter().any(|skipped| name == *skipped) {
            continue;
        }
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        let inside = inside.join(&name);
        if metadata.is_dir() {
            walk(&path, &inside, found)?;
        } else if let Some(device) = inside.to_str().and_then(|inside| device(&metadata, inside)) {
            found.push(device);
        }
    }
    Ok(())
}

/// `c 1:3 rwm`, as the control group's file takes it.
fn device_rule(text: &str) -> Result<Rule> {
    let bad =
        || Error::Invalid(format!("invalid device cgroup format: {text:?}: write for example 'c 13:* rmw'"));
    let mut parts = text.split_whitespace();
    let kind = match parts.next() {
        Some("a") => Kind::All,
        Some("c") => Kind::Character,
        Some("b") => Kind::Block,
        _ => return Err(bad()),
    };
    let (major, minor) = parts.next().and_then(|numbers| numbers.split_once(':')).ok_or_else(bad)?;
    let number = |text: &str| match text {
        "*" => Ok(None),
        text => text.parse::<u32>().map(Some).map_err(|_| bad()),
    };
    let access = parts.next().and_then(Access::parse).ok_or_else(bad)?;
    if parts.next().is_some() {
        return Err(bad());
    }
    Ok(Rule::allow(kind, number(major)?, number(minor)?, access))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(add: &[&str], drop: &[&str]) -> Set {
        let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        capabilities(&HostConfig { cap_add: list(add), cap_drop: list(drop), ..HostConfig::default() }, false)
            .unwrap()
    }

    #[test]
    fn capabilities_are_added_and_dropped_as_docker_does() {
        let own = bounding_set();
        let net_raw = Set::named("NET_RAW").unwrap();
        assert_eq!(set(&[], &[]), Set::DEFAULT.and(own));
        assert_eq!(set(&[], &["net_raw"]), Set::DEFAULT.without(net_raw).and(own));
        assert_eq!(set(&["CAP_NET_RAW"], &["ALL"]), net_raw.and(own));
        assert_eq!(set(&["ALL"], &["NET_RAW"]), own.without(net_raw));
    }

    #[test]
    fn device_rules_are_read_or_refused() {
        assert_eq!(device_rule("c 13:* rw").unwrap().minor, None);
        for bad in ["", "c", "c 1", "x 1:1 r", "c 1:1 q", "c a:1 r", "c 1:1 r extra"] {
            assert!(device_rule(bad).is_err(), "{bad}");
        }
    }
}
