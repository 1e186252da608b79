//! /etc/resolv.conf (resolv.conf(5)), made from the host's as Docker makes it.
//!
//! A container with a network namespace of its own cannot reach resolvers on the host's loopback device, so those are
//! left out. When none is left, Docker falls back to Google's; people rely on names working there, so it is kept.
//! `--dns` replaces the host's resolvers, whatever they are.

use std::net::IpAddr;

use super::one_word;
use crate::error::Result;

const FILE: &str = "/etc/resolv.conf";
const HEADER: &str =
    "# Made by bulkhead from the host's /etc/resolv.conf and the container's --dns options.\n";
/// Where a container's name service is: Docker's address.
pub const NAME_SERVICE: std::net::Ipv4Addr = std::net::Ipv4Addr::new(127, 0, 0, 11);
/// Docker's choice for containers without any resolver, and so ours.
const FALLBACK: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

/// Where systemd-resolved keeps the real resolvers, when /etc/resolv.conf only names systemd-resolved itself: see
/// [`is_systemd_stub`].
pub const SYSTEMD_RESOLV_CONF: &str = "/run/systemd/resolve/resolv.conf";

/// What the user asked for; an empty list leaves the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsOverrides {
    /// `--dns`.
    pub nameservers: Vec<IpAddr>,
    /// `--dns-search`; a single "." means none.
    pub search: Vec<String>,
    /// `--dns-option`.
    pub options: Vec<String>,
}

/// Whether the host's file names no other resolver than systemd-resolved's stub: then take the container's from
/// [`SYSTEMD_RESOLV_CONF`].
#[must_use]
pub fn is_systemd_stub(host_file: &str) -> bool {
    let nameservers = parse(host_file).nameservers;
    !nameservers.is_empty() && nameservers.iter().all(|server| server == "127.0.0.53")
}

/// The resolvers that a host's file names, in its order, but for those whose address is one of a link (`fe80::1%eth0`).
#[must_use]
pub fn nameservers(host_file: &str) -> Vec<IpAddr> {
    parse(host_file).nameservers.iter().filter_map(|server| server.parse().ok()).collect()
}

/// Renders the file of a container with a network namespace of its own. With `ipv6` false, IPv6 resolvers of the
/// host's are left out: the container cannot reach them.
///
/// # Errors
/// [`Error::FileText`](crate::Error::FileText) for search domains and options that are no single word.
pub fn resolv_conf(host_file: &str, overrides: &DnsOverrides, ipv6: bool) -> Result<String> {
    let mut settings = parse(host_file);
    settings.nameservers.retain(|server| reachable(server, ipv6));
    apply(&mut settings, overrides)?;
    if settings.nameservers.is_empty() {
        settings.nameservers = FALLBACK.map(str::to_owned).to_vec();
    }
    Ok(render(&settings))
}

/// Renders the file of a container that has a name service of its own: that is the only resolver, and asks those of the
/// host's or of `--dns` itself. Names without a dot are names of containers, which are asked for as they are.
///
/// # Errors
/// [`Error::FileText`](crate::Error::FileText) for search domains and options that are no single word.
pub fn resolv_conf_of_names(host_file: &str, overrides: &DnsOverrides) -> Result<String> {
    let mut settings = parse(host_file);
    apply(&mut settings, overrides)?;
    settings.nameservers = vec![NAME_SERVICE.to_string()];
    if !overrides.options.iter().any(|option| option.starts_with("ndots:")) {
        settings.options.retain(|option| !option.starts_with("ndots:"));
        settings.options.push("ndots:0".to_owned());
    }
    Ok(render(&settings))
}

/// Renders the file of a container on the host's network: the host's own as it is, unless something is overridden.
///
/// # Errors
/// [`Error::FileText`](crate::Error::FileText) for search domains and options that are no single word.
pub fn resolv_conf_of_the_host(host_file: &str, overrides: &DnsOverrides) -> Result<String> {
    if *overrides == DnsOverrides::default() {
        return Ok(host_file.to_owned());
    }
    let mut settings = parse(host_file);
    apply(&mut settings, overrides)?;
    Ok(render(&settings))
}

#[derive(Debug, Default)]
struct Settings {
    nameservers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
    /// Lines that mean nothing to us ("sortlist"), kept.
    others: Vec<String>,
}

fn parse(text: &str) -> Settings {
    let mut settings = Settings::default();
    for line in text.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            None => {}
            Some(word) if word.starts_with(['#', ';']) => {}
            Some("nameserver") => settings.nameservers.extend(words.next()),
            // Of several search lists, and of the old "domain", the last one counts; options add up.
            Some("search") => settings.search = words.collect(),
            Some("domain") => settings.search = words.take(1).collect(),
            Some("options") => settings.options.extend(words),
            Some(_) => settings.others.push(line.trim().to_owned()),
        }
    }
    settings
}

/// Whether a container can reach a resolver of the host's. What is no address, it could not ask either.
fn reachable(server: &str, ipv6: bool) -> bool {
    // "fe80::1%eth0" names a link of the host's.
    match server.parse() {
        Ok(IpAddr::V4(address)) => !address.is_loopback(),
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => !mapped.is_loopback(),
            None => ipv6 && !address.is_loopback() && !address.is_unicast_link_local(),
        },
        Err(_) => false,
    }
}

fn apply(settings: &mut Settings, overrides: &DnsOverrides) -> Result<()> {
    let words = |given: &[String]| -> Result<Vec<String>> {
        given.iter().map(|word| one_word(word, FILE).map(str::to_owned)).collect()
    };
    if !overrides.nameservers.is_empty() {
        settings.nameservers = overrides.nameservers.iter().map(ToString::to_string).collect();
    }
    if !overrides.search.is_empty() {
        settings.search = words(&overrides.search)?;
        settings.search.retain(|domain| domain != ".");
    }
    if !overrides.options.is_empty() {
        settings.options = words(&overrides.options)?;
    }
    Ok(())
}

fn render(settings: &Settings) -> String {
    let mut text = HEADER.to_owned();
    let mut line = |word: &str, rest: &str| {
        text.extend([word, " ", rest, "\n"]);
    };
    settings.nameservers.iter().for_each(|server| line("nameserver", server));
    for (word, list) in [("search", &settings.search), ("options", &settings.options)] {
        if !list.is_empty() {
            line(word, &list.join(" "));
        }
    }
    settings.others.iter().for_each(|other| text.extend([other.as_str(), "\n"]));
    text
}

#[cfg(test)]
mod tests;
