//! `network inspect` and `network ls`: networks in Docker's form.

use std::collections::HashMap;

use bollard_stubs::models::{EndpointResource, Ipam as IpamModel, IpamConfig, NetworkInspect};
use bulkhead_network::mac;
use ipnet::IpNet;
use time::OffsetDateTime;

use crate::Engine;
use crate::error::Result;
use crate::networks::memberships::{endpoint_id, mac_of};
use crate::store::networks::{self, Ipam, Network};
use crate::store::{containers, endpoints};

impl Engine {
    /// All networks, by name.
    ///
    /// # Errors
    /// The database's.
    pub fn networks(&mut self) -> Result<Vec<NetworkInspect>> {
        self.default_network()?;
        Ok(networks::all(self.store.read())?.iter().map(shown).collect())
    }

    /// Everything about a network, with the containers that are on it now.
    ///
    /// # Errors
    /// There is none of that name, or the database's.
    pub fn inspect_network(&mut self, wanted: &str) -> Result<NetworkInspect> {
        let network = self.network(wanted)?;
        let mut inspected = shown(&network);
        let mut here = HashMap::new();
        for endpoint in endpoints::of_network(self.store.read(), &network.id)? {
            let Ok(container) = containers::find(self.store.read(), &endpoint.container) else { continue };
            if self.condition(&container)?.running().is_none() {
                continue;
            }
            let with_length = |address: Option<std::net::IpAddr>, v6: bool| {
                let length = network.ipam(v6).map_or(0, |ipam| ipam.subnet.prefix_len());
                address.map(|address| format!("{address}/{length}")).unwrap_or_default()
            };
            let resource = EndpointResource {
                name: Some(container.name),
                endpoint_id: Some(endpoint_id(&endpoint)),
                mac_address: Some(mac::text(mac_of(&endpoint))),
                ipv4_address: Some(with_length(endpoint.ipv4.map(Into::into), false)),
                ipv6_address: Some(with_length(endpoint.ipv6.map(Into::into), true)),
            };
            here.insert(container.id, resource);
        }
        inspected.containers = Some(here);
        Ok(inspected)
    }

    /// Whether a container is on the network, running or not.
    ///
    /// # Errors
    /// The database's.
    pub fn network_is_used(&self, id: &str) -> Result<bool> {
        Ok(!endpoints::of_network(self.store.read(), id)?.is_empty())
    }
}

fn shown(network: &Network) -> NetworkInspect {
    let settings = &network.settings;
    let config = |ipam: &Ipam| IpamConfig {
        subnet: Some(ipam.subnet.to_string()),
        ip_range: ipam.range.map(|range| range.to_string()),
        gateway: Some(ipam.gateway.to_string()),
        auxiliary_addresses: Some(
            ipam.auxiliary.iter().map(|(name, address)| (name.clone(), address.to_string())).collect(),
        )
        .filter(|map: &HashMap<_, _>| !map.is_empty()),
    };
    let has = |v6: bool| settings.ipam.iter().any(|ipam| matches!(ipam.subnet, IpNet::V6(_)) == v6);
    NetworkInspect {
        name: Some(network.name.clone()),
        id: Some(network.id.clone()),
        created: OffsetDateTime::from_unix_timestamp_nanos(network.created.into()).ok(),
        scope: Some("local".into()),
        driver: Some(network.driver.word().into()),
        enable_ipv4: Some(has(false) || settings.ipam.is_empty()),
        enable_ipv6: Some(has(true)),
        ipam: Some(IpamModel {
            driver: Some("default".into()),
            config: Some(settings.ipam.iter().map(config).collect()),
            options: Some(HashMap::new()),
        }),
        internal: Some(settings.internal),
        attachable: Some(settings.attachable),
        ingress: Some(false),
        config_only: Some(false),
        containers: Some(HashMap::new()),
        options: Some(settings.options.clone().into_iter().collect()),
        labels: Some(settings.labels.clone().into_iter().collect()),
        ..NetworkInspect::default()
    }
}
