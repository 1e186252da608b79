//! Which addresses a network has, and which of them the next container gets, of either family. Nothing here asks
//! anybody: the engine says what is taken, and its store is where two who chose the same at once are told apart.

mod family;

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
pub use family::Family;

/// Routes shorter than this are no networks that a subnet could collide with, but ways out: a VPN's pair of
/// 0.0.0.0/1 and 128.0.0.0/1 (or ::/1 and 8000::/1, or 2000::/3) covers everything, and no private network is larger
/// than 10.0.0.0/8 or fc00::/7, of which a site has a /48.
const SHORTEST_NETWORK: u8 = 8;

/// Addresses that subnets of one size are cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool<N = Ipv4Net> {
    /// The addresses.
    pub base: N,
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

/// The subnets of /64 below a /48 of unique local addresses that is this host's own (RFC 4193): fd, then these 40 bits,
/// which the caller draws once, at random, and keeps.
#[must_use]
pub fn unique_local_pool(random: [u8; 5]) -> Pool<Ipv6Net> {
    let mut octets = [0; 16];
    octets.iter_mut().zip([0xfd].into_iter().chain(random)).for_each(|(place, byte)| *place = byte);
    Pool { base: Ipv6Net::new_assert(Ipv6Addr::from(octets), 48), size: 64 }
}

/// Chooses the first subnet of the pools that overlaps neither another network's nor what the host routes.
///
/// # Errors
/// [`Error::NoSubnet`] when there is none.
pub fn choose_subnet<N: Family>(pools: &[Pool<N>], taken: &[N], host_routes: &[N]) -> Result<N> {
    let occupied: Vec<&N> =
        taken.iter().chain(host_routes.iter().filter(|route| is_network(**route))).collect();
    pools.iter().find_map(|pool| first_free(pool, &occupied)).ok_or(Error::NoSubnet)
}

/// What of the host's routes a subnet that somebody asks for would collide with, if any: each of the two would hide a
/// part of the other.
#[must_use]
pub fn collision<N: Family>(subnet: N, host_routes: &[N]) -> Option<N> {
    host_routes.iter().copied().filter(|route| is_network(*route)).find(|route| overlap(route, &subnet))
}

fn is_network<N: Family>(route: N) -> bool {
    route.prefix_len() >= SHORTEST_NETWORK
}

/// The first subnet of a pool that overlaps none of `occupied`. After one that does, the search goes on behind what
/// it overlaps, so even a pool of millions of subnets takes as many steps as there are occupied ones.
fn first_free<N: Family>(pool: &Pool<N>, occupied: &[&N]) -> Option<N> {
    let mut start = pool.base.first();
    loop {
        let candidate = N::cut(start, pool.size)?;
        let inside = pool.size >= pool.base.prefix_len() && overlap(&pool.base, &candidate);
        if !inside {
            return None;
        }
        match occupied.iter().copied().find(|other| overlap(*other, &candidate)) {
            None => return Some(candidate),
            Some(other) => start = N::successor(other.last().max(candidate.last()))?,
        }
    }
}

/// Whether two networks have addresses in common.
#[must_use]
pub fn overlap<N: Family>(one: &N, other: &N) -> bool {
    one.first() <= other.last() && other.first() <= one.last()
}

/// The addresses that a network's containers can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange<N: Family = Ipv4Net> {
    subnet: N,
    gateway: N::Address,
    range: N,
}

impl<N: Family> AddressRange<N> {
    /// All of a subnet but its gateway and those at its edges that mean more than one host: the first, and of IPv4
    /// the last.
    #[must_use]
    pub fn new(subnet: N, gateway: N::Address) -> Self {
        Self { subnet: subnet.whole(), gateway, range: subnet.whole() }
    }

    /// Only those in a part of the subnet (`--ip-range`).
    ///
    /// # Errors
    /// [`Error::Range`] if it is no part of the subnet.
    pub fn within(self, range: N) -> Result<Self> {
        if overlap(&self.subnet, &range) && self.subnet.prefix_len() <= range.prefix_len() {
            Ok(Self { range: range.whole(), ..self })
        } else {
            Err(Error::Range { range: range.into(), subnet: self.subnet.into() })
        }
    }

    /// Whether a container can have the address, if nobody has it. (Given with `--ip`, it may lie outside of the
    /// range, but not of the subnet.)
    #[must_use]
    pub fn allows(&self, address: N::Address) -> bool {
        self.subnet.holds(address) && address != self.gateway && !self.subnet.is_edge(address)
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
        used: impl Fn(N::Address) -> bool,
        last_given: Option<N::Address>,
    ) -> Result<N::Address> {
        let (first, last) = (N::bits(self.range.first()), N::bits(self.range.last()));
        let start = last_given.map(N::bits).filter(|given| (first..last).contains(given));
        let start = start.map_or(first, |given| given + 1);
        (start..=last)
            .chain(first..start)
            .filter_map(N::from_bits)
            .find(|address| self.allows(*address) && !used(*address))
            .ok_or(Error::NoAddress { range: self.range.into(), capacity: self.capacity() })
    }

    /// How many containers can have an address.
    #[must_use]
    pub fn capacity(&self) -> u128 {
        let (first, last) = (self.range.first(), self.range.last());
        let mut excluded = vec![self.gateway, self.subnet.first(), self.subnet.last()];
        excluded.sort_unstable();
        excluded.dedup();
        excluded.retain(|address| self.range.holds(*address) && !self.allows(*address));
        // All of IPv6 is one more than there are numbers.
        (N::bits(last) - N::bits(first)).saturating_add(1) - excluded.len() as u128
    }
}

#[cfg(test)]
mod tests;
