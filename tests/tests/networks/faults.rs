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

#[test]
fn a_network_is_not_removed_under_a_container_that_comes_to_it() {
    let host = Host::new("faults-rm").with_busybox();
    for command in ["bulkhead start c1", "bulkhead start c0; bulkhead network connect shop c0"] {
        // Whoever comes first, a container that runs is on networks that are there.
        let round = format!(
            "bulkhead network create shop >/dev/null
            bulkhead create --name c1 --network shop busybox sleep 1000 >/dev/null
            bulkhead create --name c0 busybox sleep 1000 >/dev/null
            ({command}) >/dev/null 2>&1 &
            sleep 0.0$((RANDOM % 10)); sleep 0.0$((RANDOM % 5)); bulkhead network rm shop >/dev/null 2>&1 || true
            wait
            if ! bulkhead network inspect shop >/dev/null 2>&1; then
                for pid in $(bulkhead inspect -f '{{{{.State.Pid}}}} {{{{.Name}}}}' c1 | sed -n 's, /c1,,p' | grep -v '^0$'); do
                    echo \"c1 runs on a network that is not there\"
                done
                pid=$(bulkhead inspect -f '{{{{.State.Pid}}}}' c0)
                if [ $pid != 0 ] && nsenter -t $pid -n test -e /sys/class/net/eth1; then echo 'c0 has a link to nowhere'; fi
            fi
            bulkhead rm -f c0 c1 >/dev/null; bulkhead network rm -f shop >/dev/null 2>&1
            ls /run/bulkhead/networks 2>/dev/null | wc -l"
        );
        let script = format!("for n in $(seq 25); do {round}; done | sort | uniq -c");
        let said = host.sh(&format!("bash -c '{}'", script.replace('\'', r"'\''"))).timeout(300).stdout();
        assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["25", "0"], "{command}: {said}");
    }
    host.finish();
}
