//! What is sent while it is written: logs and events.

use bulkhead_tests::wait::until;

use crate::{SOCKET, Served};

#[test]
fn logs_are_told_apart_and_followed() {
    let api = Served::new("api-logs");
    let script = "echo out; echo err >&2; until test -e /go; do sleep 0.02; done; echo more; exit 3";
    api.host.run_detached(["--name", "one", "busybox", "sh", "-c", script]);
    until("it has written", || api.docker("logs one 2>/dev/null").stdout() == "out");
    api.docker("logs one 2>&1 >/dev/null").prints("err");
    api.docker("logs --tail 1 one 2>&1").prints("err");
    assert!(api.docker("logs --timestamps one 2>/dev/null").stdout().ends_with("Z out"));
    api.http("GET", "/containers/one/logs?stdout=1&since=4000000000", "").prints("200");
    api.http("GET", "/containers/one/logs?stdout=1&until=1", "").prints("200");
    let mut follower = api.docker("logs --follow one").start();
    follower.expect("out");
    api.host.bulkhead(["exec", "one", "touch", "/go"]).prints("");
    assert_eq!(follower.finish().succeeds().stdout(), "out\nmore\n");
    api.http("GET", "/containers/one/logs", "")
        .run()
        .shows("400")
        .shows("you must choose at least one stream");
    // Frames: the stream, three zeros, the length.
    api.host
        .sh(&format!("curl -sS --unix-socket {SOCKET} 'http://d/containers/one/logs?stdout=1&tail=1' | od -An -tx1 | tr -d ' \\n'"))
        .prints("01000000000000056d6f72650a");
    api.host.bulkhead(["run", "-t", "--name", "two", "busybox", "echo", "raw"]).run().succeeds();
    api.host
        .sh(&format!("curl -sS --unix-socket {SOCKET} 'http://d/containers/two/logs?stdout=1'"))
        .prints("raw");
    api.finish();
}

#[test]
fn logs_tell_details_of_their_container() {
    let api = Served::new("api-log-details");
    let script = "printf 'part\\nerr\\n'";
    api.host
        .bulkhead([
            "run",
            "--name",
            "one",
            "-l",
            "k=v w",
            "--log-opt",
            "labels=k",
            "busybox",
            "sh",
            "-c",
            script,
        ])
        .prints("part\nerr");
    for docker in api.dockers() {
        api.by(&docker, "logs --details one").prints("k=v+w part\nk=v+w err");
        api.by(&docker, "logs one").prints("part\nerr");
    }
    // Docker's order: the time, the details, the line.
    api.http("GET", "/containers/one/logs?stdout=1&details=1&timestamps=1&tail=1", "")
        .run()
        .shows("Z k=v+w err\n");
    api.finish();
}

#[test]
fn what_fails_in_the_middle_is_no_whole_answer() {
    let api = Served::new("api-log-fails");
    let id = api.host.run_detached(["--name", "one", "busybox", "echo", "out"]);
    api.docker("wait one").prints("0");
    // A log that can be opened and not read.
    let script = format!("cd /var/lib/bulkhead/containers/{id}; rm ./*-json.log; mkdir {id}-json.log");
    api.host.sh(&script).run().succeeds();
    api.http("GET", "/containers/one/logs?stdout=1", "").run().ends_with(18).shows("200");
    api.host.sh("cat /tmp/served").run().shows("an answer ends early").shows("is a directory");
    api.finish();
}

#[test]
fn who_stops_reading_costs_nothing_and_blocks_nobody() {
    let api = Served::new("api-slow-reader");
    let script = "yes $(seq 1 200 | tr '\\n' ' ') | head -c 30000000";
    api.host.run_detached(["--name", "one", "busybox", "sh", "-c", script]);
    // One that reads nothing of what it asked for, and one that goes in the middle.
    let stuck =
        format!("curl -sS -N --unix-socket {SOCKET} 'http://d/containers/one/logs?stdout=1&follow=1'");
    let script = format!(
        "mkfifo /tmp/fifo; sleep 1000 < /tmp/fifo > /dev/null 2>&1 & echo $! > /tmp/sleeper
         {stuck} > /tmp/fifo 2> /dev/null & echo $! > /tmp/stuck
         {stuck} | head -c 1000 > /dev/null"
    );
    api.host.sh(&script).run();
    api.docker("wait one").prints("0");
    api.http("GET", "/_ping", "").prints("200\nOK");
    let resident = "grep VmRSS /proc/$(cat /tmp/server)/status | tr -dc 0-9";
    let kilobytes: u64 = api.host.sh(resident).stdout().parse().unwrap();
    assert!(kilobytes < 60_000, "{kilobytes} kB");
    // Its process is the only one that is left of all requests.
    let workers = "cat /proc/$(cat /tmp/server)/task/*/children | wc -w";
    until("the others have gone", || api.host.sh(workers).stdout() == "1");
    api.host.sh("kill $(cat /tmp/stuck) $(cat /tmp/sleeper)").run().succeeds();
    until("and that one", || api.host.sh(workers).stdout() == "0");
    api.finish();
}

#[test]
fn events_come_as_they_happen() {
    let api = Served::new("api-events");
    let script = format!(
        "curl -sS -N -D /tmp/head --unix-socket {SOCKET} http://d/events & echo $! > /tmp/watcher; wait"
    );
    let mut watcher = api.host.sh(&script).start();
    until("it watches", || api.host.sh("cat /tmp/head 2>/dev/null || true").stdout().contains("200"));
    api.docker("create --name one busybox true").run().succeeds();
    watcher.expect("\"Action\":\"create\"");
    api.docker("start one").run().succeeds();
    watcher.expect("\"status\":\"die\"");
    api.docker("wait one").prints("0");
    api.docker("events --since 1m --until $(($(date +%s) + 1)) --format '{{.Action}}'")
        .run()
        .shows("create")
        .shows("start")
        .shows("die");
    api.docker("rm one").run().succeeds();
    watcher.expect("\"Action\":\"destroy\"");
    api.host.sh("kill $(cat /tmp/watcher)").run().succeeds();
    watcher.finish();
    api.finish();
}
