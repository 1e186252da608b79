//! /etc/hosts, /etc/hostname and /etc/resolv.conf of a container: files in its folder, mounted over the image's.

use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bollard_stubs::models::HostConfig;
use bulkhead_network::files::{self, DnsOverrides, HostEntry, SYSTEMD_RESOLV_CONF};
use bulkhead_supervisor::networks::{NameService, Upstream};

use crate::Engine;
use crate::error::{Doing, Error, Result};
use crate::networks::asked::check_link;
use crate::networks::memberships::{Place, way_out};
use crate::spec::namespaces::{Mode, Modes, hostname};
use crate::store::containers::Container;

/// The host's resolvers.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// How many bytes of a container's file are read at most.
const MOST: u64 = 1 << 20;

/// Writes them into the folder of a container that is about to start.
pub(crate) fn write(engine: &Engine, container: &Container, places: &[Place]) -> Result<()> {
    let config = &container.config;
    let host = config.host_config.clone().unwrap_or_default();
    let own_network = Modes::of(&host)?.net != Mode::Host;
    let name = hostname(config);
    let folder = &engine.roots.container(&container.id);
    let owner = container.users.root();
    put(folder, "hosts", &hosts(engine, container, places)?, owner)?;
    put(folder, "hostname", &files::hostname(&name)?, owner)?;
    put(folder, "resolv.conf", &resolv_conf(&host, own_network, places)?, owner)
}

/// A running container's networks are others than `before`: its addresses in /etc/hosts change, and whom it asks for
/// names, unless somebody has changed that file inside.
pub(crate) fn networks_changed(engine: &Engine, container: &Container, before: &[Place]) -> Result<()> {
    if engine.condition(container)?.running().is_none() {
        // The next start writes them.
        return Ok(());
    }
    let now = engine.places(&container.id)?;
    let folder = engine.roots.container(&container.id);
    let lines = |places: &[Place]| -> Result<Vec<String>> {
        let text = files::hosts(&own_lines(container, places), &[])?;
        let fixed = files::hosts(&[], &[])?;
        Ok(text.lines().skip(fixed.lines().count()).map(str::to_owned).collect())
    };
    let (old, new) = (lines(before)?, lines(&now)?);
    let path = folder.join("hosts");
    if let Some(text) = read_of_container(&path)? {
        let stays = |line: &&str| !old.iter().any(|old| old == line) || new.iter().any(|new| new == line);
        let mut kept: Vec<&str> = text.lines().filter(stays).collect();
        kept.extend(new.iter().filter(|line| !old.contains(line)).map(String::as_str));
        // In place: the container has this very file mounted.
        fs::write(&path, kept.join("\n") + "\n").doing(|| format!("write {}", path.display()))?;
    }
    let host = container.config.host_config.clone().unwrap_or_default();
    let path = folder.join("resolv.conf");
    let text = read_of_container(&path)?;
    let (was, is) = (resolv_conf(&host, true, before)?, resolv_conf(&host, true, &now)?);
    if was != is && text.as_ref() == Some(&was) {
        fs::write(&path, is).doing(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// What is in a file that the container can write; nothing if it is no text, or more than anybody would write there by
/// hand: then the container has made it something of its own, which it keeps.
fn read_of_container(path: &Path) -> Result<Option<String>> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().doing(|| format!("read {}", path.display()))?;
    let whole = u64::try_from(bytes.len()).is_ok_and(|length| length <= MOST);
    Ok(Some(bytes).filter(|_| whole).and_then(|bytes| String::from_utf8(bytes).ok()))
}

fn hosts(engine: &Engine, container: &Container, places: &[Place]) -> Result<String> {
    let host = container.config.host_config.clone().unwrap_or_default();
    let gateway = host_gateway(places);
    let mut extra = Vec::new();
    for text in host.extra_hosts.iter().flatten() {
        extra.push(extra_host(text, gateway)?);
    }
    if Modes::of(&host)?.net == Mode::Host {
        return Ok(files::hosts_of_the_host(&fs::read_to_string("/etc/hosts").unwrap_or_default(), &extra)?);
    }
    // On a network with names, links are names like others.
    if places.first().is_some_and(|(_, network)| !network.has_names()) {
        for link in host.links.iter().flatten() {
            extra.push(linked(engine, link)?);
        }
    }
    Ok(files::hosts(&own_lines(container, places), &extra)?)
}

/// The container's own addresses and names.
fn own_lines(container: &Container, places: &[Place]) -> Vec<HostEntry> {
    let name = hostname(&container.config);
    let domain = container.config.domainname.clone().unwrap_or_default();
    let full = Some(format!("{name}.{domain}")).filter(|_| !domain.is_empty());
    let names: Vec<String> = full.into_iter().chain([name]).collect();
    let addresses = places.iter().flat_map(|(endpoint, _)| endpoint.addresses());
    addresses.map(|address| HostEntry { address, names: names.clone() }).collect()
}

/// The host, as the container reaches it.
fn host_gateway(places: &[Place]) -> Option<IpAddr> {
    let out = way_out(places, false).or_else(|| way_out(places, true)).or(places.first());
    out.and_then(|(_, network)| network.ipam(false).or(network.ipam(true))).map(|ipam| ipam.gateway)
}

/// A line for another container of the default network (`--link`).
fn linked(engine: &Engine, link: &str) -> Result<HostEntry> {
    let (name, alias) = check_link(link)?;
    let other = engine.container(&name)?;
    if engine.condition(&other)?.running().is_none() {
        return Err(Error::Conflict(format!(
            "Cannot link to a non running container: /{} AS {alias}",
            other.name
        )));
    }
    let places = engine.places(&other.id)?;
    let place = places.iter().find(|(_, network)| !network.has_names());
    let address = place.and_then(|(endpoint, _)| endpoint.addresses().next()).ok_or_else(|| {
        Error::Conflict(format!(
            "Cannot link to {}, as it does not belong to the default network",
            other.name
        ))
    })?;
    let mut names = vec![alias, crate::id::short(&other.id).to_owned(), other.name];
    names.dedup();
    Ok(HostEntry { address, names })
}

fn resolv_conf(host: &HostConfig, own_network: bool, places: &[Place]) -> Result<String> {
    let overrides = overrides(host)?;
    // A host without the file has no resolvers, which is a state like any other.
    let of_host = fs::read_to_string(RESOLV_CONF).unwrap_or_default();
    if !own_network {
        return Ok(files::resolv_conf_of_the_host(&of_host, &overrides)?);
    }
    if places.iter().any(|(_, network)| network.has_names()) {
        return Ok(files::resolv_conf_of_names(&behind_the_stub(of_host), &overrides)?);
    }
    let ipv6 = places.iter().any(|(endpoint, _)| endpoint.ipv6.is_some());
    Ok(files::resolv_conf(&behind_the_stub(of_host), &overrides, ipv6)?)
}

/// Where the host asks its own resolver, the file that says whom that asks.
fn behind_the_stub(of_host: String) -> String {
    if files::is_systemd_stub(&of_host) {
        return fs::read_to_string(SYSTEMD_RESOLV_CONF).unwrap_or(of_host);
    }
    of_host
}

fn overrides(host: &HostConfig) -> Result<DnsOverrides> {
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
    Ok(overrides)
}

/// Whom a container's name service asks for the names that it does not know: the resolvers of `--dns`, which are those
/// that the container would ask, or the host's, which are asked from there, so that those on its loopback device work.
pub(crate) fn name_service(engine: &Engine, host: &HostConfig) -> Result<NameService> {
    let registry = crate::spec::text(&engine.roots.networks())?;
    let given = overrides(host)?.nameservers;
    let inside = !given.is_empty();
    let addresses = match inside {
        true => given,
        false => files::nameservers(&fs::read_to_string(RESOLV_CONF).unwrap_or_default()),
    };
    let upstreams = addresses.into_iter().map(|address| Upstream { address, inside }).collect();
    Ok(NameService { registry, upstreams, resolv_conf: (!inside).then(|| RESOLV_CONF.to_owned()) })
}

/// `NAME:ADDRESS`, where the address may be `host-gateway`: the host, as this container reaches it.
fn extra_host(text: &str, gateway: Option<IpAddr>) -> Result<HostEntry> {
    let bad = || Error::Invalid(format!("invalid add-host {text:?}: write NAME:ADDRESS"));
    let (name, address) = text.split_once([':', '=']).ok_or_else(bad)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address = match (address, gateway) {
        ("host-gateway", Some(gateway)) => gateway,
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
