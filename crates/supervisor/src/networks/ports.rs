//! The host's ports of one container: taken before its birth, so that a taken port is an error before anything exists.
//!
//! A port is a lease that the kernel keeps: a socket that is bound and does nothing else. Nobody else gets the port
//! while the supervisor lives, and whoever tries hears EADDRINUSE; when it dies, however that happens, the port is
//! free. Packets never come to that socket, since the firewall's maps send them on before sockets are looked at
//! (`bulkhead_network::firewall`); where they cannot, [`proxy`](super::proxy) has the socket listen.
//!
//! `SO_REUSEADDR` would make two takers of one port both succeed (socket(7)): so it is not set. But then a port also
//! counts as taken while connections of an earlier server of it are in TIME_WAIT. So a port that cannot be had is tried
//! once more, with the option, as a listener for a moment: that fails if anybody is bound to it, and afterwards nobody
//! else can be.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bulkhead_isolation::{Error, Result, Step};
use bulkhead_network::firewall::Protocol;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Shutdown, SocketFlags, SocketType, bind, getsockname, ipproto, listen, shutdown,
    socket_with, sockopt,
};

use super::{Publish, STEP, holder};

/// How often any free port is tried to be had for both families.
const TRIES: usize = 64;
/// How long to wait for a port of a container that has ended, and that of a process that is about to close it.
const WAIT: Duration = Duration::from_millis(5);
const WAITS_FOR_ENDING: usize = 600;
const WAITS_FOR_ANYBODY: usize = 3;

/// A port that is this container's.
pub(crate) struct Lease {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
    pub(crate) container_port: u16,
    pub(crate) socket: Rc<OwnedFd>,
}

/// Takes the host's ports, all or none. `folder` is where others say what they have published.
pub(crate) fn take(publish: &[Publish], folder: &Path) -> Result<Vec<Lease>> {
    let mut leases = Vec::new();
    for wanted in publish {
        let taken = take_one(wanted, folder, &leases)?;
        leases.extend(taken);
        bulkhead_sys::fail::point("publish: port bound");
    }
    Ok(leases)
}

/// One port, of each family that it is to be had of.
fn take_one(wanted: &Publish, folder: &Path, ours: &[Lease]) -> Result<Vec<Lease>> {
    let (first, last) = wanted.host_ports;
    let addresses: &[IpAddr] = match &wanted.address {
        Some(address) => std::slice::from_ref(address),
        None if ipv6_is_off() => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
        None => &[IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
    };
    if first == 0 {
        return any(wanted, addresses);
    }
    let mut waits = 0;
    loop {
        let mut refused = None;
        for port in first..=last {
            match on_all(wanted, addresses, port) {
                Ok(leases) => return Ok(leases),
                Err((address, Errno::ADDRINUSE)) => refused = Some(SocketAddr::new(address, port)),
                Err((address, errno)) => return Err(refusal(wanted, address, port, errno)),
            }
        }
        let Some(refused) = refused else {
            let why = format!("cannot publish the ports {first}-{last}: a range begins with its lowest port");
            return Err(Error::new(STEP, why));
        };
        let has = |lease: &&Lease| {
            lease.protocol == wanted.protocol
                && (first..=last).contains(&lease.port)
                && holder::overlap(lease.address, refused.ip())
        };
        let own = ours.iter().find(has);
        let ending = || (first..=last).any(|port| holder::is_ending(folder, wanted.protocol, port));
        let patience = if own.is_some() {
            0
        } else if waits >= WAITS_FOR_ANYBODY && ending() {
            WAITS_FOR_ENDING
        } else {
            WAITS_FOR_ANYBODY
        };
        if waits >= patience {
            return Err(taken(wanted, refused, own, folder));
        }
        waits += 1;
        std::thread::sleep(WAIT);
    }
}

/// Any port that is free at all of them.
fn any(wanted: &Publish, addresses: &[IpAddr]) -> Result<Vec<Lease>> {
    let [first, others @ ..] = addresses else { return Ok(Vec::new()) };
    // Those that would not do are kept, so that the kernel offers others.
    let mut unfit = Vec::new();
    let (mut address, mut port) = (*first, 0);
    while unfit.len() < TRIES {
        let refused = |errno| refusal(wanted, *first, 0, errno);
        let socket = bound(*first, 0, wanted.protocol).map_err(refused)?;
        port = port_of(&socket).map_err(refused)?;
        match on_all(wanted, others, port) {
            Ok(mut leases) => {
                leases.insert(0, lease(wanted, *first, port, socket));
                return Ok(leases);
            }
            Err((other, Errno::ADDRINUSE)) => {
                address = other;
                unfit.push(socket);
            }
            Err((other, errno)) => return Err(refusal(wanted, other, port, errno)),
        }
    }
    Err(refusal(wanted, address, port, Errno::ADDRINUSE))
}

/// That port at all of them, or which of them could not be had.
fn on_all(
    wanted: &Publish,
    addresses: &[IpAddr],
    port: u16,
) -> std::result::Result<Vec<Lease>, (IpAddr, Errno)> {
    let mut leases = Vec::new();
    for address in addresses {
        match bound(*address, port, wanted.protocol) {
            Ok(socket) => leases.push(lease(wanted, *address, port, socket)),
            // There is no IPv6 on this machine, and nobody asked for it.
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
                if wanted.address.is_none() && address.is_ipv6() => {}
            Err(errno) => return Err((*address, errno)),
        }
    }
    Ok(leases)
}

/// Whether no link of the host's has IPv6: binding to all its addresses works all the same.
fn ipv6_is_off() -> bool {
    let off = std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6");
    off.is_ok_and(|off| off.trim_end() == "1")
}

fn lease(wanted: &Publish, address: IpAddr, port: u16, socket: OwnedFd) -> Lease {
    Lease { address, port, protocol: wanted.protocol, container_port: wanted.port, socket: Rc::new(socket) }
}

fn bound(address: IpAddr, port: u16, protocol: Protocol) -> rustix::io::Result<OwnedFd> {
    let at = SocketAddr::new(address, port);
    let socket = new_socket(address, protocol)?;
    match bind(&socket, &at) {
        Err(Errno::ADDRINUSE) if protocol == Protocol::Tcp && port != 0 => {
            let socket = new_socket(address, protocol)?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            bind(&socket, &at)?;
            listen(&socket, 0)?;
            stop_listening(&socket)?;
            Ok(socket)
        }
        done => done.map(|()| socket),
    }
}

/// A listener is bound to its port afterwards, and nothing else.
pub(super) fn stop_listening(socket: &OwnedFd) -> rustix::io::Result<()> {
    shutdown(socket, Shutdown::Read)?;
    sockopt::set_socket_reuseaddr(socket, false)
}

fn new_socket(address: IpAddr, protocol: Protocol) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, kind, flags, Some(number))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Udp {
        // Nobody reads what comes in before the firewall knows where it goes.
        sockopt::set_socket_recv_buffer_size(&socket, 0)?;
    }
    Ok(socket)
}

fn port_of(socket: &OwnedFd) -> rustix::io::Result<u16> {
    let address = SocketAddr::try_from(getsockname(socket)?)?;
    Ok(address.port())
}

/// Docker's words, and who has it.
fn taken(wanted: &Publish, refused: SocketAddr, own: Option<&Lease>, folder: &Path) -> Error {
    let (first, last) = wanted.host_ports;
    let address = Host(refused.ip());
    if first != last {
        let why = format!("Bind for {address}:{first}-{last} failed: all ports are allocated");
        return Error::new(STEP, why);
    }
    let who = match own {
        Some(own) => {
            format!("this container has it for its port {}/{}", own.container_port, name_of(own.protocol))
        }
        None => holder::of(refused, wanted.protocol, folder),
    };
    Error::new(STEP, format!("Bind for {address}:{first} failed: port is already allocated: {who}"))
}

fn refusal(wanted: &Publish, address: IpAddr, port: u16, errno: Errno) -> Error {
    let protocol = name_of(wanted.protocol);
    let remedy = match errno {
        Errno::ADDRNOTAVAIL => ": the host does not have that address",
        Errno::MFILE | Errno::NFILE => {
            ": each published port takes a descriptor; raise the limit of open files (ulimit -n)"
        }
        Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT => ": this kernel does not have that protocol",
        Errno::AFNOSUPPORT => ": this machine has no IPv6",
        Errno::ACCESS => ": ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE",
        Errno::ADDRINUSE => ": no port is free for both IPv4 and IPv6",
        _ => "",
    };
    let port = if port == 0 { "any free port".to_owned() } else { format!("port {port}") };
    let what = || format!("publish {port}/{protocol} at {}", Host(address));
    match Err::<(), _>(errno).step(STEP, what) {
        Err(error) => Error { message: error.message + remedy, ..error },
        Ok(()) => Error::new(STEP, what()),
    }
}

/// An address as it stands before a port.
struct Host(IpAddr);

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(out, "{address}"),
            IpAddr::V6(address) => write!(out, "[{address}]"),
        }
    }
}

/// A protocol's name, as in `80/tcp`.
pub(crate) fn name_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, IpAddr, Ipv4Addr, Protocol, Publish, refusal};

    #[test]
    fn each_refusal_says_what_to_do() {
        let wanted = Publish { address: None, host_ports: (53, 53), port: 53, protocol: Protocol::Sctp };
        let said = |errno| refusal(&wanted, IpAddr::V4(Ipv4Addr::UNSPECIFIED), 53, errno);
        let error = said(Errno::MFILE);
        assert_eq!((error.step.as_str(), error.errno), ("network", Some(24)));
        assert_eq!(
            error.message,
            "cannot publish port 53/sctp at 0.0.0.0: too many open files: each published port takes a descriptor; raise \
             the limit of open files (ulimit -n)"
        );
        assert!(said(Errno::PROTONOSUPPORT).message.ends_with(": this kernel does not have that protocol"));
        assert!(said(Errno::IO).message.ends_with("0.0.0.0: input/output error"));
    }
}
