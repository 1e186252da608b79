//! What the kernel is asked for that crates/network has no word for yet.

use std::net::IpAddr;

use bulkhead_network::endpoint::{Endpoint, Uplink};
use bulkhead_network::netlink::Socket;
use bulkhead_network::{Result, link};

pub(super) fn detach(endpoint: &Endpoint) -> Result<()> {
    let Uplink::Bridge { host_link, .. } = &endpoint.uplink else { return Ok(()) };
    link::delete(&mut Socket::open()?, host_link).map(drop)
}

pub(super) fn allow_loopback(bridge: &str) -> std::io::Result<()> {
    std::fs::write(format!("/proc/sys/net/ipv4/conf/{bridge}/route_localnet"), "1")
}

pub(super) fn allow_loopback6(_bridge: &str) -> Result<bool> {
    Ok(false)
}

pub(super) fn reflect(_link: &str) -> Result<()> {
    Ok(())
}

pub(super) fn forget_udp(_address: IpAddr, _port: u16) -> Result<()> {
    Ok(())
}
