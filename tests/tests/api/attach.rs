//! A session's ends: a client's, a program's, and what is still on its way then.

use crate::{SOCKET, Served};

/// A client that says what it has to say and goes at once.
const SAY_AND_GO: &str = r#"
import socket, sys
path, name, words = sys.argv[1:]
s = socket.socket(socket.AF_UNIX)
s.connect(path)
s.sendall(f"POST /containers/{name}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode())
head = b""
while b"\r\n\r\n" not in head:
    head += s.recv(1)
assert head.startswith(b"HTTP/1.1 101 "), head
s.sendall(words.encode() + b"\n")
"#;

#[test]
fn what_a_client_says_before_it_goes_arrives() {
    let api = Served::new("api-say-and-go");
    api.host.sh("cat > /tmp/client.py").stdin(SAY_AND_GO).run().succeeds();
    api.docker("run -di --name one busybox sh -c 'while read line; do echo \"got $line\"; done'")
        .run()
        .succeeds();
    // A client that goes takes nothing with it but its own place: the program's input stays open.
    let mut all = String::new();
    for number in 0..25 {
        api.host.sh(&format!("python3 /tmp/client.py {SOCKET} one {number}")).run().succeeds();
        all.push_str(&format!("got {number}\n"));
    }
    let heard = || api.docker("logs one").run().stdout();
    bulkhead_tests::wait::until("all of it has arrived", || heard().lines().count() == 25);
    let mut lines: Vec<u32> =
        heard().lines().filter_map(|line| line.strip_prefix("got ")?.parse().ok()).collect();
    lines.sort_unstable();
    assert_eq!(lines, (0..25).collect::<Vec<u32>>());
    api.docker("rm -f one").run().succeeds();
    api.finish();
}

#[test]
fn who_attaches_and_does_not_read_blocks_nobody() {
    let api = Served::new("api-attach-stuck");
    let script = "read go; yes $(seq 1 200 | tr '\\n' ' ') | head -c 20000000; echo over >&2; sleep 1000";
    api.docker(&format!("run -di --name one busybox sh -c \"{}\"", script.replace('$', "\\$")))
        .run()
        .succeeds();
    // It attaches to what runs, and reads only the answer's head.
    let stuck = SAY_AND_GO.replace("stdin=1&stdout=1", "stdin=1&stdout=1&stderr=1")
        + "\nprint('attached', flush=True)\nsys.stdin.read()\n";
    api.host.sh("cat > /tmp/client.py").stdin(stuck).run().succeeds();
    let mut client = api.host.sh(&format!("exec python3 /tmp/client.py {SOCKET} one go")).start();
    client.expect("attached");
    bulkhead_tests::wait::until("the program went on", || {
        api.docker("logs --tail 1 one 2>&1").stdout() == "over"
    });
    api.http("GET", "/_ping", "").prints("200\nOK");
    let resident = "grep VmRSS /proc/$(cat /tmp/server)/status | tr -dc 0-9";
    let kilobytes: u64 = api.host.sh(resident).stdout().parse().unwrap();
    assert!(kilobytes < 60_000, "{kilobytes} kB");
    api.docker("rm -f one").run().succeeds();
    drop(client.finish());
    api.finish();
}

#[test]
fn of_two_who_start_it_one_is_too_late_and_harms_nobody() {
    let api = Served::new("api-two-starts");
    // The loser must not take the winner's for one that never ran, and remove it.
    let start = |name: &str| {
        format!(
            "curl -sS -o /dev/null -w '%{{http_code}}\\n' --unix-socket {SOCKET} -X POST http://d/containers/{name}/start"
        )
    };
    for number in 0..10 {
        let name = format!("c{number}");
        api.docker(&format!("create --rm --name {name} busybox sleep 1000")).run().succeeds();
        let both = format!("({} & {} & wait) | sort | tr '\\n' ' '", start(&name), start(&name));
        let codes = api.host.sh(&both).stdout();
        assert_eq!(codes.trim(), "204 304", "{name}");
        api.docker(&format!("exec {name} true")).run().succeeds();
    }
    api.docker("rm -f $(docker -H unix:///run/bulkhead/bulkhead.sock ps -q)").run().succeeds();
    api.finish();
}

#[test]
fn an_exec_goes_on_without_its_client() {
    let api = Served::new("api-exec-alone");
    api.docker("run -d --name one busybox sleep 1000").run().succeeds();
    for terminal in ["", "-t"] {
        // It says more than any pipe or terminal holds, after its client has gone.
        let script = "echo begun; until test -e /go; do sleep 0.02; done; seq 100000; echo over > /over";
        let words = ["docker", "-H", &format!("unix://{SOCKET}"), "exec"];
        let more: Vec<&str> = terminal.split_whitespace().chain(["one", "sh", "-c", script]).collect();
        let mut client = api.host.pty_of(words.iter().chain(&more));
        client.expect("begun");
        api.host.sh("kill -9 $(pgrep -x docker)").run().succeeds();
        client.wait();
        api.docker("exec one touch /go").run().succeeds();
        bulkhead_tests::wait::until("it has said all", || {
            api.docker("exec one cat /over").run().stdout() == "over\n"
        });
        api.docker("exec one rm /go /over").run().succeeds();
    }
    api.docker("rm -f one").run().succeeds();
    api.finish();
}

#[test]
fn an_attach_and_a_start_do_not_miss_each_other() {
    let api = Served::new("api-attach-start");
    // Whichever comes first: who attaches hears what is said after both, and the end.
    for number in 0..20 {
        let name = format!("c{number}");
        let script = "sleep 0.3; echo said";
        api.docker(&format!("create --name {name} busybox sh -c '{script}'")).run().succeeds();
        let curl =
            format!("curl -sS --max-time 20 --unix-socket {SOCKET} -X POST http://d/containers/{name}");
        let attach = format!("{curl}/attach?stream=1'&'stdout=1 -o /tmp/heard{number}");
        api.host
            .sh(&format!("{attach} & {curl}/start; wait $!; grep -q said /tmp/heard{number}"))
            .run()
            .succeeds();
    }
    api.docker("rm $(docker -H unix:///run/bulkhead/bulkhead.sock ps -aq)").run().succeeds();
    api.finish();
}
