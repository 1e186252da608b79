//! What runs in one container is not seen from another.

use bulkhead_tests::Host;

use crate::commands;

#[test]
fn a_neighbours_sleep_is_not_seen() {
    let host = Host::new("step2").with_busybox();
    host.run_detached(["--name", "container2", "busybox", "sleep", "1000"]);
    // It is there, and whoever shares the host's PID namespace sees it.
    let all = host.bulkhead(["run", "--rm", "--pid=host", "busybox", "ps", "aux"]).stdout();
    assert!(commands(&all).iter().any(|command| command == "sleep 1000"), "{all}");

    let own = host.bulkhead(["run", "--rm", "busybox", "ps", "aux"]).stdout();
    assert_eq!(commands(&own), ["ps aux"], "{own}");
    host.sh("pgrep -x sleep | wc -l").prints("1");
    host.finish();
}

#[test]
fn a_neighbour_cannot_be_signalled() {
    let host = Host::new("step2-kill").with_busybox();
    let id = host.run_detached(["busybox", "sleep", "1000"]);
    let pid = host.inspect(&id, "{{.State.Pid}}");
    let refused = host.bulkhead(["run", "--rm", "busybox", "kill", "-9", &pid]).run();
    refused.ends_with(1).says("no such process");
    assert_eq!(host.inspect(&id, "{{.State.Running}}"), "true");
    // With the host's PID namespace it is seen, and belongs to somebody else.
    let joined = ["run", "--rm", "--pid=host"];
    let kill = ["busybox", "kill", "-9", &pid];
    let refused = host.bulkhead(joined.into_iter().chain(kill)).run();
    refused.ends_with(1).says("not permitted");
    // As the host's root the same works.
    host.bulkhead(joined.into_iter().chain(["--userns=host"]).chain(kill)).run().succeeds();
    host.bulkhead(["wait", &id]).prints("137");
    host.finish();
}
