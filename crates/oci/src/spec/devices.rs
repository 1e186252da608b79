//! `linux.devices` (config-linux.md, "Devices"): nodes in the container's /dev beside the standard ones.

use bulkhead_isolation::devices::{Device as Node, NodeKind};
use serde::{Deserialize, Serialize};

use super::FILE;
use crate::error::{Error, Result};

/// One node.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// `c`, `u`, `b` or `p`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its path in the container.
    pub path: String,
    /// Major number.
    #[serde(default)]
    pub major: u32,
    /// Minor number.
    #[serde(default)]
    pub minor: u32,
    /// Permission bits.
    pub file_mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

/// The nodes as the core makes them.
pub(super) fn nodes(devices: Option<&Vec<Device>>) -> Result<Vec<Node>> {
    let mut all: Vec<Node> = Vec::new();
    for (index, device) in devices.into_iter().flatten().enumerate() {
        let kind = match device.kind.as_str() {
            "c" | "u" => NodeKind::Character,
            "b" => NodeKind::Block,
            "p" => NodeKind::Pipe,
            other => {
                return Err(Error::invalid(format!(
                    "{FILE}: linux.devices[{index}].type: {other:?} is none"
                )));
            }
        };
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !device.path.strip_prefix('/').is_some_and(|below| below.split('/').all(plain)) {
            return Err(Error::invalid(format!(
                "{FILE}: linux.devices[{index}].path: {:?} is not a plain absolute path",
                device.path
            )));
        }
        // Of two at the same place the last is meant; the specification leaves it open.
        all.retain(|known| known.path != device.path);
        all.push(Node {
            path: device.path.clone(),
            kind,
            major: device.major,
            minor: device.minor,
            mode: device.file_mode.unwrap_or(0o666) & 0o7777,
            uid: device.uid.unwrap_or(0),
            gid: device.gid.unwrap_or(0),
            of_host: false,
        });
    }
    Ok(all)
}
