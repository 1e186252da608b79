//! `--network` and what goes with it: the networks that a container is to be on, in Docker's form.

use std::collections::HashMap;

use bulkhead_engine::models::{EndpointIpamConfig, EndpointSettings, NetworkingConfig};
use clap::Args;

use super::{CreateFlags, invalid, lists};
use crate::failure::Failure;

/// What a container can ask for on a network, as `network connect` takes it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct EndpointFlags {
    /// IPv4 address on the network
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// IPv6 address on the network
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<String>,
    /// Find another container by this name: CONTAINER[:ALIAS]
    #[arg(long, value_name = "LINK")]
    pub link: Vec<String>,
    /// Set an option of the network's driver (there are none)
    #[arg(long, value_name = "KEY=VALUE")]
    pub driver_opt: Vec<String>,
    /// The network with the highest is the way to all others
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub gw_priority: i64,
}

impl EndpointFlags {
    /// In Docker's form.
    pub(crate) fn settings(&self) -> Result<EndpointSettings, Failure> {
        let list = |list: &Vec<String>| Some(list.clone()).filter(|list| !list.is_empty());
        Ok(EndpointSettings {
            ipam_config: (self.ip.is_some() || self.ip6.is_some()).then(|| EndpointIpamConfig {
                ipv4_address: self.ip.clone(),
                ipv6_address: self.ip6.clone(),
                link_local_ips: None,
            }),
            links: list(&self.link),
            driver_opts: Some(lists::pairs("driver-opt", &self.driver_opt)?).filter(|map| !map.is_empty()),
            gw_priority: Some(self.gw_priority),
            ..EndpointSettings::default()
        })
    }
}

/// Modes that are no networks.
fn is_mode(name: &str) -> bool {
    matches!(name, "host" | "none") || name.starts_with("container:")
}

impl CreateFlags {
    /// The first network's name, which Docker calls the network mode, and what is asked for on each.
    pub(super) fn networks(&self) -> Result<(String, Option<NetworkingConfig>), Failure> {
        let refuse = |message: String| Err(Failure::new(message).code(125));
        let mut all: Vec<(String, EndpointSettings)> = Vec::new();
        for text in &self.network {
            let (name, settings) = network(text)?;
            if all.iter().any(|(known, _)| *known == name) {
                return refuse(format!("network \"{name}\" is specified multiple times"));
            }
            all.push((name, settings));
        }
        if all.len() > 1 && all.iter().any(|(name, _)| is_mode(name)) {
            return refuse(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
                    .into(),
            );
        }
        let mode = all.first().map_or_else(|| "default".to_owned(), |(name, _)| name.clone());
        // The flags that name no network are about the first.
        let list = |list: &Vec<String>| Some(list.clone()).filter(|list| !list.is_empty());
        let mut own = EndpointSettings {
            aliases: list(&self.network_alias),
            links: list(&self.link),
            mac_address: self.mac_address.clone(),
            ..EndpointSettings::default()
        };
        if self.ip.is_some() || self.ip6.is_some() {
            own.ipam_config = Some(EndpointIpamConfig {
                ipv4_address: self.ip.clone(),
                ipv6_address: self.ip6.clone(),
                link_local_ips: None,
            });
        }
        if own != EndpointSettings::default() {
            if is_mode(&mode) {
                return refuse(format!(
                    "conflicting options: --ip, --mac-address, --link and --network-alias make no sense with --network={mode}"
                ));
            }
            let first = match all.first_mut() {
                Some((_, first)) => first,
                None => {
                    all.push((mode.clone(), EndpointSettings::default()));
                    &mut all.last_mut().ok_or_else(|| Failure::new("no network"))?.1
                }
            };
            let both = |what: &str| {
                Err(Failure::new(format!(
                    "conflicting options: cannot specify both --{what} and per-network {what}"
                ))
                .code(125))
            };
            match (&first.aliases, &own.aliases) {
                (Some(_), Some(_)) => return both("network-alias"),
                (None, Some(_)) => first.aliases = own.aliases,
                _ => {}
            }
            match (&first.ipam_config, &own.ipam_config) {
                (Some(_), Some(_)) => return both("ip"),
                (None, Some(_)) => first.ipam_config = own.ipam_config,
                _ => {}
            }
            match (&first.mac_address, &own.mac_address) {
                (Some(_), Some(_)) => return both("mac-address"),
                (None, Some(_)) => first.mac_address = own.mac_address,
                _ => {}
            }
            first.links = first.links.take().or(own.links);
        }
        // On the default network links are the container's own matter.
        if matches!(mode.as_str(), "default" | "bridge")
            && let Some((_, first)) = all.first_mut()
        {
            first.links = None;
        }
        all.retain(|(name, _)| !is_mode(name));
        let config = NetworkingConfig { endpoints_config: Some(all.into_iter().collect::<HashMap<_, _>>()) };
        Ok((
            mode,
            Some(config).filter(|config| config.endpoints_config.as_ref().is_some_and(|all| !all.is_empty())),
        ))
    }
}

/// `NETWORK`, or `name=NETWORK[,alias=NAME][,ip=ADDRESS][,ip6=ADDRESS][,mac-address=ADDRESS][,link-local-ip=ADDRESS]
/// [,driver-opt=KEY=VALUE][,gw-priority=N]`.
fn network(text: &str) -> Result<(String, EndpointSettings), Failure> {
    let mut settings = EndpointSettings::default();
    if !text.contains('=') {
        return Ok((text.to_owned(), settings));
    }
    let mut name = None;
    for part in text.split(',') {
        let bad = || invalid("network", text, "NETWORK or name=NETWORK[,alias=NAME][,ip=ADDRESS]…");
        let (key, value) = part.split_once('=').ok_or_else(bad)?;
        let value = value.trim();
        let ipam = &mut settings.ipam_config;
        match key.trim().to_ascii_lowercase().as_str() {
            "name" => name = Some(value.to_owned()),
            "alias" => settings.aliases.get_or_insert_default().push(value.to_owned()),
            "ip" => ipam.get_or_insert_default().ipv4_address = Some(value.to_owned()),
            "ip6" => ipam.get_or_insert_default().ipv6_address = Some(value.to_owned()),
            "mac-address" => settings.mac_address = Some(value.to_owned()),
            "link-local-ip" => {
                ipam.get_or_insert_default().link_local_ips.get_or_insert_default().push(value.to_owned());
            }
            "driver-opt" => {
                let (key, value) = value.split_once('=').ok_or_else(bad)?;
                settings.driver_opts.get_or_insert_default().insert(key.to_owned(), value.to_owned());
            }
            "gw-priority" => settings.gw_priority = Some(value.parse().map_err(|_| bad())?),
            _ => return Err(bad()),
        }
    }
    let missing = || invalid("network", text, "the network's name: name=NETWORK");
    Ok((name.filter(|name| !name.is_empty()).ok_or_else(missing)?, settings))
}

#[cfg(test)]
mod tests {
    use super::network;
    use proptest::prelude::*;

    #[test]
    fn both_forms_of_network() {
        assert_eq!(network("web").ok().map(|(name, _)| name).as_deref(), Some("web"));
        let long = "name=web,alias=a,alias=b,ip=10.1.0.9,mac-address=02:42:00:00:00:01,gw-priority=-3";
        let (name, settings) = network(long).ok().unwrap_or_default();
        assert_eq!(name, "web");
        assert_eq!(settings.aliases, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(settings.gw_priority, Some(-3));
        for bad in ["alias=a", "name=", "name=a,what=b", "name=a,ip", "name=a,gw-priority=x"] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "[a-z=,.:0-9-]{0,40}") {
            let _ = network(&text);
        }
    }
}
