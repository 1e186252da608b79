//! What no client should say, clients that say nothing, and too many of them: each gets an answer or nothing, and the
//! server serves the next one.

use bulkhead_tests::Host;
use bulkhead_tests::wait::until;

use crate::doors::start;
use crate::{SOCKET, Served, encoded};

/// What the server answers to these bytes.
fn raw(api: &Served, bytes: &[u8]) -> String {
    let script = format!(
        "perl -MIO::Socket::UNIX -e '$SIG{{PIPE}} = \"IGNORE\"; $s = IO::Socket::UNIX->new(\"{SOCKET}\") or die; binmode STDIN; \
         $SIG{{ALRM}} = sub {{ print \"SILENCE\"; exit }}; alarm 50; \
         while (read STDIN, $_, 65536) {{ syswrite $s, $_ or last }} print while sysread $s, $_, 65536'"
    );
    String::from_utf8_lossy(api.host.sh(&script).stdin(bytes).run().succeeds().bytes()).into_owned()
}

/// It serves, and nothing of it has failed in a way that nobody thought of.
fn is_well(api: &Served) {
    api.http("GET", "/_ping", "").prints("200\nOK");
    api.host.sh("grep -c panicked /tmp/served || true").prints("0");
}

#[test]
fn what_is_no_http_is_refused() {
    let api = Served::new("api-malformed");
    let many: String = (0..5000).map(|number| format!("X-{number}: y\r\n")).collect();
    let long = "x".repeat(200_000);
    for (what, said) in [
        ("words", "hello\r\n\r\n".to_owned()),
        ("a version", "GET /_ping HTTP/9.9\r\n\r\n".into()),
        ("a NUL", "GET /_ping HTTP/1.1\r\nX: \0\r\n\r\n".into()),
        ("a header without a name", "GET /_ping HTTP/1.1\r\n: x\r\n\r\n".into()),
        (
            "two lengths",
            "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"
                .into(),
        ),
        (
            "a length below nothing",
            "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: -1\r\n\r\n{}".into(),
        ),
        (
            "a length without end",
            format!(
                "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: {}\r\n\r\n",
                "9".repeat(40)
            ),
        ),
        ("many headers", format!("GET /_ping HTTP/1.1\r\nHost: d\r\n{many}\r\n")),
        ("a long path", format!("GET /{long} HTTP/1.1\r\nHost: d\r\n\r\n")),
        ("a long method", format!("{long} / HTTP/1.1\r\nHost: d\r\n\r\n")),
    ] {
        let heard = raw(&api, said.as_bytes());
        assert!(heard.starts_with("HTTP/1.1 4"), "{what}: {heard}");
    }
    let heard = raw(&api, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 4"), "{heard}");
    // What makes sense as far as it goes.
    for (what, said, expected) in [
        (
            "chunks that are none",
            "POST /containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "400",
        ),
        ("no address at all", "OPTIONS * HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n", "404"),
        (
            "an address of its own",
            "GET http://else.where/_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",
            "200",
        ),
        ("a tunnel", "CONNECT else.where:80 HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n", "404"),
        ("a made-up method", "FROB /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n", "501"),
    ] {
        let heard = raw(&api, said.as_bytes());
        assert!(heard.starts_with(&format!("HTTP/1.1 {expected} ")), "{what}: {heard}");
    }
    // Bytes of all kinds, which are the same each time.
    let mut state = 7u32;
    for _ in 0..30 {
        let noise: Vec<u8> = (0..3000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        let heard = raw(&api, &noise);
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400"), "{heard}");
    }
    is_well(&api);
    api.finish();
}

#[test]
fn what_makes_no_sense_is_the_client_s_mistake() {
    let api = Served::new("api-nonsense");
    api.host.bulkhead(["create", "--name", "one", "busybox", "true"]).run().succeeds();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_in =
        format!("{{\"Image\":\"busybox\",\"Labels\":{}{}}}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let bodies = [
        "",
        "{",
        "null",
        "[]",
        "7",
        "\"x\"",
        "{\"Image\":7}",
        "{\"Image\":[\"busybox\"]}",
        "{\"Image\":\"busybox\",\"Cmd\":7}",
        "{\"Image\":\"busybox\",\"HostConfig\":[7]}",
        "{\"Image\":\"busybox\",\"HostConfig\":{\"Memory\":\"much\"}}",
        "{\"Image\":\"busybox\",\"HostConfig\":{\"Memory\":1e400}}",
        "{\"Image\":\"busybox\",\"HostConfig\":{\"Binds\":{\"a\":1}}}",
        "{\"Image\":\"busybox\",\"Env\":{\"a\":\"b\"}}",
        "\u{0}",
        "{\"Image\":\"busybox\"} x",
        &deep,
        &deep_in,
    ];
    for body in bodies {
        let short: String = body.chars().take(60).collect();
        for path in [
            "/containers/create",
            "/containers/one/exec",
            "/containers/one/update",
            "/networks/create",
            "/volumes/create",
        ] {
            // What has no required part may be empty of it; those two are true of a container's limits.
            let takes_anything = body.starts_with("{\"Image\"") && path != "/containers/create";
            let heard = api.http("POST", path, body).stdout();
            assert!(
                heard.starts_with("400\n{\"message\":\"")
                    || takes_anything && heard.starts_with('4')
                    || takes_anything && heard.starts_with("20")
                    || body.is_empty() && heard.starts_with("20"),
                "{path} {short}: {heard}"
            );
        }
    }
    let binary: Vec<u8> = (0..=255).collect();
    let script = format!(
        "curl -sS --unix-socket {SOCKET} -X POST --data-binary @- -w '\\n%{{http_code}}' http://d/containers/create"
    );
    api.host.sh(&script).stdin(binary).run().shows("\n400");
    // Too much of it, said in Docker's form.
    api.http("POST", "/containers/create", &" ".repeat(9_000_000)).run().shows("413\n{\"message\":\"");
    for path in [
        "/containers/one/resize?h=x&w=1",
        "/containers/one/resize?h=70000&w=1",
        "/containers/one/stop?t=soon",
        "/containers/one/rename",
    ] {
        api.http("POST", path, "").run().shows("400\n{\"message\":\"");
    }
    // Nothing came of any of it.
    api.host
        .sh("bulkhead ps --all --format '{{.Names}}'; bulkhead ps --all --quiet | wc -l")
        .prints("one\n1");
    is_well(&api);
    api.finish();
}

#[test]
fn names_lead_nowhere() {
    let api = Served::new("api-traversal");
    api.host.sh("echo secret > /var/lib/secret; mkdir -p /var/lib/bulkhead/volumes").prints("");
    for name in [
        "../../secret",
        "..",
        ".",
        "../x",
        "/etc",
        "a/../../secret",
        "\u{0}",
        "a\u{0}b",
        "%2e%2e",
        "x\ny",
        "~",
        "-rf",
        "",
        " ",
    ] {
        let part = encoded(name);
        for (method, path) in [
            ("GET", format!("/containers/{part}/json")),
            ("GET", format!("/containers/{part}/logs?stdout=1")),
            ("DELETE", format!("/containers/{part}?force=1")),
            ("GET", format!("/images/{part}/json")),
            ("DELETE", format!("/images/{part}")),
            ("GET", format!("/volumes/{part}")),
            ("DELETE", format!("/volumes/{part}?force=1")),
            ("GET", format!("/networks/{part}")),
            ("DELETE", format!("/networks/{part}")),
            ("GET", format!("/exec/{part}/json")),
            ("POST", format!("/containers/create?name={part}")),
        ] {
            // Without a name these are other routes.
            if name.is_empty() {
                continue;
            }
            let heard = api.http(method, &path, "{\"Image\":\"nosuch\"}").stdout();
            // To remove what is not there by force is done.
            let is_refused = heard.starts_with("40") && heard.contains("{\"message\":\"");
            assert!(is_refused || heard.starts_with("204") && method == "DELETE", "{method} {path}: {heard}");
            assert!(!heard.contains("secret\n"), "{heard}");
        }
        let body = serde_json::json!({ "Name": name }).to_string();
        if !name.is_empty() {
            api.http("POST", "/volumes/create", &body).run().shows("400\n{\"message\":\"");
        }
        if !matches!(name, "" | "~" | "%2e%2e" | ".") {
            api.http("POST", "/networks/create", &body).run().shows("\n{\"message\":\"");
        }
    }
    // Not read as text, or as the path's own parts.
    for path in [
        "/containers/%ff%fe/json",
        "/containers/%2e%2e%2f%2e%2e%2fsecret/json",
        "/volumes/%2e%2e%2f%2e%2e%2f",
        "/v1.43/../containers/json",
        "/containers/../../etc/passwd",
        "//",
        "/%00",
    ] {
        let said = format!("GET {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n");
        let heard = raw(&api, said.as_bytes());
        assert!(heard.starts_with("HTTP/1.1 40") && heard.contains("{\"message\":\""), "{path}: {heard}");
    }
    api.host.sh("cat /var/lib/secret; ls /var/lib/bulkhead/volumes").prints("secret");
    is_well(&api);
    api.finish();
}

#[test]
fn a_body_that_never_comes_is_not_waited_for() {
    let api = Served::new("api-no-body");
    api.host.bulkhead(["create", "--name", "one", "busybox", "true"]).run().succeeds();
    for path in ["/containers/create", "/containers/one/update", "/volumes/create"] {
        let said = format!(
            "POST {path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{\"Im"
        );
        let heard = raw(&api, said.as_bytes());
        assert!(
            heard.starts_with("HTTP/1.1 408 ") && heard.contains("did not come within"),
            "{path}: {heard}"
        );
    }
    // Who has been served and says no more is not waited for, either.
    let heard = raw(&api, b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
    assert!(heard.starts_with("HTTP/1.1 200 ") && heard.ends_with("OK"), "{heard}");
    // One that goes in the middle of it is no trouble.
    let cut = format!(
        "perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(\"{SOCKET}\"); syswrite $s, \"POST /containers/create HTTP/1.1\\r\\nHost: d\\r\\nContent-Length: 100\\r\\n\\r\\n{{\"'"
    );
    api.host.sh(&format!("for i in 1 2 3 4 5; do {cut}; done")).prints("");
    is_well(&api);
    api.finish();
}

#[test]
fn connections_that_nobody_uses_shut_nobody_out() {
    let api = Served::new("api-idle");
    let idle = format!(
        "ulimit -n 4500; perl -MIO::Socket::UNIX -e '$|=1; for (1..4300) {{ my $s = IO::Socket::UNIX->new(\"{SOCKET}\"); push @all, $s if $s }} \
         print scalar(@all), \" there\\n\"; <STDIN>'"
    );
    let before = api.host.sh("ls /proc/$(cat /tmp/server)/fd | wc -l").stdout();
    let mut idle = api.host.sh(&idle).start();
    idle.expect(" there");
    // The first of these were told to go for the last ones, if there were too many.
    let open: u64 = api.host.sh("ls /proc/$(cat /tmp/server)/fd | wc -l").stdout().parse().unwrap();
    assert!(open > 1000, "{open}");
    is_well(&api);
    for docker in api.dockers() {
        api.by(&docker, "run --rm busybox echo here").prints("here");
    }
    idle.finish();
    until("they are gone", || api.host.sh("ls /proc/$(cat /tmp/server)/fd | wc -l").stdout() == before);
    is_well(&api);
    api.finish();
}

#[test]
fn who_uses_all_of_them_is_told_so_and_keeps_them() {
    let api = Served { host: Host::new("api-full").with_busybox() };
    // As many as 200 descriptors are enough for: 25.
    start(
        &api.host,
        "sh -c 'ulimit -Sn 100; ulimit -Hn 200; exec bulkhead \"$@\"' sh",
        "",
        &format!("unix://{SOCKET}"),
    );
    api.host.run_detached([
        "--name",
        "one",
        "busybox",
        "sh",
        "-c",
        "while ! [ -e /end ]; do sleep 0.1; done; echo ended",
    ]);
    api.host
        .sh("grep 'open files' /proc/$(cat /tmp/server)/limits | xargs")
        .run()
        .shows("Max open files 200 200");
    let follow = format!("curl -sSN --unix-socket {SOCKET} 'http://d/containers/one/logs?follow=1&stdout=1'");
    let many = format!(
        "for i in $(seq 25); do {follow} --output /tmp/log$i & done; wait; cat /tmp/log* | grep -a -c ended"
    );
    let many = api.host.sh(&many).start();
    let workers = "cat /proc/$(cat /tmp/server)/task/*/children | wc -w";
    until("all are served", || api.host.sh(workers).stdout() == "25");
    // What works for the server has the limit that the server was started with.
    let limit =
        "set -- $(cat /proc/$(cat /tmp/server)/task/*/children); grep 'open files' /proc/$1/limits | xargs";
    api.host.sh(limit).run().shows("Max open files 100 200");
    for _ in 0..3 {
        api.http("GET", "/_ping", "")
            .prints("503\n{\"message\":\"this server has 25 connections, and all of them are in use\"}");
    }
    // The command needs no server.
    api.host.sh("bulkhead exec one touch /end").prints("");
    many.expect("25");
    is_well(&api);
    api.finish();
}
