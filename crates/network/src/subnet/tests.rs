use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn any_net(prefixes: std::ops::RangeInclusive<u8>) -> impl Strategy<Value = Ipv4Net> {
    (any::<u32>(), prefixes)
        .prop_map(|(bits, len)| Ipv4Net::new(Ipv4Addr::from_bits(bits), len).unwrap().trunc())
}

/// Networks where the pools are, so that they matter.
fn private_net() -> impl Strategy<Value = Ipv4Net> {
    (0u32..1 << 20, 12u8..=24)
        .prop_map(|(bits, len)| Ipv4Net::new(Ipv4Addr::from_bits(0xac10_0000 | bits), len).unwrap().trunc())
}

proptest! {
    #[test]
    fn a_chosen_subnet_collides_with_nothing(
        taken in proptest::collection::vec(private_net(), 0..20),
        routes in proptest::collection::vec(any_net(8..=32), 0..20),
    ) {
        match choose_subnet(&default_pools(), &taken, &routes) {
            Ok(chosen) => {
                prop_assert!(taken.iter().chain(&routes).all(|other| !overlap(other, &chosen)));
                prop_assert!(default_pools().iter().any(|pool| pool.base.contains(&chosen)));
            }
            Err(error) => {
                // Then each subnet of each pool overlaps something.
                prop_assert!(matches!(error, Error::NoSubnet));
                for pool in default_pools() {
                    for candidate in pool.base.subnets(pool.size).unwrap() {
                        prop_assert!(taken.iter().chain(&routes).any(|other| overlap(other, &candidate)));
                    }
                }
            }
        }
    }

    #[test]
    fn addresses_are_given_once_each_until_all_are(
        bits in any::<u32>(), prefix in 22u8..=32, gateway in any::<u32>(), part in 0u8..=3, start in any::<Option<u32>>(),
    ) {
        let subnet = Ipv4Net::new(Ipv4Addr::from_bits(bits), prefix).unwrap().trunc();
        let size = u32::try_from(u64::from(subnet.broadcast().to_bits() - subnet.network().to_bits()) + 1).unwrap();
        let gateway = Ipv4Addr::from_bits(subnet.network().to_bits() + gateway % size);
        let mut addresses = AddressRange::new(subnet, gateway);
        if prefix + part <= 32 {
            addresses = addresses.within(Ipv4Net::new(subnet.broadcast(), prefix + part).unwrap()).unwrap();
        }
        let mut used = BTreeSet::new();
        let mut last = start.map(Ipv4Addr::from_bits);
        for _ in 0..addresses.capacity() {
            let next = addresses.next_free(|address| used.contains(&address), last).unwrap();
            prop_assert!(addresses.allows(next) && addresses.range.contains(&next));
            prop_assert!(used.insert(next), "{next} was given twice");
            last = Some(next);
        }
        let error = addresses.next_free(|address| used.contains(&address), last).unwrap_err();
        prop_assert!(error.to_string().contains("no address is free in"), "{}", error);
    }
}

#[test]
fn the_pools_are_dockers() {
    let pools = default_pools();
    assert_eq!(pools.len(), 16);
    assert_eq!(choose_subnet(&pools, &[], &[]).unwrap(), net("172.17.0.0/16"));
    assert_eq!(
        choose_subnet(&pools, &[net("172.17.0.0/16")], &[net("172.18.4.0/24")]).unwrap(),
        net("172.19.0.0/16")
    );
    assert_eq!(choose_subnet(&pools, &[net("172.16.0.0/12")], &[]).unwrap(), net("192.168.0.0/20"));
    let most = [net("172.16.0.0/12"), net("192.168.0.0/17")];
    assert_eq!(choose_subnet(&pools, &most, &[]).unwrap(), net("192.168.128.0/20"));
    let all = [net("172.16.0.0/12"), net("192.168.0.0/16")];
    assert!(matches!(choose_subnet(&pools, &all, &[]), Err(Error::NoSubnet)));
}

#[test]
fn a_vpns_two_halves_of_everything_are_no_obstacle() {
    let halves = [net("0.0.0.0/1"), net("128.0.0.0/1"), net("0.0.0.0/0")];
    assert_eq!(choose_subnet(&default_pools(), &[], &halves).unwrap(), net("172.17.0.0/16"));
}

#[test]
fn a_pool_at_the_end_of_all_addresses_ends() {
    let pool = Pool { base: net("255.255.255.0/24"), size: 25 };
    assert_eq!(choose_subnet(&[pool], &[net("255.255.255.0/25")], &[]).unwrap(), net("255.255.255.128/25"));
    assert!(choose_subnet(&[pool], &[net("255.255.255.0/25"), net("255.255.255.200/32")], &[]).is_err());
    let wrong = Pool { base: net("10.0.0.0/24"), size: 16 };
    assert!(choose_subnet(&[wrong], &[], &[]).is_err());
}

#[test]
fn the_254th_container_of_a_24_is_one_too_many() {
    let addresses = AddressRange::new(net("10.0.0.0/24"), Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(addresses.capacity(), 253);
    assert_eq!(addresses.next_free(|_| false, None).unwrap(), Ipv4Addr::new(10, 0, 0, 2));
    assert_eq!(
        addresses.next_free(|_| false, Some(Ipv4Addr::new(10, 0, 0, 254))).unwrap(),
        Ipv4Addr::new(10, 0, 0, 2)
    );
    let error = addresses.next_free(|_| true, None).unwrap_err().to_string();
    assert!(error.contains("10.0.0.0/24") && error.contains("all 253"), "{error}");
}

#[test]
fn ipv6_networks_are_cut_from_the_hosts_own_unique_local_addresses() {
    let pool = unique_local_pool([1, 2, 3, 4, 5]);
    assert_eq!(pool.base.to_string(), "fd01:203:405::/48");
    let first = choose_subnet(&[pool], &[], &[]).unwrap();
    assert_eq!(first.to_string(), "fd01:203:405::/64");
    let whole: Ipv6Net = "2000::/3".parse().unwrap();
    let route: Ipv6Net = "fd01:203:405:2::/63".parse().unwrap();
    let second: Ipv6Net = "fd01:203:405:1::/64".parse().unwrap();
    let third = choose_subnet(&[pool], &[first, second], &[route, whole]).unwrap();
    assert_eq!(third.to_string(), "fd01:203:405:4::/64");
    assert_eq!(collision(third, &[route, whole]), None);
    assert_eq!(collision(route.subnets(64).unwrap().next().unwrap(), &[whole, route]), Some(route));

    let gateway = "fd01:203:405::1".parse().unwrap();
    let addresses = AddressRange::new(first, gateway);
    let next = addresses.next_free(|_| false, None).unwrap();
    assert_eq!(next.to_string(), "fd01:203:405::2");
    assert_eq!(addresses.next_free(|_| false, Some(next)).unwrap().to_string(), "fd01:203:405::3");
    assert!(!addresses.allows(first.network()) && addresses.allows(first.broadcast()));
    assert_eq!(addresses.capacity(), (1 << 64) - 2);
    let everything = AddressRange::new("::/0".parse::<Ipv6Net>().unwrap(), gateway);
    assert!(everything.capacity() > 1 << 127);
    let last = everything.next_free(|_| false, Some(Ipv6Addr::from_bits(u128::MAX - 1))).unwrap();
    assert_eq!(last, Ipv6Addr::from_bits(u128::MAX));
}

#[test]
fn a_range_lies_within_its_subnet() {
    let addresses = AddressRange::new(net("10.0.0.0/16"), Ipv4Addr::new(10, 0, 0, 1));
    let part = addresses.within(net("10.0.5.0/30")).unwrap();
    // Inside of a larger subnet, the part's own edges are ordinary addresses.
    assert_eq!(part.next_free(|_| false, None).unwrap(), Ipv4Addr::new(10, 0, 5, 0));
    assert_eq!(part.capacity(), 4);
    let error = addresses.within(net("10.1.0.0/24")).unwrap_err().to_string();
    assert!(error.contains("10.1.0.0/24 is no part of the subnet 10.0.0.0/16"), "{error}");
}
