//! The names of containers on their networks, and the name service by which a container finds others: what its programs
//! ask at 127.0.0.11 its own supervisor answers, with what the supervisors of the others have said of them.
//!
//! | file | subject |
//! |---|---|
//! | [`registry`] | who is called what |
//! | [`answer`], `records` | a question, and what is said to it |
//! | `server` | the service's sockets, and who talks to them |
//! | `upstream`, `resolvers` | a question that others are asked; who they are |
//! | `framing` | messages over TCP |
//!
//! There is no service until the container is on a network with names; what there is of it then costs nothing but memory
//! while nobody asks.

pub mod answer;
mod framing;
mod records;
pub mod registry;
mod resolvers;
mod server;
mod upstream;

use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bulkhead_isolation::{Result, Step};
use rustix::event::PollFlags;

use crate::networks::{Membership, NameService};
use crate::status::ProcessId;
use registry::{Registry, look_up, look_up_address};
use resolvers::Resolvers;
pub(crate) use server::Ready;
use server::{Server, World};

/// A container's names, and its name service.
#[derive(Debug)]
pub(crate) struct Names {
    folder: PathBuf,
    registry: Registry,
    networks: Vec<Membership>,
    resolvers: Resolvers,
    server: Option<Box<Server>>,
}

impl Names {
    /// Those of the container with this full ID, which is on no network yet.
    pub(crate) fn new(service: NameService, container: &str) -> Result<Names> {
        let step = "names";
        let folder = PathBuf::from(&service.registry);
        let own = ProcessId::of(std::process::id().cast_signed()).step(step, || "look at ourselves")?;
        let registry = Registry::new(&folder, container, &own).step(step, || "name the container")?;
        let resolvers = Resolvers::new(service);
        Ok(Names { folder, registry, networks: Vec::new(), resolvers, server: None })
    }

    /// The container is on one more network: it has its names there from now on, and the service, if it had none. (Or it
    /// is on the network as before, and something of that has changed; what has not is there all the while.) `netns` is its
    /// network namespace, in which the network is connected. Gives a sentence for each name that it cannot have.
    ///
    /// # Errors
    /// Then it is not on that network, as far as names go.
    pub(crate) fn joined(&mut self, network: &Membership, netns: BorrowedFd<'_>) -> Result<Vec<String>> {
        let named = !network.names.is_empty();
        if named && self.server.is_none() {
            self.server = Some(Box::new(Server::open(netns)?));
        }
        let known = self.networks.iter_mut().find(|known| known.id == network.id);
        let before = match known {
            Some(known) => Some(std::mem::replace(known, network.clone())),
            None => {
                self.networks.push(network.clone());
                None
            }
        };
        let published = if named { self.registry.publish(network) } else { Ok(Vec::new()) };
        if let Some(before) = before {
            self.registry.retire(&before, Some(network).filter(|_| named));
        }
        if published.is_err() {
            self.left(&network.id);
        }
        published.step("names", || format!("publish the container's names on network {}", network.name))
    }

    /// The container is no longer on the network with that ID. (The service stays: the container's programs may have it
    /// as their only resolver.)
    pub(crate) fn left(&mut self, id: &str) {
        for network in self.networks.iter().filter(|network| network.id == id) {
            self.registry.withdraw(network);
        }
        self.networks.retain(|network| network.id != id);
    }

    /// The container has another name. It is found by one of the two at any time.
    ///
    /// # Errors
    /// Then it has its old name still.
    pub(crate) fn renamed(&mut self, name: &str) -> Result<()> {
        let mut networks = self.networks.clone();
        for own in networks.iter_mut().filter_map(|network| network.names.first_mut()) {
            name.clone_into(own);
        }
        let named = || networks.iter().filter(|network| !network.names.is_empty());
        let published = named().try_for_each(|network| self.registry.publish(network).map(drop));
        if let Err(error) = published {
            // What was said of the others, too: their links have its own name in them.
            for network in self.networks.iter().filter(|network| !network.names.is_empty()) {
                let _ = self.registry.publish(network);
            }
            self.retire(&networks, &self.networks);
            return Err(error).step("names", || format!("publish the container's new name {name}"));
        }
        self.retire(&self.networks, &networks);
        self.networks = networks;
        Ok(())
    }

    fn retire(&self, before: &[Membership], now: &[Membership]) {
        for (before, now) in before.iter().zip(now) {
            self.registry.retire(before, Some(now));
        }
    }

    /// The container has ended: nobody finds it any more, and its namespace is let go.
    pub(crate) fn end(&mut self) {
        self.server = None;
        for network in std::mem::take(&mut self.networks) {
            self.registry.withdraw(&network);
        }
    }

    /// What to wait for.
    pub(crate) fn watch<'a>(&'a self, want: &mut impl FnMut(BorrowedFd<'a>, PollFlags, Ready)) {
        if let Some(server) = &self.server {
            server.watch(want);
        }
    }

    /// When something is due by the clock, if anything is.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.server.as_ref().and_then(|server| server.due())
    }

    /// Does what is due by the clock.
    pub(crate) fn pass_time(&mut self) {
        if let Some(server) = &mut self.server {
            server.pass_time();
        }
    }

    /// Does what there is to do.
    pub(crate) fn handle(&mut self, ready: Ready) {
        let Some(server) = &mut self.server else { return };
        let names = Known { folder: &self.folder, networks: &self.networks };
        // Networks without a way out have no gateway.
        let out = self.networks.iter().any(|network| !network.endpoint.gateways.is_empty());
        server.handle(ready, &mut World { names: &names, resolvers: &mut self.resolvers, out });
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.end();
    }
}

/// What is found from a container on these networks; on the first of them that knows of it, as with Docker.
struct Known<'a> {
    folder: &'a Path,
    networks: &'a [Membership],
}

impl Known<'_> {
    fn networks(&self) -> impl Iterator<Item = &Membership> {
        self.networks.iter().filter(|network| !network.names.is_empty())
    }
}

impl answer::Names for Known<'_> {
    fn addresses(&self, name: &str) -> io::Result<Option<Vec<IpAddr>>> {
        for network in self.networks() {
            let link = network.links.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
            if let Some((_, theirs)) = link
                && let Some(found) = look_up(self.folder, &network.id, theirs)?
            {
                return Ok(Some(found));
            }
        }
        for network in self.networks() {
            if let Some(found) = look_up(self.folder, &network.id, name)? {
                return Ok(Some(found));
            }
        }
        for network in self.networks() {
            // In lower case, as `name` is.
            let suffix = network.name.to_ascii_lowercase();
            if let Some(name) = name.strip_suffix(&suffix).and_then(|name| name.strip_suffix('.'))
                && let Some(found) = look_up(self.folder, &network.id, name)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn name_of(&self, address: IpAddr) -> io::Result<Option<String>> {
        for network in self.networks() {
            if let Some(name) = look_up_address(self.folder, &network.id, address)? {
                return Ok(Some(format!("{name}.{}", network.name)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
