//! config.json (config.md): what a container is to be. Each subject has a file, with its types as they are written and
//! what becomes of them in a plan.

pub mod affinity;
mod delegation;
pub mod devices;
pub mod hooks;
pub mod linux;
pub mod mounts;
mod namespaces;
pub mod options;
pub mod process;
pub mod resources;
mod sysctls;

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use bulkhead_isolation::cgroups::Cgroup;
use bulkhead_isolation::namespaces::mnt::Propagation;
use bulkhead_isolation::rootfs::{Rootfs, Whole};
use bulkhead_isolation::{Hooks as ChildHooks, Plan};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result, text};

/// The file's name in a bundle.
pub const FILE: &str = "config.json";
/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;
/// The version of the specification that is followed.
pub const VERSION: &str = "1.2.1";

/// The file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// The version of the specification that it is written for.
    pub oci_version: String,
    /// The root file system.
    pub root: Option<Root>,
    /// What is mounted.
    pub mounts: Option<Vec<mounts::Mount>>,
    /// The program.
    pub process: Option<process::Process>,
    /// The host name.
    pub hostname: Option<String>,
    /// The NIS domain name.
    pub domainname: Option<String>,
    /// Programs that are run on the way.
    pub hooks: Option<hooks::Hooks>,
    /// What callers note.
    pub annotations: Option<BTreeMap<String, String>>,
    /// All that only Linux has.
    pub linux: Option<linux::Linux>,
}

/// The root file system.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Root {
    /// Its folder, as seen from the bundle.
    pub path: String,
    /// Whether it is read-only.
    pub readonly: Option<bool>,
}

/// A configuration that was checked, and what is needed to carry it out.
#[derive(Debug)]
pub struct Checked {
    /// The plan.
    pub plan: Plan,
    /// The descriptors that it refers to.
    pub handles: Vec<OwnedFd>,
    /// What was passed over, a sentence each.
    pub warnings: Vec<String>,
    /// The absolute path of the root file system.
    pub rootfs: String,
}

/// Reads JSON of a caller's; `name` is what it is called in errors.
///
/// # Errors
/// It cannot be read, is larger than 16 MiB, or something in it is not of the type that it must have: the error has the
/// place.
pub fn read<T: DeserializeOwned>(source: impl Read, name: &str) -> Result<T> {
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes).doing(|| format!("read {name}"))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::invalid(format!("{name} is larger than {} MiB", LARGEST >> 20)));
    }
    parse(&bytes, name)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Error::invalid(format!("{name}: {}: {}", error.path(), error.inner())))?;
    reader.end().map_err(|error| Error::invalid(format!("{name}: {error}")))?;
    Ok(value)
}

impl Spec {
    /// Reads a bundle's.
    ///
    /// # Errors
    /// As [`read`].
    pub fn load(bundle: &Path) -> Result<Spec> {
        let path = bundle.join(FILE);
        let file = match std::fs::File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::invalid(format!("JSON specification file {} not found", path.display())));
            }
            opened => opened.doing(|| format!("open {}", path.display()))?,
        };
        let spec: Spec = read(file, FILE)?;
        if !spec.oci_version.starts_with("1.") {
            return Err(Error::invalid(format!(
                "{FILE}: ociVersion: {:?} is none of the versions 1.x that this runtime follows",
                spec.oci_version
            )));
        }
        Ok(spec)
    }

    /// What it asks for of `linux`, all empty if it has no such part.
    pub(crate) fn linux(&self) -> linux::Linux {
        self.linux.clone().unwrap_or_default()
    }

    /// The plan for a container that is made from `bundle`, an absolute path, in the control group `group`.
    ///
    /// # Errors
    /// What it asks for contradicts itself, or cannot be done.
    pub fn check(&self, bundle: &Path, group: &str) -> Result<Checked> {
        let linux = self.linux();
        linux.refuse_what_cannot_be()?;
        let mut handles = Vec::new();
        let mut warnings = Vec::new();
        let namespaces = namespaces::namespaces(self, &linux, &mut handles)?;
        let root = self.root.as_ref().ok_or_else(|| Error::invalid(format!("{FILE}: root is missing")))?;
        let folder = bundle.join(&root.path);
        let folder = folder
            .canonicalize()
            .map_err(|error| Error::invalid(format!("invalid rootfs: {}: {error}", folder.display())))?;
        if !folder.is_dir() {
            return Err(Error::invalid(format!("rootfs ({}) is not a directory", folder.display())));
        }
        let rootfs = text(&folder)?;
        let described = self.process.as_ref();
        let described = described.ok_or_else(|| Error::invalid("process property must not be empty"))?;
        let process = described.plan(linux.seccomp.as_ref(), linux.personality.as_ref(), &mut warnings)?;
        let hooks = self.hooks.clone().unwrap_or_default();
        hooks.check()?;
        let delegate = delegation::owner(self, &namespaces);
        let plan = Plan {
            sysctls: sysctls::check(linux.sysctl.as_ref(), &namespaces)?,
            mounts: mounts::plan(self, &linux, bundle, &namespaces)?,
            namespaces,
            rootfs: Rootfs {
                layers: Vec::new(),
                writable: None,
                readonly: root.readonly.unwrap_or(false),
                whole: Some(Whole { path: rootfs.clone(), propagation: linux.rootfs_propagation()? }),
            },
            masked_paths: absolute(linux.masked_paths.as_ref(), "linux.maskedPaths")?,
            readonly_paths: absolute(linux.readonly_paths.as_ref(), "linux.readonlyPaths")?,
            cgroup: Cgroup {
                path: group.to_owned(),
                resources: linux.resources.clone().unwrap_or_default().plan(true, &mut warnings)?,
                delegate,
            },
            process,
            hooks: hooks.any_before_start().then(|| ChildHooks {
                before_pivot: hooks.create_container(),
                before_program: hooks.start_container(),
            }),
            hold: None,
        };
        Ok(Checked { plan, handles, warnings, rootfs })
    }
}

fn absolute(paths: Option<&Vec<String>>, name: &str) -> Result<Vec<String>> {
    let paths = paths.cloned().unwrap_or_default();
    match paths.iter().find(|path| !path.starts_with('/')) {
        Some(path) => Err(Error::invalid(format!("{FILE}: {name}: {path:?} is not an absolute path"))),
        None => Ok(paths),
    }
}

/// A mount's or the root's propagation, by its word.
pub(crate) fn propagation(word: &str) -> Option<Propagation> {
    match word {
        "unbindable" => Some(Propagation::Unbindable),
        "runbindable" => Some(Propagation::RecursiveUnbindable),
        usual => Propagation::named(usual),
    }
}

#[cfg(test)]
mod tests {
    use super::{Spec, parse};
    use proptest::prelude::*;

    fn error(json: &str) -> String {
        parse::<Spec>(json.as_bytes(), "config.json").unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_type_is_told_with_its_place() {
        let told = error(r#"{"ociVersion":"1.2.0","linux":{"resources":{"cpu":{"shares":-1}}}}"#);
        assert!(
            told.starts_with("config.json: linux.resources.cpu.shares: invalid value: integer `-1`"),
            "{told}"
        );
        let told = error(r#"{"ociVersion":"1.2.0","mounts":[{"destination":"/a"},{"destination":7}]}"#);
        assert!(told.starts_with("config.json: mounts[1].destination: invalid type"), "{told}");
        assert!(error("{}").contains("missing field `ociVersion`"));
        assert!(error(r#"{"ociVersion":"1.2.0"} x"#).contains("trailing"));
    }

    #[test]
    fn unknown_properties_and_nulls_are_passed_over() {
        let json =
            r#"{"ociVersion":"1.2.0","mounts":null,"windows":{"x":1},"linux":{"new":[],"devices":null}}"#;
        let spec: Spec = parse(json.as_bytes(), "config.json").unwrap();
        assert!(spec.mounts.is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse::<Spec>(&bytes, "config.json");
        }
    }
}
