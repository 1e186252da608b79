//! Standard input, output and error of `run`: every byte, in its own stream, and the end of it.

use bulkhead_tests::{Host, archive};

use crate::sh;

/// Not a pattern that a lost or doubled block would leave as it was.
fn a_hundred_megabytes() -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()
    })
    .take((100 << 20) / 8)
    .flatten()
    .collect()
}

#[test]
fn a_hundred_megabytes_go_through_unchanged() {
    let host = Host::new("stdio-big").with_busybox();
    let bytes = a_hundred_megabytes();
    let output =
        host.bulkhead(["run", "--rm", "-i", "busybox", "cat"]).stdin(bytes.clone()).timeout(120).run();
    output.succeeds();
    assert_eq!(output.bytes().len(), bytes.len());
    assert_eq!(archive::digest(output.bytes()), archive::digest(&bytes));
    host.finish_clean();
}

#[test]
fn a_hundred_megabytes_go_through_exec_unchanged() {
    let host = Host::new("stdio-exec").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    let bytes = a_hundred_megabytes();
    let output = host.bulkhead(["exec", "-i", "c1", "cat"]).stdin(bytes.clone()).timeout(120).run();
    output.succeeds();
    assert_eq!(output.bytes().len(), bytes.len());
    assert_eq!(archive::digest(output.bytes()), archive::digest(&bytes));
    host.finish();
}

#[test]
fn an_input_that_has_ended_ends_nothing_else() {
    let host = Host::new("stdio-half").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    // Much output after the end of the input; and a program that closes its input while much is still to come.
    let after = "wc -c; head -c 10000000 /dev/zero";
    let early = "head -c 5; exec <&-; head -c 10000000 /dev/zero";
    for way in [&["run", "--rm", "-i", "busybox"][..], &["exec", "-i", "c1"]] {
        for (script, head) in [(after, "3000000\n"), (early, "xxxxx")] {
            let words = way.iter().copied().chain(["sh", "-c", script]);
            let output = host.bulkhead(words).stdin("x".repeat(3_000_000)).run();
            let bytes = output.succeeds().bytes();
            assert_eq!(bytes.len(), head.len() + 10_000_000, "{way:?} {script}");
            assert!(bytes.starts_with(head.as_bytes()) && bytes.ends_with(&[0; 1000]));
        }
    }
    host.finish();
}

#[test]
fn output_and_errors_are_apart() {
    let host = Host::new("stdio-apart").with_busybox();
    let output = sh(&host, &[], "busybox", "echo out; echo err >&2; exit 4").run();
    output.ends_with(4);
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("out\n", "err\n"));
    host.finish_clean();
}

#[test]
fn without_i_there_is_no_input() {
    let host = Host::new("stdio-none").with_busybox();
    host.bulkhead(["run", "--rm", "busybox", "cat"]).stdin("unseen").prints("");
    host.bulkhead(["run", "--rm", "-i", "busybox", "cat"]).stdin("seen").prints("seen");
    host.bulkhead(["run", "--rm", "-i", "busybox", "head", "-n1"])
        .stdin("one\ntwo\n".repeat(100_000))
        .prints("one");
    host.finish_clean();
}

#[test]
fn a_terminal_needs_a_terminal() {
    let host = Host::new("stdio-tty").with_busybox();
    host.bulkhead(["run", "--rm", "-it", "busybox", "true"]).fails(1, "the input device is not a TTY");
    // Without -i, a terminal is made for the container alone.
    host.bulkhead(["run", "--rm", "-t", "busybox", "tty"]).prints("/dev/pts/0");
    host.finish();
}

#[test]
fn a_reader_that_goes_away_stops_nothing_else() {
    let host = Host::new("stdio-pipe").with_busybox();
    host.sh("bulkhead run --rm busybox yes | head -n1").prints("y");
    host.finish();
}

#[test]
fn the_container_id_goes_into_a_file() {
    let host = Host::new("stdio-cidfile").with_busybox();
    let id = host.run_detached(["--cidfile=/tmp/id", "busybox", "true"]);
    host.sh("cat /tmp/id").prints(&id);
    host.bulkhead(["run", "--cidfile=/tmp/id", "busybox", "true"]).fails(125, "/tmp/id");
    host.finish();
}
