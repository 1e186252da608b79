//! `network`: the networks that containers are on, a file per command. What a network needs on the host is made when the
//! first container on it starts, and again whenever it is missing.

mod connect;
mod create;
mod disconnect;
mod inspect;
mod reload;
mod remove;

pub use reload::Reloaded;

use bulkhead_network::netlink::Socket;
use bulkhead_network::{route, subnet};
use ipnet::IpNet;

use crate::commands::create::now_nanoseconds;
use crate::error::{Error, Result};
use crate::store::containers::Container;
use crate::store::networks::{self, DEFAULT, Driver, Network, Settings};
use crate::{Engine, id};

/// Docker's networks that are there from the beginning, beside the default one.
const NAMES_ONLY: [(&str, Driver); 2] = [("host", Driver::Host), ("none", Driver::Null)];

impl Engine {
    /// The network of that name, ID, or beginning of an ID.
    ///
    /// # Errors
    /// None or several.
    pub fn network(&mut self, wanted: &str) -> Result<Network> {
        match wanted {
            "default" => self.default_network(),
            "bridge" | "host" | "none" => {
                self.default_network()?;
                networks::find(self.store.read(), wanted)
            }
            _ => networks::find(self.store.read(), wanted),
        }
    }

    /// The default network. Its subnet is chosen once, where nothing else is.
    ///
    /// # Errors
    /// No subnet is free.
    pub(crate) fn default_network(&mut self) -> Result<Network> {
        if let Some(network) = networks::by_name(self.store.read(), DEFAULT)?
            && networks::by_name(self.store.read(), "none")?.is_some()
        {
            return Ok(network);
        }
        let link = self.roots.bridge();
        let routes = host_routes()?;
        self.store.write(|transaction| {
            for (name, driver) in NAMES_ONLY {
                if networks::by_name(transaction, name)?.is_none() {
                    networks::insert(transaction, &made(name, driver, Settings::default()))?;
                }
            }
            // Another command may have chosen meanwhile, or an older version.
            if let Some(network) = networks::by_name(transaction, DEFAULT)? {
                return Ok(network);
            }
            let subnet = create::choose_ipv4(transaction, &routes)?;
            let ipam = vec![create::with_first_as_gateway(subnet.into())?];
            let settings = Settings { link, ipam, ..Settings::default() };
            let network = made(DEFAULT, Driver::Bridge, settings);
            networks::insert(transaction, &network)?;
            Ok(network)
        })
    }
}

/// What a supervisor says that knows no such request.
fn of_old(container: &Container, error: bulkhead_isolation::Error) -> Error {
    if error.step != "request" {
        return error.into();
    }
    Error::Conflict(format!(
        "container {} was started by an earlier version of bulkhead, which cannot change the networks of what runs: restart it, and try again",
        container.name
    ))
}

/// A network that has not been recorded.
fn made(name: &str, driver: Driver, settings: Settings) -> Network {
    Network { id: id::random(), name: name.to_owned(), created: now_nanoseconds(), driver, settings }
}

/// Where the host has routes to.
fn host_routes() -> Result<Vec<IpNet>> {
    let mut socket = Socket::open()?;
    let ipv4 = route::list(&mut socket)?.into_iter().map(IpNet::from);
    Ok(ipv4.chain(route::list_ipv6(&mut socket)?.into_iter().map(IpNet::from)).collect())
}

/// Whether two subnets have addresses in common.
fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// The first address of a subnet that a host can have.
fn first_host(subnet: &IpNet) -> Result<std::net::IpAddr> {
    // The first of an IPv6 subnet is the routers' anycast address.
    let first = match subnet {
        IpNet::V4(subnet) => subnet.hosts().next().map(Into::into),
        IpNet::V6(subnet) => subnet.hosts().nth(usize::from(subnet.prefix_len() < 127)).map(Into::into),
    };
    first.ok_or_else(|| Error::Invalid(format!("the subnet {subnet} has no addresses")))
}
