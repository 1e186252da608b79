//! Settings of the current network namespace below /proc/sys/net (Documentation/networking/ip-sysctl.rst).
//!
//! All are read before they are written: writing even the same value makes the kernel walk all links.

use std::io::ErrorKind;

use crate::error::{Error, Result};

const IPV6_LINKS: &str = "/proc/sys/net/ipv6/conf";

/// Makes the host a router of IPv4.
pub(crate) fn forward_ipv4() -> Result<()> {
    set("/proc/sys/net/ipv4/ip_forward", "1")
}

/// Makes the host a router of IPv6.
///
/// A router takes no routes from other routers' advertisements, so a host that has its own by them would lose them:
/// links that listen to advertisements as hosts do (`accept_ra` 1) listen as routers that still want them (2) from
/// then on, before forwarding is on. Links that do not listen stay so, and so does the bridge `ours`.
pub(crate) fn forward_ipv6(ours: &str) -> Result<()> {
    const FORWARDING: &str = "/proc/sys/net/ipv6/conf/all/forwarding";
    if get(FORWARDING)?.as_deref() == Some("1") {
        return Ok(());
    }
    let failed = |source| Error::Sysctl { operation: "list", path: IPV6_LINKS.to_owned(), source };
    for link in std::fs::read_dir(IPV6_LINKS).map_err(failed)? {
        let name = link.map_err(failed)?.file_name();
        let Some(name) = name.to_str().filter(|name| !["all", "default", "lo", ours].contains(name)) else {
            continue;
        };
        let path = format!("{IPV6_LINKS}/{name}/accept_ra");
        if get(&path)?.as_deref() == Some("1") {
            set(&path, "2")?;
        }
    }
    set(FORWARDING, "1")
}

/// Lets a bridge of ours have IPv6 addresses, also where new links have none by default (`disable_ipv6`).
pub(crate) fn enable_ipv6(link: &str) -> Result<()> {
    set(&format!("{IPV6_LINKS}/{link}/disable_ipv6"), "0")
}

/// Has a bridge of ours take no routes and addresses from what containers may send.
pub(crate) fn refuse_advertisements(link: &str) -> Result<()> {
    set(&format!("{IPV6_LINKS}/{link}/accept_ra"), "0")
}

/// Lets a link carry packets from and to 127.0.0.0/8.
pub(crate) fn route_localnet(link: &str) -> Result<()> {
    set(&format!("/proc/sys/net/ipv4/conf/{link}/route_localnet"), "1")
}

/// Whether packets within bridges pass the firewall of IPv4.
pub(crate) fn bridges_call_ipv4() -> Result<bool> {
    Ok(get("/proc/sys/net/bridge/bridge-nf-call-iptables")?.as_deref() == Some("1"))
}

/// Whether packets within bridges pass the firewall of IPv6.
pub(crate) fn bridges_call_ipv6() -> Result<bool> {
    Ok(get("/proc/sys/net/bridge/bridge-nf-call-ip6tables")?.as_deref() == Some("1"))
}

/// A setting; None if this kernel has none of that name.
fn get(path: &str) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Sysctl { operation: "read", path: path.to_owned(), source }),
    }
}

fn set(path: &str, value: &str) -> Result<()> {
    if get(path)?.as_deref() == Some(value) {
        return Ok(());
    }
    std::fs::write(path, value).map_err(|source| Error::Sysctl {
        operation: "write",
        path: path.to_owned(),
        source,
    })
}
