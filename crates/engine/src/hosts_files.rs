//! /etc/hosts, /etc/hostname and /etc/resolv.conf of a container: files in its folder, mounted over the image's.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bollard_stubs::models::HostConfig;
use bulkhead_network::files::{self, DnsOverrides, HostEntry, SYSTEMD_RESOLV_CONF};

use crate::error::{Doing, Error, Result};
use crate::spec::namespaces::{Mode, Modes, hostname};
use crate::store::containers::Container;

/// Writes them into `folder`.
pub(crate) fn write(
    container: &Container,
    folder: &Path,
    address: Option<Ipv4Addr>,
    gateway: Option<Ipv4Addr>,
) -> Result<()> {
    let config = &container.config;
    let host = config.host_config.clone().unwrap_or_default();
    let own_network = Modes::of(&host)?.net != Mode::Host;
    let name = hostname(config);
    let mut extra = Vec::new();
    for text in host.extra_hosts.iter().flatten() {
        extra.push(extra_host(text, gateway)?);
    }
    let hosts = if own_network {
        let domain = config.domainname.clone().unwrap_or_default();
        let full = Some(format!("{name}.{domain}")).filter(|_| !domain.is_empty());
        let names: Vec<String> = full.into_iter().chain([name.clone()]).collect();
        let own: Vec<HostEntry> =
            address.map(|address| HostEntry { address: IpAddr::V4(address), names }).into_iter().collect();
        files::hosts(&own, &extra)?
    } else {
        files::hosts_of_the_host(&fs::read_to_string("/etc/hosts").unwrap_or_default(), &extra)?
    };
    let owner = container.users.root();
    put(folder, "hosts", &hosts, owner)?;
    put(folder, "hostname", &files::hostname(&name)?, owner)?;
    put(folder, "resolv.conf", &resolv_conf(&host, own_network)?, owner)
}

fn resolv_conf(host: &HostConfig, own_network: bool) -> Result<String> {
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let mut overrides = DnsOverrides {
        nameservers: Vec::new(),
        search: list(&host.dns_search),
        options: list(&host.dns_options),
    };
    for server in list(&host.dns) {
        let address = server
            .parse()
            .map_err(|_| Error::Invalid(format!("invalid DNS server {server:?}: an IP address")))?;
        overrides.nameservers.push(address);
    }
    // A host without the file has no resolvers, which is a state like any other.
    let mut of_host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if !own_network {
        return Ok(files::resolv_conf_of_the_host(&of_host, &overrides)?);
    }
    if files::is_systemd_stub(&of_host) {
        of_host = fs::read_to_string(SYSTEMD_RESOLV_CONF).unwrap_or(of_host);
    }
    Ok(files::resolv_conf(&of_host, &overrides, false)?)
}

/// `NAME:ADDRESS`, where the address may be `host-gateway`: the host, as this container reaches it.
fn extra_host(text: &str, gateway: Option<Ipv4Addr>) -> Result<HostEntry> {
    let bad = || Error::Invalid(format!("invalid add-host {text:?}: write NAME:ADDRESS"));
    let (name, address) = text.split_once([':', '=']).ok_or_else(bad)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address = match (address, gateway) {
        ("host-gateway", Some(gateway)) => IpAddr::V4(gateway),
        ("host-gateway", None) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (address, _) => address.parse().map_err(|_| bad())?,
    };
    if name.is_empty() {
        return Err(bad());
    }
    Ok(HostEntry { address, names: vec![name.to_owned()] })
}

/// Writes one, owned by the container's root.
fn put(folder: &Path, name: &str, text: &str, (uid, gid): (u32, u32)) -> Result<()> {
    let path = folder.join(name);
    fs::write(&path, text).doing(|| format!("write {}", path.display()))?;
    // Readable by every user of the container, whatever the umask of who started it.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))
        .doing(|| format!("set the mode of {}", path.display()))?;
    std::os::unix::fs::chown(&path, Some(uid), Some(gid))
        .doing(|| format!("give {} to the container's root", path.display()))
}
