//! Killed supervisors and commands leave no port, no rule and no address behind. (Each step of each command is killed in
//! the suite `fail_points`.)

use bulkhead_tests::Host;

use super::{ask, network, serve};

fn kill_supervisor(host: &Host, name: &str) {
    let id = host.inspect(name, "{{.Id}}");
    host.sh(&format!(
        "kill -9 $(python3 -c \"import json; print(json.load(open('/var/lib/bulkhead/containers/{id}/status.json'))['supervisor']['pid'])\")"
    ))
    .prints("");
}

#[test]
fn a_killed_supervisor_s_port_is_free_and_leads_nowhere() {
    let host = Host::new("faults-port").with_busybox();
    network(&host, "shop", &["--ipv6"]);
    serve(&host, "web", &["--network", "shop", "-p", "8080:80"]);
    kill_supervisor(&host, "web");
    host.bulkhead(["ps", "-q"]).prints("");
    host.sh("nft list ruleset | grep -c 8080 || true; ls /run/bulkhead/published | grep -c '^[0-9a-f]\\{64\\}$' || true").prints("0\n0");
    serve(&host, "next", &["-p", "8080:80"]);
    assert!(ask(&host, "127.0.0.1:8080").starts_with("next to "));
    // Without any command in between.
    kill_supervisor(&host, "next");
    serve(&host, "third", &["-p", "8080:80"]);
    assert!(ask(&host, "127.0.0.1:8080").starts_with("third to "));
    host.finish();
}

#[test]
fn cycles_leave_exactly_what_was_there() {
    let cycles = std::env::var("BULKHEAD_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(150u32);
    let host = Host::new("faults-cycles").with_busybox();
    network(&host, "red", &["--ipv6"]);
    network(&host, "blue", &[]);
    let cycle = "bulkhead run --rm --network red --network blue -p 8080:80 -p 53/udp busybox true";
    host.sh(cycle).prints("");
    let state = "nft list ruleset; ip -o link | cut -d: -f2-3; find /run/bulkhead /var/lib/bulkhead/containers -type f -o -type l | grep -v events | sort
        python3 -c \"
import sqlite3
store = sqlite3.connect('file:/var/lib/bulkhead/bulkhead.db?mode=ro', uri=True)
print(store.execute('SELECT count(*) FROM endpoints').fetchone())\"; cat /proc/net/sockstat | grep -c TCP";
    let settle = "until ! ip -o link | grep -q ' bhp'; do sleep 0.05; done";
    host.sh(settle).prints("");
    host.bulkhead(["network", "reload"]).run().succeeds();
    let before = host.sh(state).stdout();
    host.sh(&format!("for n in $(seq {cycles}); do {cycle}; done")).timeout(1200).prints("");
    host.sh(settle).prints("");
    host.bulkhead(["network", "reload"]).run().succeeds();
    assert_eq!(host.sh(state).stdout(), before);
    host.finish();
}
