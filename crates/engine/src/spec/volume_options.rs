//! The options of Docker's volume driver `local`: a volume that is not a folder of the engine's but something that
//! mount(8) would mount (`-o type=… -o device=… -o o=…`).
//!
//! Nothing is mounted on the host for it. Each container that uses the volume is born with a mount of its own, which ends
//! with the container, so there is nothing that a killed command could leave mounted. For a folder of the host that makes
//! no difference; of a file system in memory each container has its own.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Where the files of a volume are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the engine's own folder for it.
    #[default]
    Folder,
    /// In a folder of the host.
    Bind {
        /// Its absolute path.
        path: String,
        /// Whether what is mounted below it comes along.
        recursive: bool,
        /// No writing.
        readonly: bool,
    },
    /// In memory.
    Tmpfs {
        /// Options as tmpfs(5) has them, and mount flags.
        options: Vec<(String, String)>,
    },
}

/// What the options mean.
///
/// # Errors
/// An option that there is not, or one that this engine cannot hold.
pub(crate) fn read(options: &BTreeMap<String, String>) -> Result<Place> {
    if options.is_empty() {
        return Ok(Place::Folder);
    }
    if let Some(key) = options.keys().find(|key| !matches!(key.as_str(), "type" | "device" | "o")) {
        return Err(Error::Invalid(format!(
            "invalid option: {key:?}: a volume of the driver local has type, device and o"
        )));
    }
    let given = |key: &str| options.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let missing = |key: &str| Error::Invalid(format!("missing required option: {key:?}"));
    let kind = given("type").ok_or_else(|| missing("type"))?;
    let device = given("device").ok_or_else(|| missing("device"))?;
    let words: Vec<&str> =
        given("o").unwrap_or("").split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    match kind {
        "tmpfs" => Ok(Place::Tmpfs { options: words.iter().map(|word| pair(word)).collect() }),
        "none" | "bind" => bind(device, &words),
        other => Err(Error::Invalid(format!(
            "this version of bulkhead cannot mount a volume of type {other:?}: it mounts tmpfs, and folders of the host \
             (type=none with o=bind)"
        ))),
    }
}

fn pair(word: &str) -> (String, String) {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    (key.to_owned(), value.to_owned())
}

fn bind(device: &str, words: &[&str]) -> Result<Place> {
    let (mut is_bind, mut recursive, mut readonly) = (false, false, false);
    for word in words {
        match *word {
            "bind" => is_bind = true,
            "rbind" => (is_bind, recursive) = (true, true),
            "ro" => readonly = true,
            "rw" => readonly = false,
            other => {
                return Err(Error::Invalid(format!(
                    "invalid mount option {other:?} of a volume: a folder of the host takes bind, rbind, ro and rw"
                )));
            }
        }
    }
    if !is_bind {
        return Err(Error::Invalid(
            "a volume of type none is a folder of the host: it needs the option o=bind (or o=rbind)".into(),
        ));
    }
    if !device.starts_with('/') {
        return Err(Error::Invalid(format!(
            "invalid device {device:?} of a volume: it must be an absolute path"
        )));
    }
    Ok(Place::Bind { path: device.to_owned(), recursive, readonly })
}

#[cfg(test)]
mod tests {
    use super::{Place, read};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn of(options: &[(&str, &str)]) -> crate::Result<Place> {
        read(&options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_can_be_mounted_is_and_the_rest_is_refused() {
        assert_eq!(of(&[]).unwrap(), Place::Folder);
        let bind = Place::Bind { path: "/srv".into(), recursive: false, readonly: true };
        assert_eq!(of(&[("type", "none"), ("device", "/srv"), ("o", "bind,ro")]).unwrap(), bind);
        let size = Place::Tmpfs { options: vec![("size".into(), "1m".into())] };
        assert_eq!(of(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")]).unwrap(), size);
        for bad in [
            &[("what", "ever")][..],
            &[("type", "tmpfs")],
            &[("device", "/srv"), ("o", "bind")],
            &[("type", "none"), ("device", "/srv")],
            &[("type", "none"), ("device", "srv"), ("o", "bind")],
            &[("type", "none"), ("device", "/srv"), ("o", "bind,what")],
            &[("type", "nfs"), ("device", ":/srv"), ("o", "addr=127.0.0.1")],
        ] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_bind_is_always_of_an_absolute_path(kind in "none|bind|tmpfs", device in "[ -~]{0,8}", o in "[a-z,=]{0,12}") {
            let all: BTreeMap<String, String> =
                [("type", kind), ("device", device), ("o", o)].map(|(key, value)| (key.to_owned(), value)).into();
            if let Ok(Place::Bind { path, .. }) = read(&all) {
                prop_assert!(path.starts_with('/'));
            }
        }
    }
}
