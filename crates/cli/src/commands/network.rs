//! `bulkhead network`: connect, create, disconnect, inspect, ls, prune, reload, rm.

use std::collections::HashMap;
use std::io::Write;

use bulkhead_engine::models::{Ipam, IpamConfig, NetworkCreateRequest, NetworkInspect};
use serde_json::json;

use super::container::confirmed;
use super::prune::{PruneFilter, print_deleted};
use super::{Done, shown};
use crate::Context;
use crate::failure::{Failure, complain};
use crate::options::labels;
use crate::options::networks::EndpointFlags;
use crate::output::filters::Filters;
use crate::output::format::{Row, Table, print_rows};
use crate::output::inspect::print_inspect;
use crate::output::times::created_at;
use crate::template::{Shape, Type};

/// Manage networks
#[derive(Debug, clap::Args)]
pub struct Network {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Connect a container to a network
    Connect(Connect),
    /// Make a network
    Create(Box<Create>),
    /// Take a container off a network
    Disconnect {
        /// Even if its supervisor cannot take the link away
        #[arg(short, long)]
        force: bool,
        /// Network
        network: String,
        /// Container
        container: String,
    },
    /// Show everything about networks
    Inspect {
        /// A Go template, or "json"
        #[arg(short, long, value_name = "FORMAT")]
        format: Option<String>,
        /// Taken, and means nothing: there is no swarm
        #[arg(short, long)]
        verbose: bool,
        /// Names or IDs
        #[arg(required = true, value_name = "NETWORK")]
        names: Vec<String>,
    },
    /// List networks
    #[command(visible_alias = "list")]
    Ls {
        /// Show only some: dangling=BOOL, driver=, id=, label=KEY[=VALUE], name=, scope=, type=builtin|custom
        #[arg(short, long, value_name = "KEY=VALUE")]
        filter: Vec<String>,
        /// A Go template, "table TEMPLATE" or "json"
        #[arg(long, value_name = "FORMAT")]
        format: Option<String>,
        /// Whole IDs
        #[arg(long)]
        no_trunc: bool,
        /// IDs alone
        #[arg(short, long)]
        quiet: bool,
    },
    /// Remove the networks that no container is on
    Prune {
        /// Remove only some: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]
        #[arg(long, value_name = "KEY=VALUE")]
        filter: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Make right again what the networks of running containers have on the host
    Reload,
    /// Remove networks
    #[command(visible_alias = "remove")]
    Rm {
        /// Take it as done that others are not there
        #[arg(short, long)]
        force: bool,
        /// Names or IDs
        #[arg(required = true, value_name = "NETWORK")]
        names: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Connect {
    /// Another name for it on that network
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    #[command(flatten)]
    endpoint: EndpointFlags,
    /// Its address in the link's own range (refused)
    #[arg(long, value_name = "ADDRESS", hide = true)]
    link_local_ip: Vec<String>,
    /// Network
    network: String,
    /// Container
    container: String,
}

#[derive(Debug, clap::Args)]
struct Create {
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

const TABLE: Table<'static> = Table {
    format: "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    quiet: "{{.ID}}",
    raw: None,
    headers: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("CreatedAt", "CREATED AT"),
    ],
    shapes: &[],
    type_name: "*network.networkContext",
};

impl Network {
    pub(super) fn run(self, context: &Context) -> Done {
        match self.command {
            Subcommand::Connect(command) => command.run(context),
            Subcommand::Create(command) => {
                let made = context.engine()?.create_network(command.request()?)?;
                println!("{}", made.id);
                Ok(0)
            }
            Subcommand::Disconnect { force, network, container } => {
                let mut engine = context.engine()?;
                let network = engine.network(&network)?;
                let container = engine.container(&container)?;
                engine.disconnect_network(&network, &container, force)?;
                Ok(0)
            }
            Subcommand::Inspect { format, verbose: _, names } => inspect(context, format.as_deref(), &names),
            Subcommand::Ls { filter, format, no_trunc, quiet } => {
                list(context, &filter, format.as_deref(), no_trunc, quiet)
            }
            Subcommand::Prune { filter, force } => prune(context, &filter, force),
            Subcommand::Reload => {
                let done = context.engine()?.reload_networks()?;
                println!("{} containers on {} bridges", done.containers, done.bridges);
                Ok(0)
            }
            Subcommand::Rm { force, names } => {
                let mut engine = context.engine()?;
                let mut code = 0;
                for name in &names {
                    match engine.remove_network(name) {
                        Ok(_) => println!("{name}"),
                        Err(bulkhead_engine::Error::NotFound { .. }) if force => {}
                        Err(error) => {
                            complain(&error.to_string());
                            code = 1;
                        }
                    }
                }
                Ok(code)
            }
        }
    }
}

impl Connect {
    fn run(self, context: &Context) -> Done {
        let mut settings = self.endpoint.settings()?;
        settings.aliases = Some(self.alias).filter(|list| !list.is_empty());
        if !self.link_local_ip.is_empty() {
            settings.ipam_config.get_or_insert_default().link_local_ips = Some(self.link_local_ip);
        }
        let mut engine = context.engine()?;
        let network = engine.network(&self.network)?;
        let container = engine.container(&self.container)?;
        engine.connect_network(&network, &container, &settings)?;
        Ok(0)
    }
}

impl Create {
    fn request(self) -> Result<NetworkCreateRequest, Failure> {
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

fn inspect(context: &Context, format: Option<&str>, names: &[String]) -> Done {
    let mut engine = context.engine()?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        match engine.inspect_network(name) {
            Ok(network) => found.push(network),
            Err(error) => missing.push(error.to_string()),
        }
    }
    let mut out = std::io::stdout().lock();
    let shapes = &[("Labels", Shape::StringMap), ("Options", Shape::StringMap), ("Containers", Shape::Map)];
    let kind = Type { name: "network.Inspect", shapes };
    if !found.is_empty() {
        shown(print_inspect(&mut out, format, &found, kind))?;
    } else if format.is_none() {
        out.write_all(b"[]\n")?;
    }
    for message in &missing {
        complain(message);
    }
    Ok(u8::from(!missing.is_empty()))
}

fn list(context: &Context, filter: &[String], format: Option<&str>, whole: bool, quiet: bool) -> Done {
    let bad = |error: crate::output::filters::FilterError| Failure::new(error.to_string());
    let filters = Filters::parse(filter).map_err(bad)?;
    shown(filters.only(&["dangling", "driver", "id", "label", "name", "scope", "type"]))?;
    let dangling = filters.truth("dangling").map_err(bad)?;
    let mut engine = context.engine()?;
    let mut rows = Vec::new();
    for network in engine.networks()? {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (id, name, driver) = (text(&network.id), text(&network.name), text(&network.driver));
        let builtin = matches!(name.as_str(), "bridge" | "host" | "none");
        let kind = if builtin { "builtin" } else { "custom" };
        let labels = network.labels.clone().unwrap_or_default().into_iter().collect();
        let unused = match dangling {
            Some(wanted) => (!builtin && !engine.network_is_used(&id)?) == wanted,
            None => true,
        };
        let asked = unused
            && (!filters.has("driver") || filters.any("driver", |wanted| *wanted == driver))
            && (!filters.has("id") || filters.any("id", |wanted| id.starts_with(wanted.as_str())))
            && (!filters.has("name") || filters.any("name", |wanted| name.contains(wanted.as_str())))
            && (!filters.has("scope") || filters.any("scope", |wanted| wanted == "local"))
            && (!filters.has("type") || filters.any("type", |wanted| wanted == kind))
            && filters.labels("label", &labels);
        if asked {
            rows.push(row(&network, whole));
        }
    }
    shown(print_rows(&mut std::io::stdout().lock(), format, &TABLE, quiet, &rows))?;
    Ok(0)
}

fn prune(context: &Context, filter: &[String], force: bool) -> Done {
    let filter = PruneFilter::parse(filter, &["label", "label!", "until"])?;
    let question = "This will remove all custom networks not used by at least one container.";
    if !force && !confirmed(question)? {
        return Err(Failure::new("network prune has been cancelled"));
    }
    let gone = context.engine()?.prune_networks(&|created, labels| filter.wants(created, labels))?;
    print_deleted("Networks", &gone);
    Ok(0)
}

fn row(network: &NetworkInspect, whole: bool) -> Row {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let id = text(&network.id);
    let labels: std::collections::BTreeMap<_, _> =
        network.labels.clone().unwrap_or_default().into_iter().collect();
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Row::from(json!({
        "ID": if whole { id.clone() } else { id.get(..12).unwrap_or(&id).to_owned() },
        "Name": text(&network.name),
        "Driver": text(&network.driver),
        "Scope": text(&network.scope),
        "IPv4": network.enable_ipv4.unwrap_or(false).to_string(),
        "IPv6": network.enable_ipv6.unwrap_or(false).to_string(),
        "Internal": network.internal.unwrap_or(false).to_string(),
        "Labels": labels.join(","),
        "CreatedAt": network.created.map(created_at).unwrap_or_default(),
    }))
}
