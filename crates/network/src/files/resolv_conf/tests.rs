use proptest::prelude::*;

use super::*;

/// The file's lines without the comment.
fn made(host: &str, overrides: &DnsOverrides) -> String {
    resolv_conf(host, overrides, false).unwrap().strip_prefix(HEADER).unwrap().to_owned()
}

#[test]
fn the_hosts_resolvers_but_those_on_its_loopback() {
    let host = "# a comment\nnameserver 127.0.0.53\n nameserver\t10.0.0.1  \nnameserver ::1\n; more\n\
                nameserver fe80::1%eth0\nnameserver 127.1.2.3\nnameserver ::ffff:127.0.0.1\nnameserver not-an-address\n\
                nameserver\nsearch a.example b.example\noptions ndots:2 edns0\noptions rotate\nsortlist 10.0.0.0/8\n";
    let expected = "nameserver 10.0.0.1\nsearch a.example b.example\noptions ndots:2 edns0 rotate\nsortlist 10.0.0.0/8\n";
    assert_eq!(made(host, &DnsOverrides::default()), expected);
}

#[test]
fn dockers_fallback_when_none_is_left() {
    for host in ["", "nameserver 127.0.0.1", "nameserver ::1\n", "nonsense\0\n"] {
        let text = made(host, &DnsOverrides::default());
        assert!(text.starts_with("nameserver 8.8.8.8\nnameserver 8.8.4.4\n"), "{host:?}: {text}");
    }
}

#[test]
fn ipv6_resolvers_where_there_is_ipv6() {
    let host = "nameserver fd00::53\nnameserver 10.0.0.1\n";
    assert_eq!(made(host, &DnsOverrides::default()), "nameserver 10.0.0.1\n");
    let text = resolv_conf(host, &DnsOverrides::default(), true).unwrap();
    assert!(text.ends_with("nameserver fd00::53\nnameserver 10.0.0.1\n"), "{text}");
}

#[test]
fn what_the_user_says_replaces_what_the_host_has() {
    let host = "nameserver 10.0.0.1\ndomain old.example\noptions rotate\n";
    let overrides = DnsOverrides {
        // Even one that is on the loopback device: there may be one in the container.
        nameservers: vec!["127.0.0.1".parse().unwrap(), "1.1.1.1".parse().unwrap()],
        search: vec!["new.example".to_owned()],
        options: vec!["ndots:1".to_owned()],
    };
    let expected = "nameserver 127.0.0.1\nnameserver 1.1.1.1\nsearch new.example\noptions ndots:1\n";
    assert_eq!(made(host, &overrides), expected);
    let none = DnsOverrides { search: vec![".".to_owned()], ..DnsOverrides::default() };
    assert_eq!(made(host, &none), "nameserver 10.0.0.1\noptions rotate\n");
}

#[test]
fn of_domain_and_search_the_last_counts() {
    let text = made("nameserver 10.0.0.1\nsearch a b\ndomain c d\n", &DnsOverrides::default());
    assert_eq!(text, "nameserver 10.0.0.1\nsearch c\n");
}

#[test]
fn on_the_hosts_network_the_file_is_the_hosts() {
    let host = "nameserver 127.0.0.53\noptions edns0";
    assert_eq!(resolv_conf_of_the_host(host, &DnsOverrides::default()).unwrap(), host);
    let overrides = DnsOverrides { search: vec!["x".to_owned()], ..DnsOverrides::default() };
    let text = resolv_conf_of_the_host(host, &overrides).unwrap();
    assert!(text.ends_with("nameserver 127.0.0.53\nsearch x\noptions edns0\n"), "{text}");
}

#[test]
fn systemds_stub_is_known() {
    assert!(is_systemd_stub("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n"));
    assert!(!is_systemd_stub("nameserver 127.0.0.53\nnameserver 10.0.0.1\n"));
    assert!(!is_systemd_stub(""));
}

proptest! {
    #[test]
    fn any_file_of_the_hosts_gives_one_with_resolvers(host in any::<String>()) {
        let text = made(&host, &DnsOverrides::default());
        prop_assert!(text.starts_with("nameserver "));
        prop_assert!(!text.contains("127.0.0."));
    }

    #[test]
    fn no_option_makes_a_line_of_its_own(option in any::<String>()) {
        let overrides = DnsOverrides { options: vec![option.clone()], ..DnsOverrides::default() };
        if let Ok(text) = resolv_conf("nameserver 10.0.0.1", &overrides, false) {
            prop_assert_eq!(text.lines().count(), 3);
            let line = format!("\noptions {option}\n");
            prop_assert!(text.ends_with(&line));
        }
    }
}
