//! `bulkhead network create`.

use std::collections::HashMap;

use bulkhead_engine::models::{Ipam, IpamConfig, NetworkCreateRequest};

use crate::failure::Failure;
use crate::options::labels;

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Driver: bridge or macvlan
    #[arg(short, long, value_name = "DRIVER", default_value = "bridge")]
    driver: String,
    /// Subnet, e.g. 10.1.0.0/24 or fd00:1::/64
    #[arg(long, value_name = "SUBNET")]
    subnet: Vec<String>,
    /// Gateway of the subnet [default: its first address]
    #[arg(long, value_name = "ADDRESS")]
    gateway: Vec<String>,
    /// Part of the subnet that containers get their addresses from
    #[arg(long, value_name = "SUBNET")]
    ip_range: Vec<String>,
    /// Address of the subnet that somebody else has: NAME=ADDRESS
    #[arg(long, value_name = "NAME=ADDRESS")]
    aux_address: Vec<String>,
    /// Let nothing out of the network, nor in
    #[arg(long)]
    internal: bool,
    /// Give containers IPv4 addresses
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    ipv4: Option<bool>,
    /// Give containers IPv6 addresses
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    ipv6: Option<bool>,
    /// Kept and shown: here any container can be connected to any network
    #[arg(long)]
    attachable: bool,
    /// Set a label
    #[arg(long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// Set an option of the driver, e.g. com.docker.network.bridge.name=NAME
    #[arg(short, long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// Who hands out addresses: default
    #[arg(long, value_name = "DRIVER", default_value = "default")]
    ipam_driver: String,
    /// Set an option of that (there are none)
    #[arg(long, value_name = "KEY=VALUE")]
    ipam_opt: Vec<String>,
    /// Where the network is: local
    #[arg(long, value_name = "SCOPE", hide = true)]
    scope: Option<String>,
    /// Make the network of a swarm's ingress (refused)
    #[arg(long, hide = true)]
    ingress: bool,
    /// Make a configuration alone (refused)
    #[arg(long, hide = true)]
    config_only: bool,
    /// Use another network's configuration (refused)
    #[arg(long, value_name = "NETWORK", hide = true)]
    config_from: Option<String>,
    /// Name
    #[arg(value_name = "NETWORK")]
    name: String,
}

impl Create {
    pub(super) fn request(self) -> Result<NetworkCreateRequest, Failure> {
        let pairs = |given: &[String]| labels(given, &[]);
        Ok(NetworkCreateRequest {
            ipam: Some(Ipam {
                driver: Some(self.ipam_driver.clone()),
                config: Some(self.subnets()?).filter(|list| !list.is_empty()),
                options: Some(pairs(&self.ipam_opt)?).filter(|map| !map.is_empty()),
            }),
            name: self.name,
            driver: Some(self.driver),
            scope: self.scope,
            internal: Some(self.internal),
            attachable: Some(self.attachable),
            ingress: Some(self.ingress),
            config_only: Some(self.config_only),
            config_from: self
                .config_from
                .map(|network| bulkhead_engine::models::ConfigReference { network: Some(network) }),
            enable_ipv4: self.ipv4,
            enable_ipv6: self.ipv6,
            options: Some(pairs(&self.opt)?),
            labels: Some(pairs(&self.label)?),
        })
    }

    /// Each gateway, range and address belongs to the subnet that it lies in.
    fn subnets(&self) -> Result<Vec<IpamConfig>, Failure> {
        let mut all: Vec<(ipnet::IpNet, IpamConfig)> = Vec::new();
        for text in &self.subnet {
            let subnet = text.parse().map_err(|_| {
                Failure::new(format!("invalid subnet {text}: an address and a length, 10.1.0.0/24"))
            })?;
            all.push((subnet, IpamConfig { subnet: Some(text.clone()), ..IpamConfig::default() }));
        }
        let of = |all: &mut Vec<(ipnet::IpNet, IpamConfig)>, what: &str, text: &str| {
            let address = text.split('/').next().and_then(|address| address.parse().ok());
            let place = address.and_then(|address: std::net::IpAddr| {
                all.iter().position(|(subnet, _)| subnet.contains(&address))
            });
            place.ok_or_else(|| Failure::new(format!("no matching subnet for {what} {text}")))
        };
        for text in &self.gateway {
            let place = of(&mut all, "gateway", text)?;
            for (_, config) in all.iter_mut().skip(place).take(1) {
                if config.gateway.replace(text.clone()).is_some() {
                    return Err(Failure::new(format!(
                        "cannot configure multiple gateways ({text}) for one subnet"
                    )));
                }
            }
        }
        for text in &self.ip_range {
            let place = of(&mut all, "range", text)?;
            for (_, config) in all.iter_mut().skip(place).take(1) {
                if config.ip_range.replace(text.clone()).is_some() {
                    return Err(Failure::new(format!(
                        "cannot configure multiple ranges ({text}) for one subnet"
                    )));
                }
            }
        }
        for text in &self.aux_address {
            let Some((name, address)) = text.split_once('=') else {
                return Err(Failure::new(format!("invalid aux-address {text}: NAME=ADDRESS")));
            };
            let place = of(&mut all, "aux-address", address)?;
            for (_, config) in all.iter_mut().skip(place).take(1) {
                let map: &mut HashMap<_, _> = config.auxiliary_addresses.get_or_insert_default();
                map.insert(name.to_owned(), address.to_owned());
            }
        }
        Ok(all.into_iter().map(|(_, config)| config).collect())
    }
}
