//! Which addresses a network has, and which of them the next container gets. Nothing here asks anybody: the engine
//! says what is taken, and its store is where two who chose the same at once are told apart.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Routes shorter than this are no networks that a subnet could collide with, but ways out: a VPN's pair of
/// 0.0.0.0/1 and 128.0.0.0/1 covers everything, and no private network is larger than 10.0.0.0/8.
const SHORTEST_NETWORK: u8 = 8;

/// Addresses that subnets of one size are cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The addresses.
    pub base: Ipv4Net,
    /// The prefix length of each subnet.
    pub size: u8,
}

/// Docker's default address pools: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in subnets of /20.
#[must_use]
pub fn default_pools() -> Vec<Pool> {
    let (b, private) =
        ((17..=31).map(|second| (Ipv4Addr::new(172, second, 0, 0), 16)), (Ipv4Addr::new(192, 168, 0, 0), 20));
    b.chain([private])
        .filter_map(|(base, size)| Ipv4Net::new(base, 16).ok().map(|base| Pool { base, size }))
        .collect()
}

/// Chooses the first subnet of the pools that overlaps neither another network's nor what the host routes.
///
/// # Errors
/// [`Error::NoSubnet`] when there is none.
pub fn choose_subnet(pools: &[Pool], taken: &[Ipv4Net], host_routes: &[Ipv4Net]) -> Result<Ipv4Net> {
    let routes = host_routes.iter().filter(|route| route.prefix_len() >= SHORTEST_NETWORK);
    let occupied: Vec<&Ipv4Net> = taken.iter().chain(routes).collect();
    pools.iter().find_map(|pool| first_free(pool, &occupied)).ok_or(Error::NoSubnet)
}

/// The first subnet of a pool that overlaps none of `occupied`. After one that does, the search goes on behind what
/// it overlaps, so even a pool of millions of subnets takes as many steps as there are occupied ones.
fn first_free(pool: &Pool, occupied: &[&Ipv4Net]) -> Option<Ipv4Net> {
    let mut start = pool.base.network();
    loop {
        let candidate = Ipv4Net::new(start, pool.size).ok()?.trunc();
        if !pool.base.contains(&candidate) {
            return None;
        }
        match occupied.iter().find(|other| overlap(other, &candidate)) {
            None => return Some(candidate),
            Some(other) => {
                let end = other.broadcast().max(candidate.broadcast());
                start = end.to_bits().checked_add(1).map(Ipv4Addr::from_bits)?;
            }
        }
    }
}

/// Whether two networks have addresses in common.
#[must_use]
pub fn overlap(one: &Ipv4Net, other: &Ipv4Net) -> bool {
    one.contains(other) || other.contains(one)
}

/// The addresses that a network's containers can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    subnet: Ipv4Net,
    gateway: Ipv4Addr,
    range: Ipv4Net,
}

impl AddressRange {
    /// All of a subnet but its network address, its broadcast address and its gateway.
    #[must_use]
    pub fn new(subnet: Ipv4Net, gateway: Ipv4Addr) -> Self {
        Self { subnet: subnet.trunc(), gateway, range: subnet.trunc() }
    }

    /// Only those in a part of the subnet (`--ip-range`).
    ///
    /// # Errors
    /// [`Error::Range`] if it is no part of the subnet.
    pub fn within(self, range: Ipv4Net) -> Result<Self> {
        if self.subnet.contains(&range) {
            Ok(Self { range: range.trunc(), ..self })
        } else {
            Err(Error::Range { range, subnet: self.subnet })
        }
    }

    /// Whether a container can have the address, if nobody has it. (Given with `--ip`, it may lie outside of the
    /// range, but not of the subnet.)
    #[must_use]
    pub fn allows(&self, address: Ipv4Addr) -> bool {
        // Subnets of one or two addresses have neither network nor broadcast address (RFC 3021).
        let edge = self.subnet.prefix_len() < 31
            && (address == self.subnet.network() || address == self.subnet.broadcast());
        self.subnet.contains(&address) && address != self.gateway && !edge
    }

    /// The next address after the one given last, wrapping at the end, that is not used.
    ///
    /// Going on rather than taking the first free one keeps a removed container's address idle for as long as it
    /// can be, so that what still talks to it does not reach another.
    ///
    /// # Errors
    /// [`Error::NoAddress`] when all are used.
    pub fn next_free(
        &self,
        used: impl Fn(Ipv4Addr) -> bool,
        last_given: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr> {
        let (first, last) = (self.range.network().to_bits(), self.range.broadcast().to_bits());
        let start = last_given.map(Ipv4Addr::to_bits).filter(|given| (first..last).contains(given));
        let start = start.map_or(first, |given| given + 1);
        (start..=last)
            .chain(first..start)
            .map(Ipv4Addr::from_bits)
            .find(|address| self.allows(*address) && !used(*address))
            .ok_or(Error::NoAddress { range: self.range, capacity: self.capacity() })
    }

    /// How many containers can have an address.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        let (first, last) = (self.range.network().to_bits(), self.range.broadcast().to_bits());
        let mut excluded = vec![self.gateway, self.subnet.network(), self.subnet.broadcast()];
        excluded.sort_unstable();
        excluded.dedup();
        excluded.retain(|address| self.range.contains(address) && !self.allows(*address));
        u64::from(last - first) + 1 - excluded.len() as u64
    }
}

#[cfg(test)]
mod tests;
