//! Networks of containers: bridges on the host, a network namespace's place on them, the addresses they hand out, and
//! the firewall's table that lets them out.
//!
//! This crate knows no container. It is told names, addresses and a network namespace (a file descriptor), and does
//! everything by messages to the kernel from the calling thread: no `ip`, `nft` or `iptables` is run, nothing is
//! written but a few files of /proc/sys (`sysctl.rs` has them all), and nothing is remembered from call to call. What
//! there is to know of a network later, the kernel knows.
//!
//! # How a container comes to its network
//! ```text
//!   host's namespace                                  container's namespace
//!   ┌──────────────────────────────────────────┐      ┌───────────────────┐
//!   │ eth0 ◄─ masquerade ─ bridge ── bh0123…   │ veth │ eth0 10.88.0.2/16 │
//!   │                      10.88.0.1/16  port ─┼──────┼─ default route by │
//!   │                                          │      │  10.88.0.1     lo │
//!   └──────────────────────────────────────────┘      └───────────────────┘
//! ```
//! 1. [`subnet`] chooses the network's addresses when the network is made, and a container's when it is created.
//! 2. [`bridge::ensure`] makes what all containers of a network share, if it is not there: link, address, forwarding
//!    and the [`firewall`]'s table.
//! 3. [`endpoint::attach`] makes the pair of links, one end in the container's namespace, and sets both up.
//! 4. [`firewall::admit`] lets the container send with its addresses, and publishes its ports.
//! 5. [`files`] renders what the container's programs read: /etc/hosts, /etc/resolv.conf and /etc/hostname.
//!
//! At a container's end [`firewall::dismiss`] takes it out of the firewall; the pair dies with the namespace, and that
//! costs nobody a wait.
//!
//! ```no_run
//! use bulkhead_network::bridge::{self, Bridge, Policy};
//! use bulkhead_network::firewall::Found;
//! use bulkhead_network::endpoint::{self, Endpoint, Uplink};
//! use bulkhead_network::firewall::{self, Presence};
//! use bulkhead_network::{Error, mac, subnet};
//!
//! # fn demo(netns: std::os::fd::BorrowedFd<'_>) -> Result<(), Error> {
//! let subnet = subnet::choose_subnet(&subnet::default_pools(), &[], &[])?;
//! let gateway = std::net::Ipv4Addr::new(172, 17, 0, 1);
//! let own = ipnet::Ipv4Net::new_assert(gateway, subnet.prefix_len());
//! let policy = Policy::default();
//! let bridge = Bridge { name: "bulkhead0".into(), addresses: vec![own.into()], mtu: 1500, policy };
//! if bridge::ensure(&bridge)? == Found::Broken {
//!     eprintln!("all other networks and containers must be put back");
//! }
//! let address = subnet::AddressRange::new(subnet, gateway).next_free(|_| false, None)?;
//! let place = Endpoint {
//!     uplink: Uplink::Bridge {
//!         name: bridge.name,
//!         host_link: endpoint::host_link_name("4f66ad9a0b2e6c5d"),
//!         isolated: false,
//!     },
//!     container_link: "eth0".into(),
//!     mac: mac::of_address(address),
//!     addresses: vec![ipnet::Ipv4Net::new_assert(address, subnet.prefix_len()).into()],
//!     gateways: vec![gateway.into()],
//!     mtu: 1500,
//! };
//! endpoint::attach(netns, &place)?;
//! firewall::admit(&Presence { senders: place.senders(), ports: Vec::new() })
//! # }
//! ```
//!
//! # Where to look
//! | question | file |
//! |---|---|
//! | What does a bridge, a container's link consist of? | [`bridge`], [`endpoint`] |
//! | Which messages is that? | [`link`], [`address`], [`route`] |
//! | How are they sent, and what comes back? | [`netlink`] |
//! | What is in the firewall's tables, and why? | [`firewall`], its `sets.rs` and `chains/` |
//! | What does it know of a bridge, of a container? | its `contents.rs` |
//! | Who makes it right after a flush? | [`firewall::restore`] |
//! | What of old flows when a port changes hands? | [`conntrack`] |
//! | Which address comes next? | [`subnet`] |

pub mod address;
pub mod bridge;
pub mod conntrack;
pub mod endpoint;
mod error;
pub mod files;
pub mod firewall;
pub mod link;
pub mod mac;
pub mod netlink;
pub mod route;
pub mod subnet;
mod sysctl;

pub use error::{Error, Refusal, Result};
