//! `linux` (config-linux.md): its parts, of which most have files of their own, and what is refused.

use std::collections::BTreeMap;

use bulkhead_isolation::labels;
use bulkhead_isolation::namespaces::mnt::Propagation;
use bulkhead_isolation::namespaces::user::{IdMap, IdMappings};
use bulkhead_isolation::seccomp::Seccomp;
use serde::{Deserialize, Serialize};

use super::FILE;
use super::devices::Device;
use super::process::Personality;
use super::resources::Resources;
use crate::error::{Error, Result};

/// The object.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Linux {
    /// Which namespaces are new or joined.
    pub namespaces: Option<Vec<Namespace>>,
    /// The user namespace's users.
    pub uid_mappings: Option<Vec<Mapping>>,
    /// The same of groups.
    pub gid_mappings: Option<Vec<Mapping>>,
    /// Offsets of a new time namespace's clocks, by their names.
    pub time_offsets: Option<BTreeMap<String, Offset>>,
    /// Devices beside the standard ones.
    pub devices: Option<Vec<Device>>,
    /// The control group's path.
    pub cgroups_path: Option<String>,
    /// Its limits.
    pub resources: Option<Resources>,
    /// Kernel parameters.
    pub sysctl: Option<BTreeMap<String, String>>,
    /// The system call filter.
    pub seccomp: Option<Seccomp>,
    /// How mounts travel between the root file system and the host.
    pub rootfs_propagation: Option<String>,
    /// Paths that are covered.
    pub masked_paths: Option<Vec<String>>,
    /// Paths that are made read-only.
    pub readonly_paths: Option<Vec<String>>,
    /// The SELinux label of mounts.
    pub mount_label: Option<String>,
    /// The execution domain.
    pub personality: Option<Personality>,
    /// Cache and memory bandwidth.
    pub intel_rdt: Option<serde_json::Value>,
    /// Network devices to be moved.
    pub net_devices: Option<serde_json::Map<String, serde_json::Value>>,
    /// Where memory is taken from.
    pub memory_policy: Option<serde_json::Value>,
}

/// One namespace.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Namespace {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// The one to join; a new one if not given.
    pub path: Option<String>,
}

/// A line of a mapping.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mapping {
    /// First ID in the container.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// First ID outside.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// A clock's offset.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Offset {
    /// Seconds.
    pub secs: Option<i64>,
    /// And nanoseconds.
    pub nanosecs: Option<u32>,
}

/// Lines of a mapping as the core has them.
pub(crate) fn lines(mappings: Option<&Vec<Mapping>>) -> Vec<IdMap> {
    let line = |m: &Mapping| IdMap { inside: m.container_id, outside: m.host_id, count: m.size };
    mappings.into_iter().flatten().map(line).collect()
}

impl Linux {
    /// The user namespace's mapping as it is written.
    pub(crate) fn mappings(&self) -> IdMappings {
        IdMappings { uids: lines(self.uid_mappings.as_ref()), gids: lines(self.gid_mappings.as_ref()) }
    }

    pub(crate) fn rootfs_propagation(&self) -> Result<Propagation> {
        match self.rootfs_propagation.as_deref() {
            None | Some("") => Ok(Propagation::RecursivePrivate),
            Some(word) => super::propagation(word).ok_or_else(|| {
                Error::invalid(format!("{FILE}: linux.rootfsPropagation: {word:?} is no propagation"))
            }),
        }
    }

    pub(crate) fn refuse_what_cannot_be(&self) -> Result<()> {
        let refuse = |given: bool, name: &str| {
            if given { Err(Error::unsupported(format!("linux.{name}"))) } else { Ok(()) }
        };
        if self.mount_label.as_deref().is_some_and(|label| !label.is_empty()) && !labels::has_selinux() {
            return Err(Error::absent("linux.mountLabel", "SELinux"));
        }
        refuse(self.intel_rdt.as_ref().is_some_and(|value| !value.is_null()), "intelRdt")?;
        refuse(self.net_devices.as_ref().is_some_and(|devices| !devices.is_empty()), "netDevices")?;
        refuse(self.memory_policy.as_ref().is_some_and(|value| !value.is_null()), "memoryPolicy")
    }
}
