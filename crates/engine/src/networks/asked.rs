//! Which networks a container is to be on: `--network` and what goes with it, in Docker's form.

use bollard_stubs::models::{ContainerCreateBody, EndpointSettings, HostConfig};

use crate::error::{Error, Result};
use crate::spec::namespaces::{Mode, Modes};
use crate::store::endpoints::Settings;
use crate::store::networks::{DEFAULT, Driver, Network};
use crate::{Engine, id};

/// A network that a container is to be on, and how.
pub(crate) type Asked = (Network, Settings);

impl Engine {
    /// The networks that the request asks for, the one of `--network` first.
    ///
    /// # Errors
    /// A network that is not there, or what a container on it cannot have.
    pub(crate) fn asked_networks(
        &mut self,
        request: &ContainerCreateBody,
        host: &HostConfig,
    ) -> Result<Vec<Asked>> {
        let mut given: Vec<(String, EndpointSettings)> = request
            .networking_config
            .as_ref()
            .and_then(|config| config.endpoints_config.clone())
            .unwrap_or_default()
            .into_iter()
            .collect();
        given.sort_by(|one, other| one.0.cmp(&other.0));
        let mode = host.network_mode.as_deref().unwrap_or("");
        let own = Modes::of(host)?.net == Mode::Own;
        let others = |given: &[(String, EndpointSettings)]| {
            given
                .iter()
                .any(|(name, _)| name != mode && !(own && matches!(name.as_str(), "default" | DEFAULT)))
        };
        if !own {
            return match others(&given) {
                true => Err(Error::Invalid(format!(
                    "conflicting options: a container with the network mode {mode} cannot be on other networks"
                ))),
                false => Ok(Vec::new()),
            };
        }
        let first = self.network(if mode.is_empty() { DEFAULT } else { mode })?;
        let mut asked: Vec<Asked> = Vec::new();
        for (name, settings) in given {
            let network = self.network(&name)?;
            if matches!(network.driver, Driver::Host | Driver::Null) {
                return Err(Error::Invalid(format!(
                    "container cannot be connected to multiple networks with one of the networks in [{}] mode",
                    network.name
                )));
            }
            if asked.iter().any(|(other, _)| other.id == network.id) {
                return Err(Error::Invalid(format!("network {name} is named more than once")));
            }
            let settings = settings_of(&network, &settings)?;
            let place = if network.id == first.id { 0 } else { asked.len() };
            asked.insert(place, (network, settings));
        }
        if asked.first().is_none_or(|(network, _)| network.id != first.id) {
            asked.insert(0, (first, Settings::default()));
        }
        if let Some((_, settings)) = asked.first_mut().filter(|(network, _)| network.has_names()) {
            let links = host.links.iter().flatten().filter(|link| !settings.links.contains(link)).cloned();
            let links: Vec<String> = links.collect();
            links.iter().try_for_each(|link| check_link(link).map(drop))?;
            settings.links.extend(links);
        }
        Ok(asked)
    }
}

/// What a container asks for on a network, checked.
///
/// # Errors
/// What cannot be had on that network.
pub(crate) fn settings_of(network: &Network, given: &EndpointSettings) -> Result<Settings> {
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let ipam = given.ipam_config.clone().unwrap_or_default();
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let bad = |what: &str, text: &str| Error::Invalid(format!("invalid {what}: {text}"));
    let settings = Settings {
        aliases: list(&given.aliases),
        links: list(&given.links),
        ipv4: text(&ipam.ipv4_address)
            .map(|text| text.parse().map_err(|_| bad("IPv4 address", &text)))
            .transpose()?,
        ipv6: text(&ipam.ipv6_address)
            .map(|text| text.parse().map_err(|_| bad("IPv6 address", &text)))
            .transpose()?,
        mac: text(&given.mac_address)
            .map(|text| {
                let mac = bulkhead_network::mac::parse(&text);
                mac.map(bulkhead_network::mac::text).ok_or_else(|| bad("MAC address", &text))
            })
            .transpose()?,
        gateway_priority: given.gw_priority.unwrap_or(0),
        driver_options: given.driver_opts.clone().unwrap_or_default().into_iter().collect(),
    };
    if ipam.link_local_ips.as_ref().is_some_and(|list| !list.is_empty()) {
        return Err(Error::Invalid(
            "this version of bulkhead does not support link-local addresses of one's own".into(),
        ));
    }
    if let Some(key) = settings.driver_options.keys().next() {
        return Err(Error::Invalid(format!("unknown driver option {key:?} of an endpoint")));
    }
    if !network.has_names() {
        if settings.ipv4.is_some() || settings.ipv6.is_some() {
            return Err(Error::Invalid(
                "invalid config for network bridge: user specified IP address is supported on user defined networks only"
                    .into(),
            ));
        }
        if !settings.aliases.is_empty() {
            return Err(Error::Invalid(
                "invalid config for network bridge: network-scoped aliases are only supported for user-defined networks"
                    .into(),
            ));
        }
    }
    settings.links.iter().try_for_each(|link| check_link(link).map(drop))?;
    Ok(settings)
}

/// `CONTAINER[:ALIAS]`, as Docker has it.
///
/// # Errors
/// It is neither.
pub(crate) fn check_link(text: &str) -> Result<(String, String)> {
    let (name, alias) = text.split_once(':').unwrap_or((text, text));
    // The API gives them as Docker shows them: "/db:/web/database".
    let name = name.trim_start_matches('/');
    let alias = alias.rsplit('/').next().unwrap_or(alias);
    if name.is_empty() || alias.is_empty() || alias.contains(':') {
        return Err(Error::Invalid(format!("invalid link {text:?}: write CONTAINER[:ALIAS]")));
    }
    Ok((name.to_owned(), alias.to_owned()))
}

/// The names that others on a network find a container by, its own first.
pub(crate) fn names(container: &crate::Container, settings: &Settings) -> Vec<String> {
    let hostname = container.config.hostname.clone().unwrap_or_default();
    let short = id::short(&container.id).to_owned();
    let all = [vec![container.name.clone()], settings.aliases.clone(), vec![short, hostname]].concat();
    let mut names: Vec<String> = Vec::new();
    for name in all {
        if !name.is_empty() && !names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            names.push(name);
        }
    }
    names
}
