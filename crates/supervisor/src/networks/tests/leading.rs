//! Where ports lead, and by whom.

use std::net::{IpAddr, SocketAddr};

use bulkhead_network::firewall::Protocol;

use super::{membership, on_a_host, publish};
use crate::networks::leading::{Leading, Targets, lead};
use crate::networks::ports::take;

const BOTH: [&str; 2] = ["10.77.1.2/24", "fd77:1::2/64"];

/// What the kernel leads, and what the proxy, each as it would be written.
fn told(leading: &Leading) -> (Vec<String>, Vec<String>) {
    let kernel =
        leading.kernel.iter().map(|one| format!("{} {}", SocketAddr::new(one.address, one.port), one.to));
    let proxy = leading.proxy.iter().map(|way| way.to.to_string());
    (kernel.collect(), proxy.collect())
}

#[test]
fn the_kernel_leads_what_it_can_and_the_proxy_the_rest() {
    on_a_host(|| {
        let none = std::path::Path::new("/none");
        let leases = take(&[publish(None, (8080, 8080), 80, Protocol::Tcp)], none).unwrap();
        let (v4, v6) = ("0.0.0.0:8080 10.77.1.2:80".to_owned(), "[::]:8080 [fd77:1::2]:80".to_owned());
        let own = "[::1]:8080 [fd77:1::2]:80".to_owned();
        let (to_v4, to_v6) = ("10.77.1.2:80".to_owned(), "[fd77:1::2]:80".to_owned());

        let both = Targets::of(&[membership(1, &BOTH, true)]);
        let (kernel, proxy) = told(&lead(&leases, &both, true));
        assert_eq!((kernel, proxy), (vec![v4.clone(), v6.clone(), own], vec![]));
        let (kernel, proxy) = told(&lead(&leases, &both, false));
        assert_eq!((kernel, proxy), (vec![v4.clone(), v6.clone()], vec![to_v6.clone()]));

        let ipv4 = Targets::of(&[membership(1, &BOTH[..1], true)]);
        assert_eq!(told(&lead(&leases, &ipv4, true)), (vec![v4], vec![to_v4.clone()]));
        let ipv6 = Targets::of(&[membership(1, &BOTH[1..], true)]);
        assert_eq!(told(&lead(&leases, &ipv6, false)), (vec![v6], vec![to_v6.clone(), to_v6]));

        let nowhere = lead(&leases, &Targets::default(), true);
        assert_eq!(told(&nowhere), (vec![], vec![]));
        assert!(nowhere.ports.len() == 2 && nowhere.ports.iter().all(|port| port.to.is_none()));
        let seen = lead(&leases, &ipv4, true).ports;
        assert!(seen.iter().all(|port| port.to.unwrap().to_string() == to_v4), "{seen:?}");
    });
}

#[test]
fn ports_lead_to_the_network_with_the_way_out_else_to_the_first() {
    let inside = membership(1, &["10.77.1.2/24"], false);
    let outside = membership(2, &["10.77.2.2/24"], true);
    let six = membership(3, &["10.77.3.2/24", "fd77:3::2/64"], false);
    let of = |memberships: &[_]| {
        let targets = Targets::of(memberships);
        (targets.ipv4.map(|target| target.address), targets.ipv6.map(|target| target.address))
    };
    let four = |text: &str| text.parse::<IpAddr>().ok();
    assert_eq!(of(&[inside.clone(), outside, six.clone()]), (four("10.77.2.2"), four("fd77:3::2")));
    assert_eq!(of(&[inside.clone(), six.clone()]), (four("10.77.1.2"), four("fd77:3::2")));
    assert_eq!(of(&[six, inside]), (four("10.77.3.2"), four("fd77:3::2")));
    assert_eq!(of(&[]), (None, None));
}
