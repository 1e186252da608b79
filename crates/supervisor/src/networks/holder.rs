//! Who has a port that somebody else wants: a container, by what its supervisor says, or else a process, by the socket
//! that it holds (proc_pid_net(5)). Looked for only when a port could not be had.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use bulkhead_network::firewall::Protocol;

use super::ports::name_of;
use super::published;

/// What /proc/net says of a socket of a closed connection that waits for stray packets.
const TIME_WAIT: &str = "06";

/// Whether the same port cannot be had at both addresses.
pub(crate) fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one == other || (one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified()))
}

/// Whether a container has that port that gives it back about now.
pub(crate) fn is_ending(folder: &Path, protocol: Protocol, port: u16) -> bool {
    let having = published::having(folder, protocol, port).unwrap_or_default();
    having.iter().any(|holder| holder.supervisor.lives() && holder.is_ending())
}

/// Who has it, as the last part of a sentence.
pub(crate) fn of(wanted: SocketAddr, protocol: Protocol, folder: &Path) -> String {
    let having = published::having(folder, protocol, wanted.port()).unwrap_or_default();
    let container = having.iter().find(|published| {
        published.supervisor.lives()
            && published.ports.iter().any(|port| {
                port.protocol == protocol && port.port == wanted.port() && overlap(port.address, wanted.ip())
            })
    });
    if let Some(container) = container {
        let short = container.id.get(..12).unwrap_or(&container.id);
        return format!("container {} ({short}) has it", container.name);
    }
    let sockets = sockets(wanted, protocol);
    match process_with(&sockets) {
        Some((pid, command)) => format!("process {pid} ({command}) has it"),
        None if sockets.is_empty() => {
            "it is kept by a socket that is not listed, such as another engine's".to_owned()
        }
        None => "no process that can be seen from here has it".to_owned(),
    }
}

/// The inodes of the sockets that stand in the way of `wanted`.
fn sockets(wanted: SocketAddr, protocol: Protocol) -> Vec<u64> {
    let mut found = Vec::new();
    for suffix in ["", "6"] {
        let file = format!("/proc/thread-self/net/{}{suffix}", name_of(protocol));
        // Where there is no IPv6, there is no such file.
        let text = fs::read_to_string(file).unwrap_or_default();
        found.extend(text.lines().skip(1).filter_map(|line| in_the_way(line, wanted)));
    }
    found
}

/// The inode of the socket in a line of /proc/net/tcp and the like, if it is bound to that port.
fn in_the_way(line: &str, wanted: SocketAddr) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let &[_, local, _, state, _, _, _, _, _, inode, ..] = fields.as_slice() else { return None };
    let local = address(local)?;
    // A socket of IPv6 that is bound to all addresses may have those of IPv4 as well.
    let all = local.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let same = local.port() == wanted.port() && (all || overlap(local.ip(), wanted.ip()));
    inode.parse().ok().filter(|inode| same && state != TIME_WAIT && *inode != 0)
}

/// An address and port in hexadecimal digits; of the address, each four bytes are a number in the machine's order.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let all = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            IpAddr::from(<[u8; 16]>::try_from(all).ok()?)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The first process that has one of the sockets: its number and its command.
fn process_with(sockets: &[u64]) -> Option<(u32, String)> {
    if sockets.is_empty() {
        return None;
    }
    let links: Vec<String> = sockets.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let has = |process: &Path| {
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        descriptors
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .any(|target| links.iter().any(|link| target.as_os_str() == link.as_str()))
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .find(|(_, path)| has(path))
        .map(|(pid, path)| {
            (pid, fs::read_to_string(path.join("comm")).unwrap_or_default().trim_end().to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::{address, in_the_way};
    use proptest::prelude::*;

    const ONE: &str = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0";
    const SIX: &str = "   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1";

    #[test]
    fn sockets_are_found_by_what_stands_in_the_way() {
        let way = |line: &str, wanted: &str| in_the_way(line, wanted.parse().unwrap());
        assert_eq!(way(ONE, "127.0.0.1:8080"), Some(4711));
        assert_eq!(way(ONE, "0.0.0.0:8080"), Some(4711));
        assert_eq!(way(ONE, "127.0.0.2:8080"), None);
        assert_eq!(way(ONE, "127.0.0.1:8081"), None);
        assert_eq!(way(&ONE.replace(" 0A ", " 06 "), "127.0.0.1:8080"), None, "nobody has that");
        assert_eq!(way(SIX, "[::1]:8080"), Some(4712));
        assert_eq!(way(SIX, "[::]:8080"), Some(4712));
        assert_eq!(way(SIX, "0.0.0.0:8080"), None);
        let all = SIX.replacen("01000000:", "00000000:", 1);
        assert_eq!(way(&all, "0.0.0.0:8080"), Some(4712), "it may have IPv4 too");
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange(line in ".{0,200}", local in "[0-9A-Fa-fé:]{0,40}") {
            let wanted = "0.0.0.0:80".parse().unwrap();
            let _ = (in_the_way(&line, wanted), address(&local));
            let _ = in_the_way(&ONE.replacen("0100007F:1F90", &local, 1), wanted);
        }
    }
}
