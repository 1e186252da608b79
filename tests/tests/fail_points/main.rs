//! Whatever is killed, at whatever step: every fail point of the code ([`bulkhead_sys::fail`]) is met by a process that dies
//! there as by SIGKILL; then what is shown must be true, the next command must work, and nothing may be left.
//!
//! The points are read from the sources, and each file of these must be known to a scenario here: a new step cannot be
//! forgotten, and one that no scenario meets is an error.
//!
//! The executables under test are those of a build with the feature `fail-points` (`scripts/build.sh --fail-points`).

#![allow(clippy::unwrap_used, clippy::panic)]

mod points;
mod scenarios;

use bulkhead_tests::Host;
use points::Point;
use scenarios::{SCENARIOS, Scenario};

/// What must be true after every death, whoever died: `ps` tells of each container what /proc tells, nothing runs that it
/// does not show, and a command for something else works.
const TRUTH: &str = r#"
    look() {
    bulkhead ps -a --no-trunc --format '{{.ID}} {{.State}}' > /run/shown
    while read id state; do
        pid=$(bulkhead inspect -f '{{.State.Pid}}' $id)
        case $state in
            running|paused) test -d /proc/$pid || { echo "$id is shown as running and is not"; return 1; } ;;
            *) test $pid = 0 || { echo "$id is shown as $state, with a process"; return 1; } ;;
        esac
    done < /run/shown
    for folder in /sys/fs/cgroup/*/bulkhead/* /sys/fs/cgroup/bulkhead/*; do
        id=${folder##*/}
        test ${#id} = 64 || continue
        test -z "$(cat $folder/cgroup.procs)" && continue
        grep -q "^$id \(running\|paused\)" /run/shown || { echo "processes of $id are not shown"; return 1; }
    done
    }
    # Between one look and the other a restart policy may have done its work.
    for i in $(seq 50); do said=$(look) && break; sleep 0.02; done
    test -z "$said" || { echo $said; exit 1; }
    bulkhead run --rm --network none host echo another"#;

/// Meets one point. Gives whether a process died there.
fn die_at(host: &Host, scenario: &Scenario, point: &Point) -> bool {
    let Scenario { before, script, again, .. } = scenario;
    host.sh(&format!("{before}\n: > /run/died")).run().succeeds();
    // What the scenario's command says of a death is its own affair: it must not hang, which `timeout` shows.
    let died = host
        .sh(&format!("(export BULKHEAD_FAIL_AT='{}' BULKHEAD_FAIL_LOG=/run/died\n{script}\n) >/dev/null 2>&1 </dev/null && echo 0 || echo $?", point.name))
        .timeout(60)
        .stdout();
    let told = host.sh("cat /run/died").stdout();
    // In the container nobody sees the file: that it did not begin, or has ended at once, is what shows.
    let code = || host.sh("bulkhead inspect -f '{{.State.ExitCode}}' c1 || true").stdout();
    let met = told.lines().any(|line| line == point.name)
        || (point.is_inside() && (died != "0" || code() == "137"));
    let at = || format!("after a death at \"{}\" ({})", point.name, point.file);
    let truth = host.sh(TRUTH).run();
    assert!(
        truth.code() == 0 && truth.stdout().trim() == "another",
        "{}: {} {}",
        at(),
        truth.stdout(),
        truth.stderr()
    );
    let next = host.sh(again).run();
    assert_eq!(next.code(), 0, "{}: the same again: {} {}", at(), next.stdout(), next.stderr());
    let clear = host.sh("bulkhead rm -f -v $(bulkhead ps -aq) >/dev/null 2>&1; bulkhead ps -aq").run();
    assert_eq!(clear.stdout().trim(), "", "{}: {}", at(), clear.stderr());
    host.assert_nothing_left();
    host.sh("bulkhead volume prune -a -f >/dev/null; ls /var/lib/bulkhead/trash /var/lib/bulkhead/volumes /var/lib/bulkhead/images/tmp 2>/dev/null | grep -v : ; true")
        .prints("");
    met
}

fn meet(of: &[&str]) {
    let points = points::all();
    for scenario in SCENARIOS.iter().filter(|scenario| of.contains(&scenario.name)) {
        let host = Host::of_build(scenario.name, "debug").with_busybox();
        let mut missed = Vec::new();
        for point in points.iter().filter(|point| scenario.meets(point)) {
            if !die_at(&host, scenario, point) {
                missed.push(&point.name);
            }
        }
        assert!(
            missed.is_empty(),
            "the scenario \"{}\" meets these points no more: {missed:?}",
            scenario.name
        );
        host.finish_clean();
    }
}

#[test]
fn each_point_has_a_scenario() {
    for point in points::all() {
        let by = SCENARIOS.iter().filter(|scenario| scenario.meets(&point)).count();
        assert!(by > 0, "no scenario meets \"{}\" of {}: add one to scenarios.rs", point.name, point.file);
    }
    // A scenario by which nothing is met is one that was forgotten when its points were renamed.
    for scenario in SCENARIOS {
        assert!(points::all().iter().any(|point| scenario.meets(point)), "{} meets nothing", scenario.name);
    }
}

#[test]
fn making() {
    meet(&["first create", "create", "volume create"]);
}

#[test]
fn starting() {
    meet(&["run", "start"]);
}

#[test]
fn running() {
    meet(&["exec", "rename", "update", "stop"]);
}

#[test]
fn ending() {
    meet(&["end", "end of a policy", "given up", "bury"]);
}

#[test]
fn removing() {
    meet(&["rm", "run --rm", "volume rm"]);
}

#[test]
fn images() {
    meet(&["pull", "load", "import", "commit", "rmi"]);
}

#[test]
fn networks() {
    meet(&["network create", "network rm", "flushed firewall", "connect", "connect in vain", "disconnect"]);
}

#[test]
fn ports() {
    meet(&["publish", "end of what is published", "ports of the dead", "changes of what is published"]);
}
