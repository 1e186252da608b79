//! `-v`, `--mount` and images' volumes, as one list of what is mounted where.

use std::collections::BTreeMap;

use bollard_stubs::models::{ContainerCreateBody, Mount, MountBindOptionsPropagationEnum, MountType};
use bulkhead_isolation::namespaces::mnt::Propagation;

use crate::error::{Error, Result};
use crate::id;
use crate::spec::mount_ids::{self, Ids, Mapping};
use crate::spec::volume_options;

/// One thing to be mounted at the user's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// An absolute path in the container.
    pub target: String,
    /// What.
    pub source: Source,
    /// No writing.
    pub readonly: bool,
    /// Mount propagation of a bind.
    pub propagation: Option<Propagation>,
    /// Which IDs on disk are which inside.
    pub ids: Ids,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A path of the host.
    Bind {
        /// Absolute.
        path: String,
        /// Whether a missing one is made as a folder (`-v`) or refused (`--mount`).
        create: bool,
        /// Whether what is mounted below it comes along.
        recursive: bool,
    },
    /// A named volume.
    Volume {
        /// Its name.
        name: String,
        /// Whether it was made up for this container.
        anonymous: bool,
        /// Whether an empty one is filled with what the image has there.
        copy: bool,
        /// Its labels, should it be made.
        labels: BTreeMap<String, String>,
        /// The driver's options, should it be made.
        options: BTreeMap<String, String>,
    },
    /// The files of an image, read-only.
    Image {
        /// Its ID, or what it is asked for as.
        id: String,
    },
    /// A file system in memory.
    Tmpfs {
        /// Options as tmpfs(5) has them, and mount flags.
        options: Vec<(String, String)>,
    },
}

/// Reads all that the request wants mounted; anonymous volumes get their names here.
///
/// # Errors
/// What cannot be read, and two mounts at one place.
pub fn read(config: &ContainerCreateBody) -> Result<Vec<Wanted>> {
    let host = config.host_config.clone().unwrap_or_default();
    let mut all: Vec<Wanted> = Vec::new();
    let mut add = |wanted: Wanted| -> Result<()> {
        if all.iter().any(|other| other.target == wanted.target) {
            return Err(Error::Invalid(format!("Duplicate mount point: {}", wanted.target)));
        }
        all.push(wanted);
        Ok(())
    };
    for text in host.binds.iter().flatten() {
        add(from_text(text)?)?;
    }
    for mount in host.mounts.iter().flatten() {
        let mut wanted = from_mount(mount)?;
        if let Some(text) = host.annotations.as_ref().and_then(|all| all.get(&mount_ids::key(&wanted.target)))
        {
            wanted.ids = Ids::read(text)?;
            check_ids(&wanted)?;
        }
        add(wanted)?;
    }
    for (target, options) in host.tmpfs.iter().flatten() {
        add(tmpfs(target, options)?)?;
    }
    // What the image declares to be a volume is one, unless something else is mounted there.
    for path in config.volumes.iter().flatten() {
        let target = absolute(path)?;
        if !all.iter().any(|other| other.target == target) {
            all.push(Wanted {
                target,
                source: anonymous(),
                readonly: false,
                propagation: None,
                ids: Ids::default(),
            });
        }
    }
    sort(&mut all);
    Ok(all)
}

/// Adds what is mounted where nothing else is.
pub(crate) fn add_missing(all: &mut Vec<Wanted>, more: Vec<Wanted>) {
    for one in more {
        if !all.iter().any(|other| other.target == one.target) {
            all.push(one);
        }
    }
    sort(all);
}

/// What is mounted above comes first.
fn sort(all: &mut [Wanted]) {
    all.sort_by(|a, b| depth(&a.target).cmp(&depth(&b.target)).then_with(|| a.target.cmp(&b.target)));
}

fn depth(path: &str) -> usize {
    path.split('/').filter(|part| !part.is_empty()).count()
}

fn anonymous() -> Source {
    volume(id::random(), true, true)
}

/// A volume about which nothing more is said.
fn volume(name: String, anonymous: bool, copy: bool) -> Source {
    Source::Volume { name, anonymous, copy, labels: BTreeMap::new(), options: BTreeMap::new() }
}

/// A clean absolute path other than `/`.
pub(crate) fn absolute(path: &str) -> Result<String> {
    if !path.starts_with('/') {
        return Err(Error::Invalid(format!("invalid mount path: {path:?} mount path must be absolute")));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err(Error::Invalid("invalid specification: destination can't be '/'".into()));
    }
    Ok(format!("/{}", parts.join("/")))
}

/// `[SOURCE:]TARGET[:OPTIONS]`, Docker's `-v`.
fn from_text(text: &str) -> Result<Wanted> {
    let bad = |why: &str| Error::Invalid(format!("invalid volume specification {text:?}: {why}"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => ("", target, ""),
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err(bad("write SOURCE:TARGET[:OPTIONS]")),
    };
    if parts.len() > 1 && source.is_empty() || target.is_empty() {
        return Err(bad("source and target must not be empty"));
    }
    let mut wanted = Wanted {
        target: absolute(target)?,
        source: anonymous(),
        readonly: false,
        propagation: None,
        ids: Ids::default(),
    };
    let mut copy = true;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => wanted.readonly = true,
            // SELinux labels, where there is SELinux; elsewhere Docker takes them too.
            "rw" | "z" | "Z" => {}
            "nocopy" => copy = false,
            word if wanted.ids.take(word)? => {}
            word => match Propagation::named(word) {
                Some(propagation) if wanted.propagation.is_none() => wanted.propagation = Some(propagation),
                _ => return Err(bad(&format!("invalid mode: {options}"))),
            },
        }
    }
    if source.starts_with('/') {
        wanted.source = Source::Bind { path: source.to_owned(), create: true, recursive: true };
    } else {
        if wanted.propagation.is_some() {
            return Err(bad("propagation options are for binds of the host's folders"));
        }
        wanted.source = match source {
            "" => anonymous(),
            name => volume(volume_name(name)?, false, copy),
        };
    }
    check_ids(&wanted)?;
    Ok(wanted)
}

/// Refuses wishes about IDs where there is nothing to wish.
fn check_ids(wanted: &Wanted) -> Result<()> {
    match (&wanted.source, &wanted.ids.mapping, wanted.ids.reown) {
        (Source::Bind { .. }, _, _)
        | (_, Mapping::Usual, false)
        | (Source::Volume { .. }, Mapping::Usual, true) => Ok(()),
        (Source::Volume { .. }, _, _) => Err(Error::Invalid(format!(
            "invalid option for the volume at {}: each container sees in a volume the IDs that were written, so idmap and \
             noidmap are for binds of the host's folders",
            wanted.target
        ))),
        _ => Err(Error::Invalid(format!(
            "invalid option for the mount at {}: idmap, noidmap and U are for the host's folders and for volumes",
            wanted.target
        ))),
    }
}

/// Docker's rule for names.
pub fn volume_name(name: &str) -> Result<String> {
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.len() >= 2
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if !good || name.len() > 200 {
        return Err(Error::Invalid(format!(
            "create {name}: {name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
        )));
    }
    Ok(name.to_owned())
}

/// There is one driver of volumes, `local`.
///
/// # Errors
/// Another one.
pub fn refuse_driver(name: Option<&str>) -> Result<()> {
    match name.unwrap_or("") {
        "" | "local" => Ok(()),
        name => Err(Error::Invalid(format!(
            "error looking up volume plugin {name}: this version of bulkhead has the volume driver local alone"
        ))),
    }
}

fn from_mount(mount: &Mount) -> Result<Wanted> {
    let target = absolute(mount.target.as_deref().unwrap_or(""))?;
    let source = mount.source.as_deref().unwrap_or("");
    let mut readonly = mount.read_only.unwrap_or(false);
    let mut propagation = None;
    let source = match mount.typ {
        Some(MountType::BIND) => {
            if source.is_empty() {
                return Err(Error::Invalid(
                    "invalid mount config for type \"bind\": field Source must not be empty".into(),
                ));
            }
            if !source.starts_with('/') {
                return Err(Error::Invalid(format!(
                    "invalid mount config for type \"bind\": invalid mount path: {source:?} mount path must be absolute"
                )));
            }
            let options = mount.bind_options.clone().unwrap_or_default();
            propagation = match options.propagation {
                None | Some(MountBindOptionsPropagationEnum::EMPTY) => None,
                Some(word) => Propagation::named(word.as_ref()),
            };
            Source::Bind {
                path: source.to_owned(),
                create: options.create_mountpoint.unwrap_or(false),
                recursive: !options.non_recursive.unwrap_or(false),
            }
        }
        Some(MountType::VOLUME) | None => {
            let options = mount.volume_options.clone().unwrap_or_default();
            let driver = options.driver_config.unwrap_or_default();
            refuse_driver(driver.name.as_deref())?;
            if options.subpath.as_deref().is_some_and(|path| !path.is_empty()) {
                return Err(Error::Invalid(
                    "this version of bulkhead does not support a subpath of a volume".into(),
                ));
            }
            let labels = options.labels.unwrap_or_default().into_iter().collect();
            let copy = !options.no_copy.unwrap_or(false);
            let options: BTreeMap<String, String> = driver.options.unwrap_or_default().into_iter().collect();
            volume_options::read(&options)?;
            let (name, anonymous) = match source {
                "" => (id::random(), true),
                name => (volume_name(name)?, false),
            };
            Source::Volume { name, anonymous, copy, labels, options }
        }
        Some(MountType::TMPFS) => {
            if !source.is_empty() {
                return Err(Error::Invalid(
                    "invalid mount config for type \"tmpfs\": field Source must not be specified".into(),
                ));
            }
            let given = mount.tmpfs_options.clone().unwrap_or_default();
            let mut options = Vec::new();
            if let Some(size) = given.size_bytes.filter(|size| *size > 0) {
                options.push(("size".to_owned(), size.to_string()));
            }
            if let Some(mode) = given.mode.filter(|mode| *mode > 0) {
                options.push(("mode".to_owned(), format!("{mode:o}")));
            }
            for option in given.options.iter().flatten() {
                let mut parts = option.iter().cloned();
                options.push((parts.next().unwrap_or_default(), parts.next().unwrap_or_default()));
            }
            Source::Tmpfs { options }
        }
        Some(MountType::IMAGE) => {
            if source.is_empty() {
                return Err(Error::Invalid(
                    "invalid mount config for type \"image\": field Source must not be empty".into(),
                ));
            }
            if mount
                .image_options
                .as_ref()
                .and_then(|o| o.subpath.as_deref())
                .is_some_and(|path| !path.is_empty())
            {
                return Err(Error::Invalid(
                    "this version of bulkhead does not support a subpath of an image".into(),
                ));
            }
            readonly = true;
            Source::Image { id: source.to_owned() }
        }
        Some(other) => return Err(Error::Invalid(format!("mounts of type {other} are not supported"))),
    };
    Ok(Wanted { target, source, readonly, propagation, ids: Ids::default() })
}

fn tmpfs(target: &str, options: &str) -> Result<Wanted> {
    let options = options
        .split(',')
        .filter(|option| !option.is_empty())
        .map(|option| match option.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (option.to_owned(), String::new()),
        })
        .collect();
    Ok(Wanted {
        target: absolute(target)?,
        source: Source::Tmpfs { options },
        readonly: false,
        propagation: None,
        ids: Ids::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_docker_s_volume_flag() {
        let bind = |path: &str| Source::Bind { path: path.into(), create: true, recursive: true };
        let wanted = from_text("/src:/dst:ro,rslave").unwrap();
        assert_eq!((wanted.source, wanted.readonly), (bind("/src"), true));
        assert_eq!(wanted.propagation, Some(Propagation::RecursiveSlave));
        assert!(matches!(from_text("/dst").unwrap().source, Source::Volume { anonymous: true, .. }));
        assert!(matches!(from_text("data:/dst").unwrap().source, Source::Volume { anonymous: false, .. }));
        assert_eq!(from_text("/a:/b/../c//d/").unwrap().target, "/c/d");
        for bad in ["", ":", "a:", ":/b", "/a:b", "/a:/", "/a:/b:xx", "/a:/b:ro:c", "x:/b", "data:/b:rslave"]
        {
            assert!(from_text(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_and_targets_are_clean(text in "[ -~]{0,40}") {
            if let Ok(wanted) = from_text(&text) {
                prop_assert!(wanted.target.starts_with('/') && wanted.target.len() > 1);
                prop_assert!(!wanted.target.split('/').any(|part| part == ".."));
            }
        }
    }
}
