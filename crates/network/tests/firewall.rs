//! The firewall's table: what `nft` says of it, and that containers leave with the host's address.

mod support;

use std::net::Ipv4Addr;
use std::process::Command;

use bulkhead_network::firewall::{Protocol, PublishedPort};
use bulkhead_network::{bridge, firewall};
use support::{Namespace, a_bridge, a_container, an_endpoint, ensure, host_link, ipv4, presence, send, udp};

/// Whether `nft` is here to have a second opinion; says so if not.
fn nft_is_here() -> bool {
    let here = Command::new("nft").arg("--version").output().is_ok();
    if !here {
        eprintln!("SKIPPED: nft(8) is not installed, so what the table looks like to it is not checked");
    }
    here
}

/// What `nft list ruleset` says with one bridge.
const TABLE: &str = include_str!("support/ruleset.nft");

/// Both tables, in this order whichever was made first.
fn tables(host: &Namespace) -> String {
    let list = |family| host.output("nft", &["list", "table", family, "bulkhead"]);
    list("inet") + &list("bridge")
}

#[test]
fn nft_reads_it_as_it_was_meant() {
    if !nft_is_here() {
        return;
    }
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.run(|| ensure(&bridge));
    assert_eq!(host.output("nft", &["list", "ruleset"]), TABLE);
}

#[test]
fn a_second_time_changes_nothing() {
    if !nft_is_here() {
        return;
    }
    let host = Namespace::host();
    host.run(|| firewall::ensure(&[&a_bridge(1), &a_bridge(2)]).unwrap());
    let before = host.output("nft", &["-a", "list", "ruleset"]);
    host.run(|| firewall::ensure(&[&a_bridge(2), &a_bridge(1)]).unwrap());
    host.run(|| firewall::ensure(&[]).unwrap());
    assert_eq!(host.output("nft", &["-a", "list", "ruleset"]), before);
}

#[test]
fn flushed_emptied_deleted_or_old_it_is_put_back() {
    if !nft_is_here() {
        return;
    }
    let host = Namespace::host();
    host.run(|| firewall::ensure(&[&a_bridge(1)]).unwrap());
    for damage in [
        "flush ruleset",
        "flush table inet bulkhead",
        "flush chain inet bulkhead postrouting",
        "flush set inet bulkhead bridges",
        "delete table inet bulkhead; add table inet bulkhead { comment \"layout 0\"; chain stale { }; }",
        "delete table inet bulkhead; add table inet bulkhead",
        "delete table bridge bulkhead",
    ] {
        host.output("nft", &[damage]);
        host.run(|| firewall::ensure(&[&a_bridge(1)]).unwrap());
        assert_eq!(tables(&host), TABLE, "after {damage}");
    }
}

#[test]
fn bridges_of_others_in_the_table_stay_through_a_repair() {
    if !nft_is_here() {
        return;
    }
    let host = Namespace::host();
    host.run(|| firewall::ensure(&[&a_bridge(1), &a_bridge(2)]).unwrap());
    host.output("nft", &["flush table inet bulkhead"]);
    host.run(|| firewall::ensure(&[&a_bridge(1)]).unwrap());
    assert!(host.output("nft", &["list", "set", "inet", "bulkhead", "bridges"]).contains("bhtest2"));
}

#[test]
fn tables_of_others_are_not_touched_and_forgetting_is_exact() {
    if !nft_is_here() {
        return;
    }
    let host = Namespace::host();
    let theirs = "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }";
    host.output("nft", &[theirs]);
    let before = host.output("nft", &["list", "ruleset"]);
    host.run(|| {
        firewall::ensure(&[&a_bridge(1), &a_bridge(2)]).unwrap();
        firewall::forget(&[&a_bridge(2), &a_bridge(3)]).unwrap();
    });
    assert!(host.output("nft", &["list", "ruleset"]).contains(TABLE.trim_end()));
    host.run(|| {
        let found = firewall::foreign_drops().unwrap();
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((only.family, only.table.as_str(), only.chain.as_str()), ("ip", "filter", "FORWARD"));
        assert!(firewall::remove().unwrap());
        assert!(!firewall::remove().unwrap());
        firewall::forget(&[&a_bridge(1)]).unwrap();
    });
    assert_eq!(host.output("nft", &["list", "ruleset"]), before);
}

#[test]
fn many_at_once_lose_nothing() {
    let host = Namespace::host();
    let bridges: Vec<_> = (1..=24).map(a_bridge).collect();
    std::thread::scope(|scope| {
        for bridge in &bridges {
            scope.spawn(|| host.run(|| firewall::ensure(&[bridge]).unwrap()));
        }
    });
    if nft_is_here() {
        let list = host.output("nft", &["list", "set", "inet", "bulkhead", "bridges"]);
        for bridge in &bridges {
            assert_eq!(list.matches(&format!("\"{}\"", bridge.name)).count(), 1, "{} in {list}", bridge.name);
        }
        let list = host.output("nft", &["list", "ruleset"]);
        assert_eq!(list.matches("oifname @bridges drop\n").count(), 1, "{list}");
    }
}

#[test]
fn beyond_the_host_containers_have_the_hosts_address() {
    let host = Namespace::host();
    let (inside, outside) = (a_bridge(1), a_bridge(2));
    host.run(|| {
        ensure(&inside);
        // The way to another machine: a link of the host's that is none of our bridges.
        ensure(&outside);
        firewall::forget(&[&outside]).unwrap();
    });
    let (container, place) = a_container(&host, &inside, 2);
    let (machine, machine_place) = a_container(&host, &outside, 9);

    let sender = udp(&container, ipv4(&place));
    let receiver = udp(&machine, ipv4(&machine_place));
    let seen = send(&sender, &receiver).unwrap();
    assert_eq!(seen.ip().to_string(), "10.77.2.1", "the host's address on that link");
    // The answer finds its way back through the translation.
    receiver.send_to(b"ebb", seen).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(sender.recv_from(&mut buffer).unwrap(), (3, receiver.local_addr().unwrap()));

    // The proof that it is the table: without it, the machine sees the container's own address.
    host.run(|| assert!(firewall::remove().unwrap()));
    let other = udp(&container, ipv4(&place));
    assert_eq!(send(&other, &receiver).unwrap(), other.local_addr().unwrap());
}

#[test]
fn removing_a_bridge_takes_it_out_of_the_table() {
    if !nft_is_here() {
        return;
    }
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.run(|| {
        ensure(&bridge);
        assert!(bridge::remove(&bridge).unwrap());
    });
    assert!(!host.output("nft", &["list", "ruleset"]).contains("bhtest1"));
}

#[test]
fn what_is_in_one_table_goes_though_somebody_deleted_the_other() {
    if !nft_is_here() {
        return;
    }
    let (host, bridge) = (Namespace::host(), a_bridge(1));
    host.run(|| ensure(&bridge));
    let place = an_endpoint(&bridge, 2);
    let mut all = presence(&place);
    all.ports.push(PublishedPort {
        address: Ipv4Addr::UNSPECIFIED.into(),
        port: 8080,
        protocol: Protocol::Tcp,
        to: (ipv4(&place), 80).into(),
    });
    host.run(|| firewall::admit(&all).unwrap());
    let senders = || host.output("nft", &["list", "set", "bridge", "bulkhead", "senders"]);
    assert!(senders().contains(host_link(&place)));
    host.output("nft", &["delete", "table", "inet", "bulkhead"]);
    host.run(|| firewall::dismiss(&all).unwrap());
    assert!(!senders().contains(host_link(&place)));
}
