//! `network reload` after somebody flushed the firewall, and what comes back by itself.

use bulkhead_tests::{Host, wait};

use super::outside::{HERE, HERE6, Outside};
use super::{address, ask, ask_from, network, serve};

#[test]
fn everything_comes_back() {
    let host = Host::new("reload").with_busybox();
    let outside = Outside::of(&host);
    network(&host, "red", &["--ipv6"]);
    network(&host, "blue", &[]);
    serve(&host, "web", &["--network", "red", "-p", "8080:80"]);
    serve(&host, "old", &["-p", "8081:80"]);
    serve(&host, "far", &["--network", "blue"]);
    let rules = || host.sh("nft list ruleset").stdout();
    let sorted = |text: &str| {
        let mut words: Vec<_> =
            text.split([' ', '\n', '\t', ',']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        words.sort();
        words
    };
    let before = rules();
    for damage in [
        "nft flush ruleset",
        "nft flush table inet bulkhead",
        "nft delete table bridge bulkhead",
        "nft flush map inet bulkhead ports_any",
        "nft flush set bridge bulkhead senders",
        "nft flush chain inet bulkhead forward",
    ] {
        host.sh(damage).prints("");
        assert_ne!(rules(), before, "{damage}");
        host.bulkhead(["network", "reload"]).run().succeeds();
        assert_eq!(sorted(&rules()), sorted(&before), "{damage}");
    }
    assert!(outside.ask(&format!("{HERE}:8080")).starts_with("web to "));
    assert!(outside.ask(&format!("[{HERE6}]:8080")).starts_with("web to "));
    assert!(outside.ask(&format!("{HERE}:8081")).starts_with("old to "));
    assert!(ask_from(&host, "far", &format!("{}:80", address(&host, "web", "red"))).contains("time"));
    // After a flush, a container that starts puts the isolation of its networks back.
    host.sh("nft flush ruleset").prints("");
    host.bulkhead(["run", "--rm", "--network", "blue", "busybox", "true"]).prints("");
    assert!(ask_from(&host, "far", &format!("{}:80", address(&host, "old", "bridge"))).contains("time"));
    outside.end();
    host.finish();
}

#[test]
fn a_bridge_that_somebody_removed_comes_back_with_its_containers() {
    let host = Host::new("reload-bridge").with_busybox();
    let outside = Outside::of(&host);
    network(&host, "red", &["--ipv6", "-o", "com.docker.network.bridge.name=red0"]);
    let apart =
        ["-o", "com.docker.network.bridge.name=apart0", "-o", "com.docker.network.bridge.enable_icc=false"];
    network(&host, "apart", &apart);
    serve(&host, "web", &["--network", "red", "-p", "8080:80"]);
    serve(&host, "beside", &["--network", "red"]);
    serve(&host, "one", &["--network", "apart"]);
    serve(&host, "two", &["--network", "apart"]);
    let web = format!("{}:80", address(&host, "web", "red"));
    host.sh("ip link del red0; ip link del apart0").prints("");
    assert!(!ask_from(&host, "beside", &web).starts_with("web to "));
    host.bulkhead(["network", "reload"]).run().succeeds();
    // Neighbours that were asked for in vain meanwhile are asked for again after a while.
    wait::until("they reach each other again", || ask_from(&host, "beside", &web).starts_with("web to "));
    assert!(outside.ask(&format!("{HERE}:8080")).starts_with("web to "));
    assert!(outside.ask(&format!("[{HERE6}]:8080")).starts_with("web to "));
    for own in ["127.0.0.1", "[::1]"] {
        assert!(ask(&host, &format!("{own}:8080")).starts_with("web to "), "{own}");
    }
    let two = format!("{}:80", address(&host, "two", "apart"));
    assert!(ask(&host, &two).starts_with("two to "));
    assert!(!ask_from(&host, "one", &two).starts_with("two to "), "they are kept apart as before");
    outside.end();
    host.finish();
}

#[test]
fn a_reset_leaves_nothing() {
    let host = Host::new("reload-reset").with_busybox();
    network(&host, "red", &["--ipv6"]);
    serve(&host, "web", &["--network", "red", "-p", "8080:80"]);
    host.bulkhead(["system", "reset", "-f"]).run().succeeds();
    host.sh("nft list ruleset | grep -c bulkhead || true; ls /sys/class/net").prints("0\nlo");
    host.finish_clean();
}
