//! `ns`: which namespaces each running container has, and with whom it shares them.

use std::os::unix::fs::MetadataExt;

pub use bulkhead_isolation::namespaces::KINDS;
use serde::Serialize;

use crate::error::Result;
use crate::store::containers;
use crate::{Condition, Engine};

/// The namespaces of one container.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NamespacesOf {
    /// Its ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its first program, as the host numbers it.
    #[serde(rename = "PID")]
    pub pid: i32,
    /// One for each kind, in [`KINDS`]' order.
    pub namespaces: Vec<Namespace>,
}

/// One namespace.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Namespace {
    /// `user`, `pid`, …
    #[serde(rename = "Type")]
    pub kind: &'static str,
    /// The number by which the kernel, lsns(8) and /proc/PID/ns tell it from others; 0 if the kernel has none.
    pub inode: u64,
    /// Whether it is the host's: that of the process that asks.
    pub host: bool,
    /// The names of the other containers that are in it.
    pub shared_with: Vec<String>,
}

impl Engine {
    /// The namespaces of all running containers, the oldest first.
    ///
    /// # Errors
    /// The database's.
    pub fn namespaces(&self) -> Result<Vec<NamespacesOf>> {
        let own = KINDS.map(|kind| inode_of("self", kind));
        let mut all = Vec::new();
        for container in containers::all(self.store.read())?.into_iter().rev() {
            let Condition::Running(status) = self.condition(&container)? else { continue };
            let Some(first) = status.first.filter(|first| first.started > 0) else { continue };
            let namespaces = KINDS
                .iter()
                .zip(own)
                .map(|(kind, own)| {
                    let inode = inode_of(&first.pid.to_string(), kind);
                    Namespace { kind, inode, host: inode == own, shared_with: Vec::new() }
                })
                .collect();
            all.push(NamespacesOf { id: container.id, name: container.name, pid: first.pid, namespaces });
        }
        let known: Vec<(String, Vec<u64>)> = all
            .iter()
            .map(|one| (one.name.clone(), one.namespaces.iter().map(|n| n.inode).collect()))
            .collect();
        for one in &mut all {
            for (place, namespace) in one.namespaces.iter_mut().enumerate().filter(|(_, n)| !n.host) {
                namespace.shared_with = known
                    .iter()
                    .filter(|(name, inodes)| *name != one.name && inodes.get(place) == Some(&namespace.inode))
                    .map(|(name, _)| name.clone())
                    .collect();
            }
        }
        Ok(all)
    }
}

fn inode_of(process: &str, kind: &str) -> u64 {
    std::fs::metadata(format!("/proc/{process}/ns/{kind}")).map_or(0, |namespace| namespace.ino())
}
