//! `attach`: to a running container's terminal or streams, and away again.

use bulkhead_tests::Host;

#[test]
fn to_a_terminal_and_away() {
    let host = Host::new("attach").with_busybox();
    host.run_detached(["-it", "--name", "c1", "busybox", "sh"]);
    let mut terminal = host.pty(["attach", "c1"]);
    terminal.line("");
    terminal.expect("# ");
    assert_eq!(terminal.ask("echo $((6 * 7))"), "42");
    terminal.send("\u{10}\u{11}"); // Ctrl-P Ctrl-Q
    let (code, text) = terminal.wait();
    // Docker's own exit code for this has been both.
    assert!([0, 1].contains(&code), "{text}");
    assert!(text.contains("read escape sequence"), "{text}");
    assert_eq!(host.inspect("c1", "{{.State.Running}}"), "true");

    // Back again, to the same shell; this time it ends.
    let mut terminal = host.pty(["attach", "c1"]);
    terminal.line("exit 8");
    terminal.ends_with(8);
    host.finish();
}

#[test]
fn the_keys_can_be_chosen() {
    let host = Host::new("attach-keys").with_busybox();
    let mut terminal = host.pty(["run", "-it", "--detach-keys=ctrl-x,q", "--name", "c1", "busybox", "sh"]);
    terminal.expect("# ");
    // Half of the keys is not the keys, and reaches the shell.
    terminal.send("\u{18}");
    assert_eq!(terminal.ask("echo here"), "here");
    terminal.send("\u{18}q");
    terminal.ends_with(0);
    assert_eq!(host.inspect("c1", "{{.State.Running}}"), "true");
    host.pty(["attach", "--detach-keys=nosuch-key", "c1"]).expect("nosuch-key");
    host.finish();
}

#[test]
fn to_plain_streams() {
    let host = Host::new("attach-streams").with_busybox();
    host.run_detached([
        "-i",
        "--name",
        "c1",
        "busybox",
        "sh",
        "-c",
        "read line; echo got $line; echo err >&2; exit 9",
    ]);
    let output = host.bulkhead(["attach", "c1"]).stdin("words\n").run();
    output.ends_with(9);
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("got words\n", "err\n"));
    host.bulkhead(["attach", "c1"]).fails(1, "cannot attach to a stopped container");
    host.finish();
}

#[test]
fn two_see_the_same() {
    let host = Host::new("attach-two").with_busybox();
    host.run_detached(["-it", "--name", "c1", "busybox", "sh"]);
    let (mut one, mut two) = (host.pty(["attach", "c1"]), host.pty(["attach", "c1"]));
    one.line("");
    one.expect("# ");
    two.line("");
    two.expect("# ");
    one.line("echo to b''oth");
    one.expect("to both");
    two.expect("to both");
    two.line("exit");
    one.ends_with(0);
    two.ends_with(0);
    host.finish();
}

#[test]
fn start_attached() {
    let host = Host::new("attach-start").with_busybox();
    host.bulkhead(["create", "-i", "--name", "c1", "busybox", "sh", "-c", "cat; exit 2"]).run().succeeds();
    host.bulkhead(["start", "-ai", "c1"]).stdin("again\n").fails(2, "").shows("again");
    host.bulkhead(["start", "-ai", "c1"]).stdin("and again\n").fails(2, "").shows("and again");
    host.bulkhead(["logs", "c1"]).prints("again\nand again");
    host.finish();
}
