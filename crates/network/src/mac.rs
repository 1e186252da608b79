//! MAC addresses of containers and bridges.

use std::net::Ipv4Addr;

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
}
