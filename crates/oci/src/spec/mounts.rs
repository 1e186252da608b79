//! `mounts` (config.md, "Mounts"; config-linux.md for ID mappings).

use std::path::Path;

use bulkhead_isolation::devices::Device;
use bulkhead_isolation::mounts::bind::Bind;
use bulkhead_isolation::mounts::ids::{BindIds, Inside, Line};
use bulkhead_isolation::mounts::{Attributes, Mount as Planned, Source};
use bulkhead_isolation::namespaces::Namespaces;
use bulkhead_isolation::namespaces::user::IdMap;
use serde::{Deserialize, Serialize};

use super::linux::{Linux, Mapping, lines};
use super::options::Options;
use super::{FILE, Spec, devices};
use crate::error::{Error, Result, text};

/// One mount.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Where.
    pub destination: String,
    /// The kind of file system.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// What; for a bind a path, as seen from the bundle.
    pub source: Option<String>,
    /// How.
    pub options: Option<Vec<String>>,
    /// Which users on disk are which outside of the container.
    pub uid_mappings: Option<Vec<Mapping>>,
    /// The same of groups.
    pub gid_mappings: Option<Vec<Mapping>>,
}

pub(super) fn plan(
    spec: &Spec,
    linux: &Linux,
    bundle: &Path,
    namespaces: &Namespaces,
) -> Result<Vec<Planned>> {
    let nodes = devices::nodes(linux.devices.as_ref())?;
    let (nodes, elsewhere): (Vec<Device>, Vec<Device>) =
        nodes.into_iter().partition(|node| node.path.starts_with("/dev/"));
    let mut planned = Vec::new();
    let mut has_dev = false;
    for (index, mount) in spec.mounts.iter().flatten().enumerate() {
        let named = |error: Error| match error {
            Error::Unsupported(what) => {
                Error::Unsupported(format!("mounts[{index}] ({}): {what}", mount.destination))
            }
            other => Error::invalid(format!("{FILE}: mounts[{index}] ({}): {other}", mount.destination)),
        };
        let (source, attributes) = mount.source(linux, bundle, namespaces, &nodes).map_err(named)?;
        // A path that is not absolute is meant from the root, as it always was.
        let target = format!("/{}", mount.destination.trim_start_matches('/'));
        let at_dev = target.trim_end_matches('/') == "/dev";
        has_dev |= at_dev && matches!(source, Source::Devices { .. } | Source::Bind(_));
        planned.push(Planned { target, source, attributes });
    }
    if !has_dev {
        return Err(Error::unsupported("a container without a tmpfs (or a bind) at /dev"));
    }
    planned.extend(elsewhere.into_iter().map(|node| Planned {
        target: node.path.clone(),
        source: Source::Node(node),
        attributes: Attributes::default(),
    }));
    Ok(planned)
}

impl Mount {
    fn source(
        &self,
        linux: &Linux,
        bundle: &Path,
        namespaces: &Namespaces,
        nodes: &[Device],
    ) -> Result<(Source, Attributes)> {
        let mut options = Options::parse(self.options.as_deref().unwrap_or_default())?;
        let kind = self.kind.as_deref().unwrap_or_default();
        if options.remount {
            return self.remount(options);
        }
        if kind == "bind" || kind == "none" && options.bind.is_none() || options.bind.is_some() {
            return self.bind(&options, linux, bundle, namespaces);
        }
        if self.is_mapped() || options.idmap.is_some() {
            return Err(Error::unsupported("an ID-mapped mount that is not a bind"));
        }
        // A new file system has nothing below it.
        let attributes = options.attributes;
        let attributes = Attributes {
            further: attributes.further | attributes.recursive.0,
            recursive: (0, 0),
            ..attributes
        };
        if options.copy_up && kind != "tmpfs" {
            return Err(Error::invalid("tmpcopyup is for tmpfs only"));
        }
        let label = linux.mount_label.clone().filter(|label| !label.is_empty());
        let at_dev = kind == "tmpfs" && self.destination.trim_matches('/') == "dev";
        if !at_dev && !matches!(kind, "proc" | "sysfs" | "cgroup" | "cgroup2") {
            options.data.extend(label.iter().map(|label| ("context".to_owned(), label.clone())));
        }
        let source = match kind {
            "" => return Err(Error::invalid("it has neither a type nor the option bind")),
            "tmpfs" if at_dev => {
                usual_dev(&options)?;
                Source::Devices { nodes: nodes.to_vec(), label: label.clone() }
            }
            "tmpfs" => Source::Tmpfs { options: options.data, copy_up: options.copy_up, of_host: false },
            "cgroup" | "cgroup2" if options.data.is_empty() => Source::Cgroup,
            "cgroup" | "cgroup2" => return Err(Error::unsupported("options of a control group file system")),
            "proc" if options.data.is_empty() => Source::Proc,
            "sysfs" if options.data.is_empty() => Source::Sysfs,
            "mqueue" if options.data.is_empty() => Source::Mqueue,
            other => Source::Other {
                kind: other.to_owned(),
                device: self.source.clone().filter(|source| !source.is_empty() && source != other),
                options: options.data,
            },
        };
        Ok((source, attributes))
    }

    fn remount(&self, options: Options) -> Result<(Source, Attributes)> {
        if let Some((key, _)) = options.data.first() {
            return Err(Error::unsupported(format!("the option {key} of a remount")));
        }
        if self.is_mapped() || options.idmap.is_some() || options.copy_up {
            return Err(Error::invalid("a remount changes attributes alone"));
        }
        Ok((Source::Remount { clear: options.cleared }, options.attributes))
    }

    fn is_mapped(&self) -> bool {
        [&self.uid_mappings, &self.gid_mappings]
            .into_iter()
            .any(|all| all.as_ref().is_some_and(|all| !all.is_empty()))
    }

    fn bind(
        &self,
        options: &Options,
        linux: &Linux,
        bundle: &Path,
        namespaces: &Namespaces,
    ) -> Result<(Source, Attributes)> {
        let source = self.source.as_deref().filter(|source| !source.is_empty());
        let source = source.ok_or_else(|| Error::invalid("a bind needs a source"))?;
        if options.copy_up {
            return Err(Error::invalid("tmpcopyup is for tmpfs only"));
        }
        if let Some((key, _)) = options.data.first() {
            return Err(Error::unsupported(format!("the option {key} of a bind")));
        }
        let mut bind =
            Bind::of(text(&bundle.join(source))?, options.bind.unwrap_or(false), BindIds::Unmapped);
        bind.shallow = true;
        if self.is_mapped() || options.idmap.is_some() {
            let mapped = |own: Option<&Vec<Mapping>>, container: Vec<IdMap>| -> Result<Vec<Line>> {
                let all = if self.is_mapped() { lines(own) } else { container };
                if all.is_empty() {
                    return Err(Error::invalid("an ID-mapped mount needs uidMappings and gidMappings"));
                }
                Ok(all
                    .iter()
                    .map(|map| Line { disk: map.inside, inside: Inside::Host(map.outside), count: map.count })
                    .collect())
            };
            let container = namespaces.user.mappings().cloned().unwrap_or_else(|| linux.mappings());
            bind.ids = BindIds::Lines {
                uids: mapped(self.uid_mappings.as_ref(), container.uids)?,
                gids: mapped(self.gid_mappings.as_ref(), container.gids)?,
            };
            bind.exact = Some(options.idmap.unwrap_or(false));
        }
        Ok((Source::Bind(bind), options.attributes))
    }
}

/// /dev is made as every container has it; what would make it another is refused.
fn usual_dev(options: &Options) -> Result<()> {
    for (key, value) in &options.data {
        let usual = match key.as_str() {
            "mode" => matches!(value.as_str(), "755" | "0755"),
            "size" => matches!(value.as_str(), "65536k" | "64m" | "67108864"),
            _ => false,
        };
        if !usual {
            return Err(Error::unsupported(format!("the option {key}={value} of the tmpfs at /dev")));
        }
    }
    if options.attributes.readonly {
        return Err(Error::unsupported("a read-only /dev"));
    }
    Ok(())
}
