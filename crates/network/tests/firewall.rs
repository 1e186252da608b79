//! The firewall's table: what `nft` says of it, and that containers leave with the host's address.

mod support;

use std::process::Command;

use bulkhead_network::{bridge, firewall};
use support::{Namespace, a_bridge, a_container, ensure, ipv4, send, udp};

/// Whether `nft` is here to have a second opinion; says so if not.
fn nft_is_here() -> bool {
    let here = Command::new("nft").arg("--version").output().is_ok();
    if !here {
        eprintln!("SKIPPED: nft(8) is not installed, so what the table looks like to it is not checked");
    }
    here
}

const TABLE: &str = r#"table inet bulkhead {
	comment "layout 1, kept by bulkhead"
	set bridges {
		type ifname
		elements = { "bhtest1" }
	}

	set masquerade {
		type ifname
		elements = { "bhtest1" }
	}

	map ports {
		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		iifname @bridges accept
		oifname @bridges accept
	}

	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		meta nfproto ipv4 iifname @masquerade oifname != @bridges masquerade
	}
}
"#;

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
    host.run(|| firewall::ensure(&["bhtest1", "other"]).unwrap());
    let before = host.output("nft", &["-a", "list", "ruleset"]);
    host.run(|| firewall::ensure(&["other", "bhtest1"]).unwrap());
    host.run(|| firewall::ensure(&[]).unwrap());
    assert_eq!(host.output("nft", &["-a", "list", "ruleset"]), before);
}

#[test]
fn flushed_emptied_deleted_or_old_it_is_put_back() {
    if !nft_is_here() {
        return;
    }
    let host = Namespace::host();
    host.run(|| firewall::ensure(&["bhtest1"]).unwrap());
    for damage in [
        "flush ruleset",
        "flush table inet bulkhead",
        "flush chain inet bulkhead postrouting",
        "flush set inet bulkhead bridges",
        "delete table inet bulkhead; add table inet bulkhead { comment \"layout 0\"; chain stale { }; }",
        "delete table inet bulkhead; add table inet bulkhead",
    ] {
        host.output("nft", &[damage]);
        host.run(|| firewall::ensure(&["bhtest1"]).unwrap());
        assert_eq!(host.output("nft", &["list", "ruleset"]), TABLE, "after {damage}");
    }
}

#[test]
fn bridges_of_others_in_the_table_stay_through_a_repair() {
    if !nft_is_here() {
        return;
    }
    let host = Namespace::host();
    host.run(|| firewall::ensure(&["bhtest1", "another"]).unwrap());
    host.output("nft", &["flush table inet bulkhead"]);
    host.run(|| firewall::ensure(&["bhtest1"]).unwrap());
    assert!(host.output("nft", &["list", "set", "inet", "bulkhead", "bridges"]).contains("another"));
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
        firewall::ensure(&["bhtest1", "bhtest2"]).unwrap();
        firewall::forget(&["bhtest2", "never-there"]).unwrap();
    });
    assert!(host.output("nft", &["list", "ruleset"]).contains(TABLE.trim_end()));
    host.run(|| {
        let found = firewall::foreign_drops().unwrap();
        let [only] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((only.family, only.table.as_str(), only.chain.as_str()), ("ip", "filter", "FORWARD"));
        assert!(firewall::remove().unwrap());
        assert!(!firewall::remove().unwrap());
        firewall::forget(&["bhtest1"]).unwrap();
    });
    assert_eq!(host.output("nft", &["list", "ruleset"]), before);
}

#[test]
fn many_at_once_lose_nothing() {
    let host = Namespace::host();
    let names: Vec<String> = (0..24).map(|number| format!("many{number}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| host.run(|| firewall::ensure(&[name]).unwrap()));
        }
    });
    if nft_is_here() {
        let list = host.output("nft", &["list", "table", "inet", "bulkhead"]);
        for name in &names {
            assert_eq!(list.matches(&format!("\"{name}\"")).count(), 2, "{name} in {list}");
        }
        assert_eq!(list.matches("accept\n").count(), 2, "{list}");
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
        firewall::forget(&[&outside.name]).unwrap();
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
fn between_our_own_bridges_the_source_stays() {
    let host = Namespace::host();
    let bridges = [a_bridge(1), a_bridge(2)];
    host.run(|| bridges.iter().for_each(ensure));
    let (a, place_a) = a_container(&host, &bridges[0], 2);
    let (b, place_b) = a_container(&host, &bridges[1], 2);
    let in_a = udp(&a, ipv4(&place_a));
    assert_eq!(send(&in_a, &udp(&b, ipv4(&place_b))).unwrap(), in_a.local_addr().unwrap());
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
