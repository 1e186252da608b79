//! The image config: the JSON document that an image ID names (OCI image-spec `config.md`, and Docker's additions).
//!
//! Archives in the wild write `null` for empty lists, leave fields out, or write a command as one string; all of that
//! reads. Fields that aren't here are no loss: the store keeps the config's own bytes, and the ID is their digest.

mod changes;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{Digest, ImageError, Result};

pub use changes::apply_changes;

/// An image's config.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// The processor in Go's words: `amd64`, `arm64`, …
    #[serde(deserialize_with = "or_default")]
    pub architecture: String,
    /// The processor's variant, such as `v8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The operating system: `linux`.
    #[serde(deserialize_with = "or_default")]
    pub os: String,
    /// When the image was made, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The message of `commit` and `import`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What a container starts with.
    #[serde(deserialize_with = "or_default")]
    pub config: ContainerConfig,
    /// The layers.
    #[serde(deserialize_with = "or_default")]
    pub rootfs: RootFs,
    /// How the image came to be, oldest step first.
    #[serde(deserialize_with = "or_default")]
    pub history: Vec<History>,
}

/// The defaults of a container made from an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// `USER[:GROUP]`, names or IDs; empty is root.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `PORT/PROTOCOL`, as in `80/tcp`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `NAME=VALUE`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// What is always executed.
    #[serde(deserialize_with = "command", skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments, or the command where there is no entrypoint.
    #[serde(deserialize_with = "command", skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Folders that become volumes.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Empty>,
    /// Where the command starts; empty is `/`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The signal that `stop` sends, by name or number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// The shell of the shell forms of a Dockerfile's instructions (Docker's addition).
    #[serde(deserialize_with = "command", skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// The health check as Docker writes it: `{"Test":["CMD",…],"Interval":NANOSECONDS,…}` (Docker's addition).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<serde_json::Value>,
    /// Instructions for builds on top of this image (Docker's addition).
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
}

/// The `{}` that the format wants as the value of a set's members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The layers of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default = "layers_type")]
    pub kind: String,
    /// The layers' diff IDs, base first.
    #[serde(deserialize_with = "or_default", default)]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> RootFs {
        RootFs { kind: layers_type(), diff_ids: Vec::new() }
    }
}

fn layers_type() -> String {
    "layers".to_owned()
}

/// One step of an image's history.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Reads a config from its JSON.
    pub fn from_json(bytes: &[u8]) -> Result<ImageConfig> {
        let failed = |source| ImageError::Json { what: "the image config".to_owned(), source };
        // A list would read too, as the fields in order.
        match bytes.trim_ascii_start().first() {
            Some(b'[') => Err(failed(serde::de::Error::custom("an object was expected"))),
            _ => serde_json::from_slice(bytes).map_err(failed),
        }
    }

    /// Writes a config as JSON; the bytes' digest is the ID of the new image.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|source| ImageError::Json { what: "the image config".to_owned(), source })
    }
}

/// `null` reads as the type's default.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A command: a list, one string (very old images), or `null`.
fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Command {
        List(Vec<String>),
        One(String),
    }
    Ok(Option::<Command>::deserialize(deserializer)?.map(|command| match command {
        Command::List(list) => list,
        Command::One(one) => vec![one],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docker_config_reads() {
        let config = ImageConfig::from_json(
            br#"{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","author":null,
            "config":{"Hostname":"","User":"","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin"],"Cmd":["sh"],
              "Image":"x","Volumes":null,"WorkingDir":"/w","Entrypoint":null,"OnBuild":null,"Labels":null,
              "Healthcheck":{"Test":["NONE"]},"StopSignal":"SIGQUIT"},
            "container_config":{},"docker_version":"1",
            "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
            "history":[{"created_by":"a"},{"created_by":"b","empty_layer":true}]}"#,
        )
        .unwrap();
        assert_eq!(config.config.cmd, Some(vec!["sh".to_owned()]));
        assert_eq!(config.config.entrypoint, None);
        assert!(config.config.exposed_ports.contains_key("80/tcp"));
        assert_eq!(config.rootfs.diff_ids, [Digest::of(b"")]);
        assert!(config.history[1].empty_layer);
    }

    #[test]
    fn nothing_is_needed_and_null_is_nothing() {
        assert_eq!(ImageConfig::from_json(b"{}").unwrap(), ImageConfig::default());
        let nulls = br#"{"architecture":null,"os":null,"config":null,"rootfs":null,"history":null}"#;
        assert_eq!(ImageConfig::from_json(nulls).unwrap(), ImageConfig::default());
        let one = ImageConfig::from_json(br#"{"config":{"Cmd":"sh"},"rootfs":{"diff_ids":null}}"#).unwrap();
        assert_eq!(one.config.cmd, Some(vec!["sh".to_owned()]));
        assert!(ImageConfig::from_json(b"[]").is_err());
        assert!(ImageConfig::from_json(br#"{"rootfs":{"diff_ids":["../x"]}}"#).is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut config = ImageConfig { os: "linux".to_owned(), ..ImageConfig::default() };
        config.config.cmd = Some(vec!["a".to_owned()]);
        config.config.volumes.insert("/v".to_owned(), Empty {});
        assert_eq!(ImageConfig::from_json(&config.to_json().unwrap()).unwrap(), config);
    }
}
