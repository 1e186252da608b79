//! What is in the sets: the elements of a bridge, and those of a container.

use std::net::IpAddr;

use super::batch::BRIDGE;
use super::presence::{Presence, PublishedPort, Sender};
use super::sets::{self, Element, concatenation, link_name, octets};
use crate::bridge::{Bridge, Policy};
use crate::mac;

/// A bridge's elements, the one of `bridges` first. That has a comment which says all that the others follow from: one
/// look at it tells whether the table knows this bridge as it is, and, of another engine's bridge, how it is.
pub(super) fn of_bridge(bridge: &Bridge) -> Vec<Element> {
    let Policy { internal, masquerade, icc } = bridge.policy;
    let name = link_name(&bridge.name);
    let twice = || concatenation(&[&name, &name]);
    let mut first = Element::new(sets::BRIDGES, name.to_vec());
    first.comment = Some(describe(bridge));
    let mut elements = vec![first, Element::new(sets::LOOPS, twice())];
    for (set, wanted) in [(sets::INTERNAL, internal), (sets::MASQUERADED, masquerade && !internal)] {
        if wanted {
            elements.push(Element::new(set, name.to_vec()));
        }
    }
    if icc {
        elements.push(Element::new(sets::PAIRS, twice()));
    }
    let own = |address: IpAddr| {
        let set = if address.is_ipv4() { sets::OWN_GATEWAYS } else { sets::OWN_GATEWAYS6 };
        Element::new(set, concatenation(&[&name, &octets(address)]))
    };
    for address in &bridge.addresses {
        let set = if address.addr().is_ipv4() { sets::GATEWAYS } else { sets::GATEWAYS6 };
        elements.push(Element::new(set, octets(address.addr())));
        elements.push(own(address.addr()));
    }
    if bridge.ipv6().is_some() {
        elements.push(own(mac::link_local(bridge.mac()).into()));
    }
    elements
}

/// The comment of a bridge's element: its addresses and the words of its policy.
pub(super) fn describe(bridge: &Bridge) -> String {
    let Policy { internal, masquerade, icc } = bridge.policy;
    let words = [("internal", internal), ("masquerade", masquerade), ("icc", icc)];
    let words = words.into_iter().filter(|(_, holds)| *holds).map(|(word, _)| word.to_owned());
    bridge.addresses.iter().map(ToString::to_string).chain(words).collect::<Vec<_>>().join(" ")
}

/// The bridge that [`describe`] described, as far as its elements go; what it does not understand, it leaves out.
pub(super) fn read(name: &str, description: &str) -> Bridge {
    let mut policy = Policy { internal: false, masquerade: false, icc: false };
    let mut addresses = Vec::new();
    for word in description.split(' ') {
        match word {
            "internal" => policy.internal = true,
            "masquerade" => policy.masquerade = true,
            "icc" => policy.icc = true,
            address => addresses.extend(address.parse::<ipnet::IpNet>().ok()),
        }
    }
    Bridge { name: name.to_owned(), addresses, mtu: 0, policy }
}

/// A container's elements, those of one set together, none twice.
pub(super) fn of_presence(presence: &Presence) -> Vec<Element> {
    let mut elements: Vec<Element> = presence.senders.iter().map(sender).collect();
    elements.extend(presence.ports.iter().map(port));
    for published in &presence.ports {
        let address = published.to.ip();
        let set = if address.is_ipv4() { sets::SELF } else { sets::SELF6 };
        let element = Element::new(set, concatenation(&[&octets(address), &octets(address)]));
        if elements.last() != Some(&element) {
            elements.push(element);
        }
    }
    elements.sort_by(|one, other| (one.set, &one.key).cmp(&(other.set, &other.key)));
    elements.dedup_by(|next, one| (one.set, &one.key) == (next.set, &next.key));
    elements
}

fn sender(sender: &Sender) -> Element {
    let set = if sender.address.is_ipv4() { sets::SENDERS } else { sets::SENDERS6 };
    let key = sets::sender_key(&sender.host_link, sender.mac, sender.address);
    Element { family: BRIDGE, ..Element::new(set, key) }
}

fn port(published: &PublishedPort) -> Element {
    let protocol = published.protocol.number();
    let port = published.port.to_be_bytes();
    let set = match (published.address, published.address.is_unspecified()) {
        (IpAddr::V4(_), false) => sets::PORTS,
        (IpAddr::V4(_), true) => sets::PORTS_ANY,
        (IpAddr::V6(_), false) => sets::PORTS6,
        (IpAddr::V6(_), true) => sets::PORTS6_ANY,
    };
    let address = octets(published.address);
    let key = if published.address.is_unspecified() {
        concatenation(&[&[protocol], &port])
    } else {
        concatenation(&[&address, &[protocol], &port])
    };
    let to = &published.to;
    let data = concatenation(&[&octets(to.ip()), &to.port().to_be_bytes()]);
    Element { data, ..Element::new(set, key) }
}

#[cfg(test)]
mod tests {
    use super::super::presence::Protocol;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_description_says_all_that_the_elements_are_made_of(
            v4 in any::<Option<u32>>(), v6 in any::<Option<u128>>(), internal: bool, masquerade: bool, icc: bool,
        ) {
            let v4 = v4.map(|bits| ipnet::Ipv4Net::new(bits.into(), 24).unwrap().into());
            let v6 = v6.map(|bits| ipnet::Ipv6Net::new(bits.into(), 64).unwrap().into());
            let addresses = v4.into_iter().chain(v6).collect();
            let policy = Policy { internal, masquerade, icc };
            let bridge = Bridge { name: "bh0".to_owned(), addresses, mtu: 0, policy };
            prop_assert_eq!(read("bh0", &describe(&bridge)), bridge);
        }

        #[test]
        fn any_description_is_read(text in ".{0,100}") {
            let _ = read("bh0", &text);
        }
    }

    #[test]
    fn elements_of_one_set_come_together_and_once() {
        let published = |port| PublishedPort {
            address: "0.0.0.0".parse().unwrap(),
            port,
            protocol: Protocol::Tcp,
            to: "10.0.0.2:80".parse().unwrap(),
        };
        let presence =
            Presence { senders: Vec::new(), ports: vec![published(1), published(2), published(1)] };
        let elements = of_presence(&presence);
        assert_eq!(
            elements.iter().map(|element| element.set).collect::<Vec<_>>(),
            ["ports_any", "ports_any", "self"]
        );
        assert_eq!(elements[0].key, [6, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(elements[0].data, [10, 0, 0, 2, 0, 80, 0, 0]);
    }
}
