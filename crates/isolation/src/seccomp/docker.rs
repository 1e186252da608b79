//! A filter in the form of Docker's profile files (`--security-opt seccomp=FILE`).
//!
//! It is the OCI form with two things more: `archMap` (which tables belong to which machine), and on each
//! rule `includes` and `excludes`, by which one file serves every container: rules that hold only with
//! certain capabilities, on certain machines, or from a kernel version on. Resolving it for one container
//! leaves the OCI form.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::SeccompError;
use super::arch::Arch;
use super::profile::{Rule, Seccomp, nullable};
use super::rules::check;
use super::words::{Action, Architecture, Flag};

/// A profile file. Every OCI `linux.seccomp` object is one too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerProfile {
    /// For calls that no rule is about.
    pub default_action: Action,
    /// The error number of `default_action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// The tables whose calls may be made at all; or else `arch_map`.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<Architecture>,
    /// The tables of each machine.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub arch_map: Vec<ArchMap>,
    /// How it is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<Flag>>,
    /// The socket to send the notification descriptor to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<String>,
    /// What is sent along with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// The rules.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<DockerRule>,
}

/// A machine's own table, and those of the programs that it runs besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchMap {
    /// Its own.
    pub architecture: Architecture,
    /// The others.
    #[serde(default, deserialize_with = "nullable")]
    pub sub_architectures: Vec<Architecture>,
}

/// A rule that holds for some containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerRule {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// The one call that it is about: the form of old files, instead of `names`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// It holds only where all of this is so.
    #[serde(default, deserialize_with = "nullable")]
    pub includes: Filter,
    /// It does not hold where any of this is so.
    #[serde(default, deserialize_with = "nullable")]
    pub excludes: Filter,
}

/// Conditions on a container and its host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// Capabilities that the container has (`CAP_SYS_ADMIN`).
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<String>,
    /// Machines, by Go's names (`amd64`).
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub arches: Vec<String>,
    /// The kernel is this one (`4.8`) or a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_kernel: Option<String>,
}

impl DockerProfile {
    /// The filter of a container that has these capabilities (its bounding set; with or without `CAP_`), on
    /// such a machine with this kernel (major, minor).
    ///
    /// # Errors
    /// [`SeccompError::Value`] with the place in this file. Rules that do not hold here are checked as well,
    /// so that a file is right or wrong whoever uses it.
    pub fn resolve<S: AsRef<str>>(
        &self,
        capabilities: &[S],
        arch: Arch,
        kernel: (u32, u32),
    ) -> Result<Seccomp, SeccompError> {
        let mut resolved = Seccomp {
            default_action: self.default_action.clone(),
            default_errno_ret: self.default_errno_ret,
            architectures: self.tables(arch)?,
            flags: self.flags.clone(),
            listener_path: self.listener_path.clone(),
            listener_metadata: self.listener_metadata.clone(),
            syscalls: Vec::with_capacity(self.syscalls.len()),
        };
        for (at, rule) in self.syscalls.iter().enumerate() {
            let included =
                rule.includes.all(capabilities, arch, kernel, || format!("syscalls[{at}].includes"))?;
            let excluded =
                rule.excludes.any(capabilities, arch, kernel, || format!("syscalls[{at}].excludes"))?;
            let named = rule.named(at)?;
            check(&named, at)?;
            if included && !excluded {
                resolved.syscalls.push(named);
            }
        }
        Ok(resolved)
    }

    fn tables(&self, arch: Arch) -> Result<Vec<Architecture>, SeccompError> {
        if self.arch_map.is_empty() {
            return Ok(self.architectures.clone());
        }
        if !self.architectures.is_empty() {
            let expected = "only one of architectures and archMap can be given";
            return Err(SeccompError::value("archMap", "given beside architectures", expected));
        }
        let own = arch.abis().first().map(|abi| abi.architecture());
        let mut tables = Vec::new();
        for (at, entry) in self.arch_map.iter().enumerate() {
            let subs = entry.sub_architectures.iter().enumerate();
            let places = subs.map(|(sub, word)| (format!("archMap[{at}].subArchitectures[{sub}]"), word));
            for (path, word) in
                std::iter::once((format!("archMap[{at}].architecture"), &entry.architecture)).chain(places)
            {
                if let Architecture::Other(word) = word {
                    let expected = format!("it must be one of {}", Architecture::WORDS.join(", "));
                    return Err(SeccompError::value(path, word, expected));
                }
            }
            if Some(&entry.architecture) == own.as_ref() {
                tables.push(entry.architecture.clone());
                tables.extend(entry.sub_architectures.iter().cloned());
            }
        }
        Ok(tables)
    }
}

impl DockerRule {
    fn named(&self, at: usize) -> Result<Rule, SeccompError> {
        let mut rule = self.rule.clone();
        if let Some(name) = self.name.as_ref().filter(|name| !name.is_empty()) {
            if !rule.names.is_empty() {
                let expected = "only one of name and names can be given";
                return Err(SeccompError::value(
                    format!("syscalls[{at}].name"),
                    "given beside names",
                    expected,
                ));
            }
            rule.names.push(Cow::Owned(name.clone()));
        }
        Ok(rule)
    }
}

impl Filter {
    fn all<S: AsRef<str>>(
        &self,
        capabilities: &[S],
        arch: Arch,
        kernel: (u32, u32),
        path: impl Fn() -> String,
    ) -> Result<bool, SeccompError> {
        let caps = self.caps.iter().all(|cap| holds(capabilities, cap));
        let arches = self.arches.is_empty() || self.arches.iter().any(|name| name == arch.docker_name());
        let recent = self.version(path)?.is_none_or(|version| kernel >= version);
        Ok(caps && arches && recent)
    }

    fn any<S: AsRef<str>>(
        &self,
        capabilities: &[S],
        arch: Arch,
        kernel: (u32, u32),
        path: impl Fn() -> String,
    ) -> Result<bool, SeccompError> {
        let caps = self.caps.iter().any(|cap| holds(capabilities, cap));
        let arches = self.arches.iter().any(|name| name == arch.docker_name());
        let recent = self.version(path)?.is_some_and(|version| kernel >= version);
        Ok(caps || arches || recent)
    }

    fn version(&self, path: impl Fn() -> String) -> Result<Option<(u32, u32)>, SeccompError> {
        let Some(text) = self.min_kernel.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let parts = text.split_once('.').and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
        parts.map(Some).ok_or_else(|| {
            let expected = "a kernel version is two numbers, as in 4.8";
            SeccompError::value(format!("{}.minKernel", path()), format!("{text:?}"), expected)
        })
    }
}

fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Whether a set, given by names, has a capability, whatever prefix and case the names have.
pub(super) fn holds<S: AsRef<str>>(capabilities: &[S], wanted: &str) -> bool {
    let bare = |name: &str| match name.get(..4) {
        Some(prefix) if prefix.eq_ignore_ascii_case("CAP_") => 4,
        _ => 0,
    };
    let wanted = wanted.get(bare(wanted)..).unwrap_or_default();
    capabilities
        .iter()
        .map(AsRef::as_ref)
        .any(|held| held.get(bare(held)..).is_some_and(|held| held.eq_ignore_ascii_case(wanted)))
}
