//! MAC addresses of containers and bridges.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::link::Mac;

/// The MAC address that goes with an IPv4 address: 02:42 and its four bytes, as Docker makes them.
///
/// Locally administered (the 02), unique where the addresses are, and the same when a container comes back with its
/// address, so neighbours' ARP entries stay right.
#[must_use]
pub fn of_address(address: Ipv4Addr) -> Mac {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// Reads a MAC address of a single link, written with ':' or '-' between its bytes.
#[must_use]
pub fn parse(text: &str) -> Option<Mac> {
    let mut mac = Mac::default();
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        let part =
            parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    // The lowest bit of the first byte marks groups.
    let single = mac != Mac::default() && mac[0] & 1 == 0;
    (parts.next().is_none() && single).then_some(mac)
}

/// The MAC address that goes with an IPv6 address, for what has no IPv4 address: 02 and the address's last five bytes.
#[must_use]
pub fn of_ipv6(address: Ipv6Addr) -> Mac {
    let [.., a, b, c, d, e] = address.octets();
    [0x02, a, b, c, d, e]
}

/// A MAC address that follows from a name, for what has no address.
#[must_use]
pub fn of_name(name: &str) -> Mac {
    // FNV-1a.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let [a, b, c, d, e, ..] = hash.to_be_bytes();
    [0x02, a, b, c, d, e]
}

/// The link-local IPv6 address of a link with that MAC address (RFC 4291, appendix A). The links of containers on
/// networks with IPv6 have it.
#[must_use]
pub fn link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// The usual text of a MAC address.
#[must_use]
pub fn text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_dockers() {
        assert_eq!(of_address(Ipv4Addr::new(172, 17, 0, 2)), [0x02, 0x42, 0xac, 0x11, 0x00, 0x02]);
    }

    #[test]
    fn link_local_addresses_are_the_kernels() {
        let mac = [0x02, 0x42, 0xac, 0x11, 0x00, 0x02];
        assert_eq!(link_local(mac).to_string(), "fe80::42:acff:fe11:2");
        assert_eq!(of_ipv6("fd00::12:3456".parse().unwrap()), [0x02, 0, 0, 0x12, 0x34, 0x56]);
    }

    #[test]
    fn its_text_is_read_again() {
        assert_eq!(parse("02:42:AC-11:00:02"), Some([0x02, 0x42, 0xac, 0x11, 0x00, 0x02]));
        for bad in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "03:42:ac:11:00:02",
            "00:00:00:00:00:00",
            "+2:42:ac:11:00:02",
            "2:42:ac:11:0:02",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
