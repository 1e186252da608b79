//! Where each of a container's ports leads, and by whom it is led there: the kernel wherever that can, else the proxy.
//!
//! | the host's address | the container has | led by |
//! |---|---|---|
//! | IPv4, or IPv6 | an address of the same family | the kernel |
//! | `::1` | an IPv6 address | the kernel if its bridges let the answers pass, else the proxy |
//! | IPv4, or IPv6 | an address of the other family alone | the proxy (SCTP: nobody) |

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use bulkhead_network::endpoint::Uplink;
use bulkhead_network::firewall::{Protocol, PublishedPort};

use super::ports::Lease;
use super::proxy::Way;
use super::{HostPort, Membership};

/// A container's address that ports lead to, and the bridge that it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) address: IpAddr,
    pub(super) bridge: String,
    pub(super) host_link: String,
}

/// At most one of each family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Targets {
    pub(super) ipv4: Option<Target>,
    pub(super) ipv6: Option<Target>,
}

impl Targets {
    /// The addresses on the network by which everything else is reached, else on the first that has any.
    pub(super) fn of(memberships: &[Membership]) -> Targets {
        Targets { ipv4: target(memberships, true), ipv6: target(memberships, false) }
    }

    fn of_family(&self, ipv4: bool) -> Option<&Target> {
        if ipv4 { self.ipv4.as_ref() } else { self.ipv6.as_ref() }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Target> {
        self.ipv4.iter().chain(&self.ipv6)
    }
}

fn target(memberships: &[Membership], ipv4: bool) -> Option<Target> {
    let on = |membership: &&Membership, with_gateway: bool| {
        let gateways = &membership.endpoint.gateways;
        !with_gateway || gateways.iter().any(|gateway| gateway.is_ipv4() == ipv4)
    };
    let find = |with_gateway| {
        memberships.iter().filter(|one| on(one, with_gateway)).find_map(|membership| {
            let Uplink::Bridge { name, host_link, .. } = &membership.endpoint.uplink else { return None };
            let mut addresses = membership.endpoint.addresses.iter().map(|address| address.addr());
            let address = addresses.find(|address| address.is_ipv4() == ipv4)?;
            Some(Target { address, bridge: name.clone(), host_link: host_link.clone() })
        })
    };
    find(true).or_else(|| find(false))
}

/// Who leads what.
#[derive(Default)]
pub(super) struct Leading {
    /// As people see it.
    pub(super) ports: Vec<HostPort>,
    /// The kernel's part.
    pub(super) kernel: Vec<PublishedPort>,
    /// The proxy's.
    pub(super) proxy: Vec<Way>,
}

/// Leads `leases` to `targets`; `loopback6` says whether the kernel can lead `::1` to the IPv6 one.
pub(super) fn lead(leases: &[Lease], targets: &Targets, loopback6: bool) -> Leading {
    let mut leading = Leading::default();
    for lease in leases {
        let &Lease { address, port, protocol, container_port, .. } = lease;
        let ipv4 = address.is_ipv4();
        let at = |target: &Target| SocketAddr::new(target.address, container_port);
        let to = targets.of_family(ipv4).map(at);
        let by_proxy = |to: SocketAddr| Way { socket: Rc::clone(&lease.socket), protocol, to };
        let by_kernel = |address: IpAddr, to: SocketAddr| PublishedPort { address, port, protocol, to };
        let other = targets.of_family(!ipv4).map(at).filter(|_| protocol != Protocol::Sctp);
        let own = IpAddr::V6(Ipv6Addr::LOCALHOST);
        match (to, other) {
            (Some(to), _) => {
                if address != own {
                    leading.kernel.push(by_kernel(address, to));
                }
                if covers_loopback6(address) {
                    if loopback6 {
                        leading.kernel.push(by_kernel(own, to));
                    } else {
                        leading.proxy.push(by_proxy(to));
                    }
                }
            }
            (None, Some(to)) => leading.proxy.push(by_proxy(to)),
            (None, None) => {}
        }
        leading.ports.push(HostPort { address, port, protocol, container_port, to: to.or(other) });
    }
    leading
}

/// Whether a port at that address is reached by `::1`.
pub(super) fn covers_loopback6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unspecified() || address.is_loopback())
}

/// Whether a port at that address is reached by 127.0.0.1 and the like.
pub(super) fn covers_loopback4(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_unspecified() || address.is_loopback())
}
