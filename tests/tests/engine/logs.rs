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
