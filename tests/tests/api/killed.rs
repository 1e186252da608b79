//! The server is killed in the middle of everything: what runs runs on, what is told is true, and the next one serves all.

use std::collections::HashMap;

use bulkhead_tests::wait::until;

use crate::{SOCKET, Served};

/// A request that is left alone.
fn curl(method: &str, path: &str, body: &str) -> String {
    format!(
        "curl -sS -N --max-time 60 --unix-socket {SOCKET} -X {method} -H 'Content-Type: application/json' --data-binary '{body}' \
         'http://d{path}' > /dev/null 2>&1 &"
    )
}

#[test]
fn in_the_middle_of_requests() {
    let api = Served::new("api-killed-busy");
    api.docker("run -d --name stays busybox sh -c 'while :; do date +%s%N; sleep 0.1; done'")
        .run()
        .succeeds();
    let pid = api.host.inspect("stays", "{{.State.Pid}}");
    for round in 0..6 {
        let mut script = String::new();
        for number in 0..8 {
            let create = "{\"Image\":\"busybox\",\"Cmd\":[\"sleep\",\"1000\"]}";
            api.host
                .bulkhead(["create", "--name", &format!("s{round}-{number}"), "busybox", "sleep", "1000"])
                .run()
                .succeeds();
            script += &curl("POST", &format!("/containers/create?name=c{round}-{number}"), create);
            script += &curl("POST", &format!("/containers/s{round}-{number}/start"), "");
            script += &curl("GET", "/containers/stays/logs?follow=1&stdout=1", "");
            script += &curl("POST", "/containers/stays/wait", "");
        }
        script += &format!("docker -H unix://{SOCKET} exec stays sleep 1000 > /dev/null 2>&1 & ");
        // Each round is cut at another moment.
        script += &format!("sleep 0.0{round}; kill -9 $(cat /tmp/server)");
        api.host.sh(&script).run().succeeds();
        until("the server is gone", || {
            api.host.sh("[ -d /proc/$(cat /tmp/server) ] || echo gone").stdout() == "gone"
        });
        // What was begun may still be being done; then every state is one of the three, and the same from both sides.
        api.host.sh("bulkhead exec stays true").prints("");
        api.serve("");
        let mut last = String::new();
        until("what was begun is done", || {
            let now = api.host.sh("bulkhead ps -a --format '{{.Names}} {{.State}}' | sort").stdout();
            std::mem::replace(&mut last, now.clone()) == now
        });
        let ours: HashMap<String, String> = last
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, state)| (name.to_owned(), state.to_owned()))
            .collect();
        let all = api.json("/containers/json?all=1");
        let theirs: HashMap<String, String> = all
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (one["Names"][0].as_str().unwrap()[1..].to_owned(), one["State"].as_str().unwrap().to_owned())
            })
            .collect();
        assert_eq!(ours, theirs);
        for (name, state) in &theirs {
            assert!(matches!(state.as_str(), "created" | "running"), "{name} {state}");
            // It is so: who runs is there, who was made can be started.
            let shown = api.host.inspect(name, "{{.State.Pid}}");
            let is_there = api
                .host
                .sh(&format!("[ {shown} != 0 ] && [ -d /proc/{shown} ] && echo yes || true"))
                .stdout();
            assert_eq!(is_there == "yes", state == "running", "{name}");
        }
        for name in theirs.keys().filter(|name| name.starts_with('c')) {
            api.http("POST", &format!("/containers/{name}/start"), "").prints("204");
        }
        for number in 0..8 {
            let heard = api.http("POST", &format!("/containers/s{round}-{number}/start"), "").stdout();
            assert!(heard.starts_with("204") || heard.starts_with("304"), "{heard}");
        }
        let names: Vec<String> = theirs.keys().filter(|name| *name != "stays").cloned().collect();
        api.docker(&format!("rm -f s{round}-0 {}", names.join(" "))).run().succeeds();
    }
    assert_eq!(api.host.inspect("stays", "{{.State.Pid}} {{.State.Status}}"), format!("{pid} running"));
    // It said something all the time.
    api.docker("logs --tail 1 stays").run().shows("");
    let said = || api.docker("logs --tail 1 stays").stdout();
    let before = said();
    until("it goes on talking", || said() != before);
    api.finish();
}

#[test]
fn the_next_one_serves_two_hundred() {
    let api = Served::new("api-killed-many");
    let make = "for i in $(seq 200); do bulkhead create --name c$i busybox sleep 1000; done > /dev/null; \
                for i in $(seq 20); do bulkhead start c$i; done > /dev/null";
    api.host.sh(make).timeout(120).prints("");
    let follow = format!(
        "curl -sSN --unix-socket {SOCKET} http://d/events > /tmp/events 2>&1 & curl -sS --unix-socket {SOCKET} -X POST http://d/containers/c1/wait > /tmp/waited 2>&1 & true"
    );
    api.host.sh(&follow).prints("");
    api.kill();
    api.serve("");
    let all = api.json("/containers/json?all=1");
    assert_eq!(all.as_array().map(Vec::len), Some(200));
    let running = all.as_array().unwrap().iter().filter(|one| one["State"] == "running").count();
    assert_eq!(running, 20);
    for name in ["c1", "c20", "c200"] {
        api.http("GET", &format!("/containers/{name}/json"), "").run().shows("200\n");
    }
    api.docker("exec c20 cat /proc/1/comm").prints("sleep");
    api.finish();
}
