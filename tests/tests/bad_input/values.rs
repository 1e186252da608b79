//! Words that mean nothing.

use bulkhead_tests::Host;

/// Each must fail by 125 as Docker does, name what is wrong, and leave no container.
const BAD_RUNS: [(&[&str], &str); 24] = [
    (&["nosuch-image", "true"], "nosuch-image"),
    (&["UPPERCASE", "true"], "must be lowercase"),
    (&["--nosuch", "busybox", "true"], "unknown flag: --nosuch"),
    (&["-Z", "busybox", "true"], "-Z"),
    (&["--memory=abc", "busybox", "true"], "invalid size: 'abc'"),
    (&["--memory=-1m", "busybox", "true"], "-1m"),
    (&["--pids-limit=many", "busybox", "true"], "many"),
    (&["--cpus=-1", "busybox", "true"], "-1"),
    (&["--shm-size=99999999999g", "busybox", "true"], "99999999999g"),
    (&["--network=", "--pid=nosuch", "busybox", "true"], "nosuch"),
    (&["--ipc=nosuch", "busybox", "true"], "nosuch"),
    (&["--uts=nosuch", "busybox", "true"], "nosuch"),
    (&["--cgroupns=nosuch", "busybox", "true"], "nosuch"),
    (&["--userns=nosuch", "busybox", "true"], "nosuch"),
    (&["-e", "=value", "busybox", "true"], "=value"),
    (&["--env-file=/nosuch", "busybox", "true"], "/nosuch"),
    (&["-v", "relative/path:/x", "busybox", "true"], "relative/path"),
    (&["-v", "/a:/b:/c:/d", "busybox", "true"], "/a:/b:/c:/d"),
    (&["--mount", "type=nosuch,target=/x", "busybox", "true"], "nosuch"),
    (&["--mount", "nonsense", "busybox", "true"], "nonsense"),
    (&["--tmpfs", "relative", "busybox", "true"], "relative"),
    (&["--tmpfs", "/t:nosuch=1", "busybox", "true"], "nosuch"),
    (&["--hostname=a_very/bad name", "busybox", "true"], "hostname"),
    (&["--add-host=nonsense", "busybox", "true"], "nonsense"),
];

#[test]
fn run_refuses_what_it_cannot_do() {
    let host = Host::new("values-run").with_busybox();
    for (words, needle) in BAD_RUNS {
        host.bulkhead(["run", "--rm"].iter().chain(words)).fails(125, needle);
        host.bulkhead(["ps", "-aq"]).prints("");
    }
    host.bulkhead(["run"]).fails(125, "at least 1 argument");
    // Two that exclude each other.
    host.bulkhead(["run", "-d", "--rm", "--network=host", "--network=none", "busybox", "true"]).run();
    host.bulkhead(["run", "--rm", "--network=host", "-p", "nonsense", "busybox", "true"])
        .fails(125, "nonsense");
    host.bulkhead(["run", "--rm", "--network=container:x", "--hostname=h", "busybox", "true"])
        .fails(125, "conflicting options");
    host.finish();
}

#[test]
fn every_command_says_what_it_wants() {
    let host = Host::new("values-commands").with_busybox();
    let unknown = host.bulkhead(["nosuch"]).run();
    assert_ne!(unknown.code(), 0, "{unknown}");
    unknown.says("nosuch");
    for command in [
        "create", "start", "exec", "inspect", "logs", "stop", "kill", "rm", "wait", "attach", "import",
        "rmi", "tag",
    ] {
        let output = host.bulkhead([command]).run();
        assert_ne!(output.code(), 0, "{output}");
        output.says("argument");
        let output = host.bulkhead([command, "--nosuch-flag"]).run();
        assert_eq!(output.code(), 125, "{output}");
        output.says("--nosuch-flag");
    }
    for command in ["start", "inspect", "logs", "stop", "kill", "rm", "wait", "attach"] {
        host.bulkhead([command, "nobody"]).fails(1, "nobody");
        // A name that cannot be one, and one that goes for a path.
        for name in ["", "../../etc", "a b", "\u{1b}[31m"] {
            let output = host.bulkhead([command, name]).run();
            assert_ne!(output.code(), 0, "{output}");
            assert!(!output.stderr().contains('\u{1b}'), "a name reached the terminal as it was: {output}");
        }
    }
    host.finish_clean();
}
