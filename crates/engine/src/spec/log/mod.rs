//! `--log-driver` and `--log-opt`: Docker's words for how output is kept become the supervisor's
//! [`LogConfig`], or are refused.
//!
//! Options that Docker takes and that would change nothing here are refused too, by name: who sets one expects
//! something of it.
//!
//! | file | subject |
//! |---|---|
//! | `options` | one option at a time: sizes, numbers, yes or no |
//! | `attributes` | what each line tells of its container: `labels`, `env`, `tag` |
//! | `syslog` | addresses, facilities, formats |

mod attributes;
mod options;
mod syslog;

use std::path::PathBuf;

use bollard_stubs::models::HostConfig;
use bulkhead_supervisor::log_config::{Address, LogConfig, LogFile, LogFormat, Receiver, ReceiverKind};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::roots::Roots;
use crate::spec::text;
use crate::store::containers::Container;
use options::Options;

/// Docker's drivers that send to services which this engine does not know.
const NOT_HERE: [&str; 6] = ["gelf", "fluentd", "awslogs", "splunk", "etwlogs", "gcplogs"];
/// The journal's socket.
const JOURNAL: &str = "/run/systemd/journal/socket";
/// Docker's bounds for a log of the driver `local`.
const LOCAL_SIZE: u64 = 20 << 20;
const LOCAL_FILES: u32 = 5;

/// Completes what a container was asked for with the machine's settings, as Docker does: its options count where the
/// driver is its own.
///
/// # Errors
/// A driver that is not there.
pub(crate) fn settle(host: &mut HostConfig, config: &Config) -> Result<()> {
    let log = host.log_config.get_or_insert_default();
    let usual = config.log_driver.as_deref().unwrap_or("json-file");
    let driver = log.typ.take().filter(|driver| !driver.is_empty()).unwrap_or_else(|| usual.to_owned());
    let options = log.config.get_or_insert_default();
    if driver == usual {
        for (key, value) in &config.log_opts {
            options.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    check_driver(&driver)?;
    log.typ = Some(driver);
    Ok(())
}

fn check_driver(driver: &str) -> Result<()> {
    match driver {
        "json-file" | "local" | "none" | "journald" | "syslog" => Ok(()),
        other if NOT_HERE.contains(&other) => Err(Error::Invalid(format!(
            "bulkhead does not have the log driver {other}: use json-file, local, journald, syslog or none"
        ))),
        other => Err(Error::Invalid(format!("logger: no log driver named '{other}' is registered"))),
    }
}

/// How the container's output is kept.
///
/// # Errors
/// An option that the driver does not have, or a value that makes no sense.
pub(crate) fn plan(container: &Container, roots: &Roots) -> Result<LogConfig> {
    let log = container.config.host_config.as_ref().and_then(|host| host.log_config.clone());
    let log = log.unwrap_or_default();
    let driver = log.typ.as_deref().filter(|driver| !driver.is_empty()).unwrap_or("json-file");
    check_driver(driver)?;
    let all = log.config.unwrap_or_default();
    let options = Options { driver, all: &all };
    let folder = roots.container(&container.id);
    match driver {
        "json-file" => {
            options.only(&[
                "max-size",
                "max-file",
                "compress",
                "labels",
                "labels-regex",
                "env",
                "env-regex",
                "tag",
            ])?;
            options.not_compressed("compress")?;
            let file = LogFile {
                path: text(&folder.join(json_name(&container.id)))?,
                format: LogFormat::Json { attrs: attributes::json(&options, container)? },
                max_size: options.size("max-size", crate::units::from_human_size)?,
                max_files: options.number("max-file")?.unwrap_or(1),
            };
            Ok(LogConfig { file: Some(file), receiver: None })
        }
        "local" => {
            options.only(&["max-size", "max-file", "compress"])?;
            let path = folder.join("local-logs/container.log");
            Ok(LogConfig { file: Some(bounded(&options, path, "")?), receiver: None })
        }
        "journald" | "syslog" => {
            let (kind, addresses) = if driver == "journald" {
                options.only(&["labels", "labels-regex", "env", "env-regex", "tag"])?;
                let fields = attributes::journal(&options, container)?;
                (ReceiverKind::Journald { fields }, vec![Address::Datagram(JOURNAL.into())])
            } else {
                syslog::read(&options, container)?
            };
            let receiver = Some(Receiver { kind, addresses, buffer: options.buffer()? });
            let cached = !options.flag("cache-disabled")?;
            let file = bounded(&options, folder.join("container-cached.log"), "cache-")?;
            Ok(LogConfig { file: Some(file).filter(|_| cached), receiver })
        }
        _ if all.is_empty() => Ok(LogConfig::default()),
        _ => Err(Error::Invalid("invalid logging opts for driver none".into())),
    }
}

/// A file of our own form that never grows without end: what `local` is, and what `logs` reads where output goes to a
/// receiver.
fn bounded(options: &Options<'_>, path: PathBuf, prefix: &str) -> Result<LogFile> {
    options.not_compressed(&format!("{prefix}compress"))?;
    let size = options.size(&format!("{prefix}max-size"), crate::units::ram_in_bytes)?;
    Ok(LogFile {
        path: text(&path)?,
        format: LogFormat::Plain,
        max_size: Some(size.unwrap_or(LOCAL_SIZE)),
        max_files: options.number(&format!("{prefix}max-file"))?.unwrap_or(LOCAL_FILES),
    })
}

/// The same for a container that is about to start: the folder that the file will be in is there.
///
/// # Errors
/// As [`plan`], or a folder that cannot be made.
pub(crate) fn prepare(container: &Container, roots: &Roots) -> Result<LogConfig> {
    let config = plan(container, roots)?;
    if let Some(parent) = config.file.as_ref().and_then(|file| std::path::Path::new(&file.path).parent()) {
        crate::store::make_folder(parent)?;
    }
    Ok(config)
}

/// What `inspect` shows as `LogPath`: the file, where its form is for everybody to read.
pub(crate) fn shown_path(container: &Container, roots: &Roots) -> String {
    let host = container.config.host_config.as_ref();
    match host.and_then(|host| host.log_config.as_ref()).and_then(|log| log.typ.as_deref()) {
        None | Some("" | "json-file") => {
            roots.container(&container.id).join(json_name(&container.id)).to_string_lossy().into_owned()
        }
        Some(_) => String::new(),
    }
}

fn json_name(id: &str) -> String {
    format!("{id}-json.log")
}

#[cfg(test)]
mod tests;
