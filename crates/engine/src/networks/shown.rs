//! The networks and published ports of containers, in Docker's form.

use std::collections::HashMap;

use bollard_stubs::models::{EndpointIpamConfig, EndpointSettings};
use bulkhead_network::mac;
use bulkhead_supervisor::networks::{HostPort, Published, published_ports, read_published};

use super::asked::names;
use super::memberships::{endpoint_id, mac_of};
use crate::Engine;
use crate::error::{Doing, Result};
use crate::spec::namespaces::{Mode, Modes};
use crate::store::containers::Container;
use crate::store::endpoints::{self, Endpoint};
use crate::store::networks::{self, Network};

/// What is known of networks, read once for many containers.
pub(crate) struct Networks {
    networks: HashMap<String, Network>,
    endpoints: HashMap<String, Vec<Endpoint>>,
    published: HashMap<String, Vec<HostPort>>,
}

impl Engine {
    /// What is known of the networks of all containers.
    ///
    /// # Errors
    /// The database's, or what supervisors say of their ports cannot be read.
    pub(crate) fn all_networks(&self) -> Result<Networks> {
        let connection = self.store.read();
        let published =
            published_ports(&self.roots.published()).doing(|| "read which ports are published")?;
        Ok(Networks {
            networks: networks::all(connection)?.into_iter().map(|one| (one.id.clone(), one)).collect(),
            endpoints: endpoints::by_container(connection)?,
            published: published.into_iter().map(|one| (one.id, one.ports)).collect(),
        })
    }

    /// What is known of those of one.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn networks_shown(&self, container: &Container) -> Result<Networks> {
        let places = self.places(&container.id)?;
        let (endpoints, networks): (Vec<Endpoint>, Vec<Network>) = places.into_iter().unzip();
        let published =
            self.published(&container.id)?.map(|published| (container.id.clone(), published.ports));
        Ok(Networks {
            networks: networks.into_iter().map(|one| (one.id.clone(), one)).collect(),
            endpoints: HashMap::from([(container.id.clone(), endpoints)]),
            published: published.into_iter().collect(),
        })
    }

    /// What a container's supervisor says that it has published.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn published(&self, id: &str) -> Result<Option<Published>> {
        read_published(&self.roots.published(), id).doing(|| "read which ports are published")
    }
}

impl Networks {
    /// The ports that a container has published.
    pub(crate) fn published(&self, container: &str, running: bool) -> &[HostPort] {
        self.published.get(container).filter(|_| running).map_or(&[], Vec::as_slice)
    }

    /// A container's places, by the names of the networks.
    ///
    /// # Errors
    /// Its network mode cannot be read.
    pub(crate) fn endpoints(
        &self,
        container: &Container,
        running: bool,
    ) -> Result<HashMap<String, EndpointSettings>> {
        let host = container.config.host_config.clone().unwrap_or_default();
        let named = |name: &str| HashMap::from([(name.to_owned(), EndpointSettings::default())]);
        match Modes::of(&host)?.net {
            Mode::Own => {}
            Mode::Nothing => return Ok(named("none")),
            Mode::Host => return Ok(named("host")),
            Mode::Container(_) => return Ok(HashMap::new()),
        }
        let places: Vec<(Endpoint, Network)> = self
            .endpoints
            .get(&container.id)
            .into_iter()
            .flatten()
            .filter_map(|one| Some((one.clone(), self.networks.get(&one.network)?.clone())))
            .collect();
        Ok(places.iter().map(|place| (place.1.name.clone(), shown(container, place, running))).collect())
    }
}

fn shown(
    container: &Container,
    (endpoint, network): &(Endpoint, Network),
    running: bool,
) -> EndpointSettings {
    let settings = &endpoint.settings;
    let list = |list: &Vec<String>| Some(list.clone()).filter(|list| !list.is_empty());
    let asked = settings.ipv4.is_some() || settings.ipv6.is_some();
    let mut shown = EndpointSettings {
        ipam_config: asked.then(|| EndpointIpamConfig {
            ipv4_address: settings.ipv4.map(|address| address.to_string()),
            ipv6_address: settings.ipv6.map(|address| address.to_string()),
            link_local_ips: None,
        }),
        links: list(&settings.links),
        aliases: list(&settings.aliases),
        gw_priority: Some(settings.gateway_priority),
        network_id: Some(network.id.clone()),
        dns_names: network.has_names().then(|| names(container, settings)),
        mac_address: settings.mac.clone(),
        ..EndpointSettings::default()
    };
    if !running {
        return shown;
    }
    // Docker shows each network's gateway, whichever is the way out.
    let gateway = |v6: bool| {
        let ipam = network.ipam(v6).filter(|_| !network.settings.internal);
        ipam.map(|ipam| ipam.gateway.to_string()).unwrap_or_default()
    };
    let length = |v6: bool| network.ipam(v6).map_or(0, |ipam| i64::from(ipam.subnet.prefix_len()));
    shown.endpoint_id = Some(endpoint_id(endpoint));
    shown.mac_address = Some(mac::text(mac_of(endpoint)));
    shown.gateway = Some(gateway(false));
    shown.ip_address = Some(endpoint.ipv4.map(|address| address.to_string()).unwrap_or_default());
    shown.ip_prefix_len = Some(length(false));
    shown.ipv6_gateway = Some(gateway(true));
    shown.global_ipv6_address = Some(endpoint.ipv6.map(|address| address.to_string()).unwrap_or_default());
    shown.global_ipv6_prefix_len = Some(length(true));
    shown
}
