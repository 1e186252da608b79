//! What choosing addresses needs to know of a family: the same of both.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Subnets of one family: [`Ipv4Net`] or [`Ipv6Net`].
pub trait Family: Copy + Debug + PartialEq + Into<IpNet> {
    /// An address of the family.
    type Address: Copy + Debug + Ord + Into<IpAddr>;

    /// The subnet of that prefix length that has the address; none if the length is none of the family's.
    fn cut(address: Self::Address, prefix_len: u8) -> Option<Self>;
    /// The subnet as such, without the address of one host that a value may carry.
    #[must_use]
    fn whole(self) -> Self;
    /// How many of an address's bits are the subnet's.
    fn prefix_len(self) -> u8;
    /// Its lowest address.
    fn first(self) -> Self::Address;
    /// Its highest.
    fn last(self) -> Self::Address;
    /// Whether an address is at its edge, and so no host's.
    fn is_edge(self, address: Self::Address) -> bool;
    /// An address as a number.
    fn bits(address: Self::Address) -> u128;
    /// And back, if it is one.
    fn from_bits(bits: u128) -> Option<Self::Address>;

    /// Whether the address is one of the subnet's.
    fn holds(self, address: Self::Address) -> bool {
        (self.first()..=self.last()).contains(&address)
    }

    /// The address after one; none after the last of all.
    fn successor(address: Self::Address) -> Option<Self::Address> {
        Self::bits(address).checked_add(1).and_then(Self::from_bits)
    }
}

impl Family for Ipv4Net {
    type Address = Ipv4Addr;

    fn cut(address: Ipv4Addr, prefix_len: u8) -> Option<Self> {
        Self::new(address, prefix_len).ok().map(|net| net.trunc())
    }

    fn whole(self) -> Self {
        self.trunc()
    }

    fn prefix_len(self) -> u8 {
        Self::prefix_len(&self)
    }

    fn first(self) -> Ipv4Addr {
        self.network()
    }

    fn last(self) -> Ipv4Addr {
        self.broadcast()
    }

    /// Subnets of one or two addresses have neither network nor broadcast address (RFC 3021).
    fn is_edge(self, address: Ipv4Addr) -> bool {
        Self::prefix_len(&self) < 31 && (address == self.network() || address == self.broadcast())
    }

    fn bits(address: Ipv4Addr) -> u128 {
        address.to_bits().into()
    }

    fn from_bits(bits: u128) -> Option<Ipv4Addr> {
        u32::try_from(bits).ok().map(Ipv4Addr::from_bits)
    }
}

impl Family for Ipv6Net {
    type Address = Ipv6Addr;

    fn cut(address: Ipv6Addr, prefix_len: u8) -> Option<Self> {
        Self::new(address, prefix_len).ok().map(|net| net.trunc())
    }

    fn whole(self) -> Self {
        self.trunc()
    }

    fn prefix_len(self) -> u8 {
        Self::prefix_len(&self)
    }

    fn first(self) -> Ipv6Addr {
        self.network()
    }

    fn last(self) -> Ipv6Addr {
        self.broadcast()
    }

    /// The first is that of all the subnet's routers (RFC 4291), but for subnets of one or two (RFC 6164).
    fn is_edge(self, address: Ipv6Addr) -> bool {
        Self::prefix_len(&self) < 127 && address == self.network()
    }

    fn bits(address: Ipv6Addr) -> u128 {
        address.to_bits()
    }

    fn from_bits(bits: u128) -> Option<Ipv6Addr> {
        Some(Ipv6Addr::from_bits(bits))
    }
}
