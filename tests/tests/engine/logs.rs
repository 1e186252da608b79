//! `logs`: what a container has printed, while it runs and after.

use bulkhead_tests::Host;

#[test]
fn streams_stay_apart_and_outlive_the_process() {
    let host = Host::new("logs").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sh", "-c", "echo out; echo err >&2; printf 'no newline'"]);
    host.bulkhead(["wait", "c1"]).prints("0");
    let output = host.bulkhead(["logs", "c1"]).run();
    output.succeeds();
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("out\nno newline", "err\n"));
    host.bulkhead(["logs", "nobody"]).fails(1, "No such container: nobody");
    host.finish();
}

#[test]
fn the_end_of_it_alone() {
    let host = Host::new("logs-tail").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "seq", "100"]);
    host.bulkhead(["wait", "c1"]).prints("0");
    host.bulkhead(["logs", "--tail", "2", "c1"]).prints("99\n100");
    host.bulkhead(["logs", "-n", "1", "c1"]).prints("100");
    host.bulkhead(["logs", "--tail", "0", "c1"]).prints("");
    assert_eq!(host.bulkhead(["logs", "--tail=all", "c1"]).stdout().lines().count(), 100);
    host.bulkhead(["logs", "--since", "2100-01-01T00:00:00Z", "c1"]).prints("");
    host.bulkhead(["logs", "--until", "2001-01-01T00:00:00Z", "c1"]).prints("");
    host.bulkhead(["logs", "--since", "1h", "--tail=1", "c1"]).prints("100");
    host.finish();
}

#[test]
fn times() {
    let host = Host::new("logs-times").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "echo", "words"]);
    host.bulkhead(["wait", "c1"]).prints("0");
    let line = host.bulkhead(["logs", "-t", "c1"]).stdout();
    let (time, words) = line.split_once(' ').unwrap();
    assert_eq!(words, "words");
    // 2024-01-01T00:00:00.000000000Z
    assert!(time.len() == 30 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
    host.finish();
}

#[test]
fn followed_to_the_end() {
    let host = Host::new("logs-follow").with_busybox();
    host.run_detached([
        "-i",
        "--name",
        "c1",
        "busybox",
        "sh",
        "-c",
        "echo one; until test -e /go; do sleep 0.01; done; echo two",
    ]);
    let mut logs = host.bulkhead(["logs", "-f", "c1"]).start();
    logs.expect("one\n");
    assert!(!logs.ended());
    host.bulkhead(["exec", "c1", "touch", "/go"]).prints("");
    let output = logs.finish();
    output.succeeds();
    assert_eq!(output.stdout(), "one\ntwo\n");
    host.finish();
}

#[test]
fn a_terminals_output_is_kept_as_it_was() {
    let host = Host::new("logs-tty").with_busybox();
    host.run_detached(["-t", "--name", "c1", "busybox", "sh", "-c", "echo out; echo err >&2"]);
    host.bulkhead(["wait", "c1"]).prints("0");
    let output = host.bulkhead(["logs", "c1"]).run();
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("out\r\nerr\r\n", ""));
    host.finish();
}

#[test]
fn long_lines_and_any_bytes() {
    let host = Host::new("logs-bytes").with_busybox();
    let script = "head -c 100000 /dev/zero | tr '\\0' x; echo; printf 'a\\000b\\377c\\n'";
    host.run_detached(["--name", "c1", "busybox", "sh", "-c", script]);
    host.bulkhead(["wait", "c1"]).prints("0");
    let output = host.bulkhead(["logs", "c1"]).run();
    let bytes = output.succeeds().bytes();
    assert!(bytes.len() >= 100_000 + 1 + 6);
    assert!(bytes[..100_000].iter().all(|byte| *byte == b'x'));
    // Docker's log is JSON text: what is no UTF-8 may come back as the replacement character or as it was.
    assert_eq!(&bytes[100_000..100_004], b"\na\0b");
    host.finish();
}

#[test]
fn details_are_what_the_options_asked_for() {
    let host = Host::new("logs-details").with_busybox();
    let options = ["--label=team=a b", "-e", "PORT=80", "--log-opt=labels=team", "--log-opt=env-regex=^PO"];
    host.run_detached(options.into_iter().chain(["--name", "c1", "busybox", "echo", "words"]));
    host.run_detached(["--name", "c2", "busybox", "echo", "words"]);
    host.bulkhead(["wait", "c1", "c2"]).prints("0\n0");
    host.bulkhead(["logs", "--details", "c1"]).prints("PORT=80,team=a+b words");
    host.bulkhead(["logs", "--details", "c2"]).prints(" words");
    let line = host.bulkhead(["logs", "-t", "--details", "c1"]).stdout();
    assert!(line.ends_with("Z PORT=80,team=a+b words"), "{line}");
    host.finish();
}

#[test]
fn several_are_told_apart_by_their_names() {
    let host = Host::new("logs-several").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sh", "-c", "echo one; echo err >&2; printf begun"]);
    host.bulkhead(["wait", "c1"]).prints("0");
    let script = "until test -e /go; do sleep 0.01; done; echo two";
    host.run_detached(["--name", "other", "--log-driver=local", "busybox", "sh", "-c", script]);
    let mut logs = host.bulkhead(["logs", "-f", "other", "c1"]).start();
    logs.expect("c1    | begun\n");
    host.bulkhead(["exec", "other", "touch", "/go"]).prints("");
    let output = logs.finish();
    assert_eq!(output.succeeds().stdout(), "c1    | one\nc1    | begun\nother | two\n");
    assert_eq!(output.stderr(), "c1    | err\n");
    host.bulkhead(["logs", "-n1", "c1", "other"]).prints("c1    | begun\nother | two");
    host.bulkhead(["logs", "c1", "nobody"]).fails(1, "No such container: nobody");
    let mut terminal = host.pty(["logs", "c1", "other"]);
    terminal.expect("\x1b[36mc1    | \x1b[0mone");
    let mut plain = host.pty_of(["env", "NO_COLOR=1", "bulkhead", "logs", "c1", "other"]);
    plain.expect("c1    | one");
    host.finish();
}

#[test]
fn any_bytes_come_back_however_they_came() {
    let host = Host::new("logs-any").with_busybox();
    // Long and short lines, characters of every length, and what is none.
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 40).unwrap()
    };
    let mut bytes = Vec::new();
    while bytes.len() < 1 << 20 {
        let unit: &[u8] = [
            &b"x"[..],
            "é".as_bytes(),
            "€".as_bytes(),
            "😀".as_bytes(),
            b"\xff",
            b"\xf0\x9f",
            b"\0\"\\\r\x1b",
        ][next() % 7];
        bytes.extend(unit.repeat(next() % [3, 50, 30_000][next() % 3]));
        if next() % 3 == 0 {
            bytes.push(b'\n');
        }
    }
    for driver in ["json-file", "local"] {
        let run = ["run", "-i", "--name", "c1", "--log-driver", driver, "busybox", "cat"];
        let output = host.bulkhead(run).stdin(bytes.clone()).run();
        assert!(output.succeeds().bytes() == bytes);
        let logs = host.bulkhead(["logs", "c1"]).run();
        if driver == "local" {
            assert!(logs.succeeds().bytes() == bytes);
        } else {
            assert!(logs.succeeds().stdout() == String::from_utf8_lossy(&bytes));
        }
        host.bulkhead(["rm", "c1"]).prints("c1");
    }
    host.finish();
}

#[test]
fn a_corrupt_line_costs_itself() {
    let host = Host::new("logs-corrupt").with_busybox();
    let id = host.run_detached(["--name", "c1", "busybox", "seq", "3"]);
    host.bulkhead(["wait", "c1"]).prints("0");
    host.sh(&format!("sed -i '2s/.*/{{\"log\":\"2/' /var/lib/bulkhead/containers/{id}/*-json.log"))
        .prints("");
    host.bulkhead(["logs", "c1"]).prints("1\n3");
    host.bulkhead(["logs", "-n2", "c1"]).prints("1\n3");
    host.finish();
}

#[test]
fn following_ends_when_it_should() {
    let host = Host::new("logs-ends").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sh", "-c", "echo one; sleep 1000"]);
    // At a moment, though nothing is written any more.
    let until = host.sh("date -u -d '1 second' +%Y-%m-%dT%H:%M:%S.%NZ").stdout();
    host.bulkhead(["logs", "-f", "--until", &until, "c1"]).prints("one");
    // When nobody reads, though nothing is written any more.
    host.sh("bulkhead logs -f c1 | head -n1").prints("one");
    // When the supervisor is killed.
    let mut logs = host.bulkhead(["logs", "-f", "c1"]).start();
    logs.expect("one\n");
    let pid = host.inspect("c1", "{{.State.Pid}}");
    host.sh(&format!("kill -KILL $(awk '{{print $4}}' /proc/{pid}/stat)")).prints("");
    logs.finish().succeeds();
    // One that has ended, or never began, is not waited for.
    host.bulkhead(["logs", "-f", "c1"]).prints("one");
    host.bulkhead(["create", "--name", "c2", "busybox"]).run().succeeds();
    host.bulkhead(["logs", "-f", "c2"]).prints("");
    host.finish();
}
