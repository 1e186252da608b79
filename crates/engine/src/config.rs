//! /etc/bulkhead/daemon.json: what the machine's administrator decides for all containers, with Docker's keys. There is
//! no daemon that would have read it at its start: who makes a container reads it then.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Doing, Error, Result};
use crate::users::pool::Pool;

/// Where it is.
const FILE: &str = "/etc/bulkhead/daemon.json";

/// The settings. One that is not known is refused: taken and ignored is worse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    userns_remap: String,
    userns_auto_pool: Option<String>,
    userns_idmap: Idmap,
    log_driver: String,
    log_opts: HashMap<String, String>,
    registry_mirrors: Vec<String>,
    insecure_registries: Vec<String>,
}

/// Whether the engine uses ID-mapped mounts of its own store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Idmap {
    /// Wherever they work.
    #[default]
    Auto,
    /// Never, for file systems that do them wrong.
    Off,
}

/// The settings, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// Whose subordinate IDs all containers share (`default`, `USER[:GROUP]`), if they do.
    pub(crate) userns_remap: Option<String>,
    /// The IDs that `--userns=auto` hands out.
    pub(crate) pool: Pool,
    /// Whether layers and volumes are seen through ID-mapped mounts.
    pub(crate) idmap: Idmap,
    /// How output is kept where a container does not say (`--log-driver`).
    pub(crate) log_driver: Option<String>,
    /// Options for that.
    pub(crate) log_opts: HashMap<String, String>,
    /// Asked before docker.io.
    pub(crate) registry_mirrors: Vec<String>,
    /// Registries that need no certificate, or no TLS.
    pub(crate) insecure_registries: Vec<String>,
}

impl Config {
    /// The machine's.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub(crate) fn load() -> Result<Config> {
        Config::from_file(Path::new(FILE))
    }

    fn from_file(path: &Path) -> Result<Config> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Config::default()),
            Err(error) => return Err(error).doing(|| format!("read {}", path.display())),
        };
        Config::read(&text).map_err(|why| Error::Invalid(format!("cannot use {}: {why}", path.display())))
    }

    fn read(text: &str) -> std::result::Result<Config, String> {
        // A list would be read as the settings in their order.
        if !text.trim_start().starts_with('{') {
            return Err("it holds no JSON object".into());
        }
        let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let pool = match &file.userns_auto_pool {
            None => Pool::default(),
            Some(text) => Pool::read(text).ok_or_else(|| {
                format!("userns-auto-pool is {text:?}: write FIRST-LAST, both at least 65536, e.g. \"524288-1879048191\"")
            })?,
        };
        let userns_remap = Some(file.userns_remap).filter(|spec| !spec.is_empty());
        Ok(Config {
            userns_remap,
            pool,
            idmap: file.userns_idmap,
            log_driver: Some(file.log_driver).filter(|driver| !driver.is_empty()),
            log_opts: file.log_opts,
            registry_mirrors: file.registry_mirrors,
            insecure_registries: file.insecure_registries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Idmap};
    use crate::users::pool::Pool;

    #[test]
    fn settings_are_read_or_refused() {
        assert_eq!(Config::read("{}"), Ok(Config::default()));
        let config =
            Config::read(r#"{"userns-remap": "default", "userns-auto-pool": "100000-900000"}"#).unwrap();
        assert_eq!(config.userns_remap.as_deref(), Some("default"));
        assert_eq!(config.pool, Pool { first: 100_000, last: 900_000 });
        assert_eq!(config.idmap, Idmap::Auto);
        assert_eq!(Config::read(r#"{"userns-idmap": "off"}"#).unwrap().idmap, Idmap::Off);
        let log = r#"{"log-driver": "local", "log-opts": {"max-size": "5m"}}"#;
        let log = Config::read(log).unwrap();
        assert_eq!(log.log_driver.as_deref(), Some("local"));
        assert_eq!(log.log_opts["max-size"], "5m");
        for bad in [
            "",
            r#"{"log-opts": {"max-file": 3}}"#,
            "[]",
            r#"{"debug": true}"#,
            r#"{"userns-remap": 5}"#,
            r#"{"userns-auto-pool": "0-5"}"#,
            r#"{"userns-idmap": false}"#,
        ] {
            assert!(Config::read(bad).is_err(), "{bad}");
        }
    }
}
