//! `-p`, `-P` and `--expose`: what Docker's form says is to be published; and what is published, in Docker's form.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bollard_stubs::models::{
    ContainerCreateBody, HostConfig, PortBinding, PortMap, PortSummary, PortSummaryTypeEnum,
};
use bulkhead_network::firewall::Protocol;
use bulkhead_supervisor::networks::{HostPort, Publish};

use crate::error::{Error, Result};
use crate::store::networks::{Driver, Network};

/// A container's port.
pub(crate) type Port = (u16, Protocol);

/// What is to be published. `default` is the host's address for bindings that name none.
///
/// # Errors
/// A port, a protocol or an address that is none.
pub(crate) fn wanted(
    config: &ContainerCreateBody,
    host: &HostConfig,
    default: Option<IpAddr>,
) -> Result<Vec<Publish>> {
    let mut bindings: BTreeMap<Port, Vec<PortBinding>> = BTreeMap::new();
    for (port, given) in host.port_bindings.iter().flatten() {
        // Without any, it is published somewhere.
        let given =
            given.clone().filter(|given| !given.is_empty()).unwrap_or_else(|| vec![PortBinding::default()]);
        bindings.entry(read_port(port)?).or_default().extend(given);
    }
    if host.publish_all_ports == Some(true) {
        for port in config.exposed_ports.iter().flatten() {
            for port in read_ports(port)? {
                bindings.entry(port).or_insert_with(|| vec![PortBinding::default()]);
            }
        }
    }
    let mut wanted = Vec::new();
    for ((port, protocol), bindings) in bindings {
        for binding in bindings {
            let address = match binding.host_ip.as_deref().unwrap_or("") {
                "" => default,
                text => Some(text.parse().map_err(|_| Error::Invalid(format!("invalid host IP {text:?}")))?),
            };
            let text = binding.host_port.as_deref().unwrap_or("");
            let host_ports = match text {
                "" | "0" => (0, 0),
                _ => range(text).ok_or_else(|| Error::Invalid(format!("invalid host port {text:?}")))?,
            };
            let publish = Publish { address, host_ports, port, protocol };
            // Said twice, it is published once.
            if !wanted.contains(&publish) || host_ports == (0, 0) {
                wanted.push(publish);
            }
        }
    }
    Ok(wanted)
}

/// Whether a port of the host can lead to containers of that network.
pub(crate) fn can_lead_to(network: &Network) -> bool {
    network.driver == Driver::Bridge && !network.settings.internal
}

/// Whether anything is to be published.
pub(crate) fn any(host: &HostConfig) -> bool {
    host.port_bindings.as_ref().is_some_and(|map| !map.is_empty()) || host.publish_all_ports == Some(true)
}

/// The container's ports that are published when it runs.
pub(crate) fn bound(config: &ContainerCreateBody) -> Vec<Port> {
    let Some(host) = &config.host_config else { return Vec::new() };
    let all = config.exposed_ports.iter().flatten().filter(|_| host.publish_all_ports == Some(true));
    let bindings = host.port_bindings.iter().flatten().map(|(port, _)| port);
    bindings.chain(all).flat_map(|port| read_ports(port).unwrap_or_default()).collect()
}

/// The container's ports that others are told of: those, and what it or its image exposes.
pub(crate) fn exposed(config: &ContainerCreateBody) -> Vec<Port> {
    let exposed = config.exposed_ports.iter().flatten();
    exposed.flat_map(|port| read_ports(port).unwrap_or_default()).chain(bound(config)).collect()
}

/// Docker's map of a running container: each port that is exposed, with where it is published if it is.
pub(crate) fn map(config: &ContainerCreateBody, published: &[HostPort]) -> PortMap {
    let mut all = PortMap::new();
    for port in config.exposed_ports.iter().flatten().flat_map(|text| read_ports(text).unwrap_or_default()) {
        all.insert(text(port), None);
    }
    for one in published {
        let binding =
            PortBinding { host_ip: Some(one.address.to_string()), host_port: Some(one.port.to_string()) };
        let bindings = all.entry(text((one.container_port, one.protocol))).or_default();
        bindings.get_or_insert_default().push(binding);
    }
    all
}

/// Docker's list of a running container, ordered.
pub(crate) fn summaries(config: &ContainerCreateBody, published: &[HostPort]) -> Vec<PortSummary> {
    let exposed = config.exposed_ports.iter().flatten().flat_map(|text| read_ports(text).unwrap_or_default());
    let has = |port: &Port| published.iter().any(|one| (one.container_port, one.protocol) == *port);
    let mut all: Vec<PortSummary> = exposed
        .filter(|port| !has(port))
        .map(|(port, protocol)| PortSummary {
            ip: None,
            private_port: port,
            public_port: None,
            typ: Some(kind(protocol)),
        })
        .collect();
    all.extend(published.iter().map(|one| PortSummary {
        ip: Some(one.address.to_string()),
        private_port: one.container_port,
        public_port: Some(one.port),
        typ: Some(kind(one.protocol)),
    }));
    all.sort_by(|one, other| {
        let key = |port: &PortSummary| (port.private_port, port.public_port, port.typ, port.ip.clone());
        key(one).cmp(&key(other))
    });
    all.dedup();
    all
}

fn kind(protocol: Protocol) -> PortSummaryTypeEnum {
    match protocol {
        Protocol::Tcp => PortSummaryTypeEnum::TCP,
        Protocol::Udp => PortSummaryTypeEnum::UDP,
        Protocol::Sctp => PortSummaryTypeEnum::SCTP,
    }
}

fn text((port, protocol): Port) -> String {
    format!("{port}/{}", kind(protocol))
}

/// `PORT[/PROTOCOL]`.
fn read_port(text: &str) -> Result<Port> {
    match read_ports(text)?[..] {
        [port] => Ok(port),
        _ => Err(Error::Invalid(format!("invalid port {text:?}: one port alone"))),
    }
}

/// `PORT[-PORT][/PROTOCOL]`.
pub(crate) fn read_ports(text: &str) -> Result<Vec<Port>> {
    let bad = || Error::Invalid(format!("invalid port {text:?}: PORT[-PORT][/tcp|/udp|/sctp]"));
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err(bad()),
    };
    let (first, last) = range(ports).ok_or_else(bad)?;
    Ok((first..=last).map(|port| (port, protocol)).collect())
}

/// `PORT[-PORT]`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && !text.starts_with('+'));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(port: &str, ip: &str, host_port: &str) -> HostConfig {
        let binding = PortBinding { host_ip: Some(ip.into()), host_port: Some(host_port.into()) };
        let ports = PortMap::from([(port.to_owned(), Some(vec![binding]))]);
        HostConfig { port_bindings: Some(ports), ..HostConfig::default() }
    }

    #[test]
    fn what_is_wanted_is_read_or_refused() {
        let config = ContainerCreateBody {
            exposed_ports: Some(vec!["80/tcp".into(), "53/udp".into()]),
            ..ContainerCreateBody::default()
        };
        let read = |port: &str, ip: &str, host_port: &str| wanted(&config, &host(port, ip, host_port), None);
        let one = |port: &str, ip: &str, host_port: &str| read(port, ip, host_port).unwrap().remove(0);
        let expected = Publish { address: None, host_ports: (8080, 8080), port: 80, protocol: Protocol::Tcp };
        assert_eq!(one("80", "", "8080"), expected);
        assert_eq!(one("80/tcp", "", "8080"), expected);
        assert_eq!(one("80/udp", "::1", "8000-8010").host_ports, (8000, 8010));
        assert_eq!(one("80", "127.0.0.1", "").host_ports, (0, 0));
        for (port, ip, host_port) in [
            ("x", "", ""),
            ("80/what", "", ""),
            ("80", "host", ""),
            ("80", "", "70000"),
            ("80", "", "9-8"),
            ("1-2", "", ""),
        ] {
            assert!(read(port, ip, host_port).is_err(), "{port} {ip} {host_port}");
        }
        let all = HostConfig { publish_all_ports: Some(true), ..host("80", "", "8080") };
        let ports: Vec<_> = wanted(&config, &all, None).unwrap().iter().map(|one| one.host_ports).collect();
        assert_eq!(ports, [(0, 0), (8080, 8080)]);
        let default = Some("192.0.2.1".parse().unwrap());
        assert_eq!(wanted(&config, &host("80", "", "1"), default).unwrap()[0].address, default);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(port in ".{0,12}", ip in ".{0,12}", host_port in ".{0,12}") {
            let _ = wanted(&ContainerCreateBody::default(), &host(&port, &ip, &host_port), None);
        }
    }
}
