//! Each test is a host of its own: a network namespace, which one of its threads is in.

mod leading;
mod ports;
mod proxy;
mod published;
mod wiring;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use bulkhead_network::endpoint::{self, Endpoint, Uplink, host_link_name};
use bulkhead_network::firewall::{Presence, Protocol};
use rustix::fs::{Mode, OFlags, open};

use super::{HostPort, Membership, Publish, Published};
use crate::status::ProcessId;

/// A network namespace.
pub(super) struct Namespace(OwnedFd);

impl Namespace {
    /// Makes one, with nothing up.
    pub(super) fn new() -> Namespace {
        let made = thread::spawn(|| {
            bulkhead_sys::namespaces::unshare(bulkhead_isolation::namespaces::net::FLAG)
                .expect("tests need root, for namespaces of their own");
            open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()
        });
        Namespace(made.join().unwrap())
    }

    /// Makes one whose loopback link is up.
    pub(super) fn host() -> Namespace {
        let host = Namespace::new();
        host.run(|| endpoint::loopback_up(host.fd())).unwrap();
        host
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Does something inside of it, in another thread.
    pub(super) fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let running = scope.spawn(|| {
                bulkhead_sys::namespaces::join(self.fd(), bulkhead_isolation::namespaces::net::FLAG).unwrap();
                inside()
            });
            running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// The test runs on a host of its own.
pub(super) fn on_a_host<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    Namespace::host().run(test)
}

pub(super) fn publish(
    address: Option<&str>,
    host_ports: (u16, u16),
    port: u16,
    protocol: Protocol,
) -> Publish {
    Publish { address: address.map(|text| text.parse().unwrap()), host_ports, port, protocol }
}

/// What the container `name` says of a port that it has.
pub(super) fn said(name: &str, id: &str, supervisor: ProcessId, address: &str, port: u16) -> Published {
    let port = HostPort {
        address: address.parse().unwrap(),
        port,
        protocol: Protocol::Tcp,
        container_port: 80,
        to: Some(SocketAddr::from(([10, 77, 1, 2], 80))),
    };
    Published {
        id: id.repeat(32),
        name: name.into(),
        folder: "/none".into(),
        supervisor,
        ports: vec![port],
        presence: Presence::default(),
    }
}

pub(super) fn ourselves() -> ProcessId {
    ProcessId::of(std::process::id().cast_signed()).unwrap()
}

/// The network `number`, with these addresses of the container's, each with its gateway unless it has no way out.
pub(super) fn membership(number: u8, addresses: &[&str], way_out: bool) -> Membership {
    let gateways = addresses.iter().map(|text| {
        let address: IpAddr = text.split('/').next().unwrap().parse().unwrap();
        match address {
            IpAddr::V4(_) => IpAddr::from([10, 77, number, 1]),
            IpAddr::V6(_) => format!("fd77:{number}::1").parse().unwrap(),
        }
    });
    Membership {
        id: format!("{number:02x}").repeat(32),
        name: format!("net{number}"),
        endpoint: Endpoint {
            uplink: Uplink::Bridge {
                name: format!("bhtest{number}"),
                host_link: host_link_name(&format!("{number}-container")),
                isolated: false,
            },
            container_link: format!("eth{}", number - 1),
            mac: [2, 0x42, 10, 77, number, 2],
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            gateways: if way_out { gateways.collect() } else { Vec::new() },
            mtu: 1500,
        },
        names: Vec::new(),
        links: std::collections::BTreeMap::new(),
    }
}
