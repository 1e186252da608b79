//! Words that mean nothing.

use bulkhead_tests::Host;

/// Each must fail by 125 as Docker does, name what is wrong, and leave no container.
const BAD_RUNS: [(&[&str], &str); 23] = [
    (&["nosuch-image", "true"], "nosuch-image"),
    (&["UPPERCASE", "true"], "must be lowercase"),
    (&["--nosuch", "busybox", "true"], "unknown flag: --nosuch"),
    (&["-Z", "busybox", "true"], "-Z"),
    (&["--memory=abc", "busybox", "true"], "invalid size: 'abc'"),
    (&["--memory=-1m", "busybox", "true"], "-1m"),
    (&["--pids-limit=many", "busybox", "true"], "many"),
    (&["--cpus=-1", "busybox", "true"], "CPU"),
    (&["--shm-size=99999999999g", "busybox", "true"], "size"),
    (&["--pid=nosuch", "busybox", "true"], "PID"),
    (&["--ipc=nosuch", "busybox", "true"], "nosuch"),
    (&["--uts=nosuch", "busybox", "true"], "UTS"),
    (&["--cgroupns=nosuch", "busybox", "true"], "CGROUP"),
    (&["--userns=nosuch", "busybox", "true"], "USER"),
    (&["-e", "=value", "busybox", "true"], "=value"),
    (&["--env-file=/nosuch", "busybox", "true"], "/nosuch"),
    (&["-v", "relative/path:/x", "busybox", "true"], "relative/path"),
    (&["-v", "/a:/b:/c:/d", "busybox", "true"], "/a:/b:/c:/d"),
    (&["--mount", "type=nosuch,target=/x", "busybox", "true"], "nosuch"),
    (&["--mount", "nonsense", "busybox", "true"], "nonsense"),
    (&["--tmpfs", "relative", "busybox", "true"], "relative"),
    (&["--tmpfs", "/t:nosuch=1", "busybox", "true"], "nosuch"),
    (&["--add-host=nonsense", "busybox", "true"], "nonsense"),
];

#[test]
fn run_refuses_what_it_cannot_do() {
    let host = Host::new("values-run").with_busybox();
    let mut wrong = String::new();
    for (words, needle) in BAD_RUNS {
        let output = host.bulkhead(["run", "--rm"].iter().chain(words)).run();
        if output.code() != 125 || !output.stderr().to_lowercase().contains(&needle.to_lowercase()) {
            wrong += &format!("expected 125 and {needle:?} of {output}");
        }
        host.bulkhead(["ps", "-aq"]).prints("");
    }
    assert!(wrong.is_empty(), "{wrong}");
    host.bulkhead(["run"]).fails(1, "at least 1 argument");
    // Two that exclude each other.
    host.bulkhead(["run", "-d", "--rm", "--network=host", "--network=none", "busybox", "true"]).run();
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
        "rmi", "tag", "cp", "diff", "export", "commit", "save", "history", "update", "port", "pull", "push",
    ] {
        let output = host.bulkhead([command]).run();
        assert_ne!(output.code(), 0, "{output}");
        output.says("argument");
        let output = host.bulkhead([command, "--nosuch-flag"]).run();
        assert_eq!(output.code(), 125, "{output}");
        output.says("--nosuch-flag");
    }
    for command in [
        "start", "inspect", "logs", "stop", "kill", "rm", "wait", "attach", "diff", "export", "commit",
        "save", "history",
    ] {
        host.bulkhead([command, "nobody"]).fails(1, "nobody");
        // A name that cannot be one, and one that goes for a path.
        for name in ["", "../../etc", "a b"] {
            let output = host.bulkhead([command, name]).run();
            assert_ne!(output.code(), 0, "{output}");
        }
    }
    host.finish_clean();
}

#[test]
fn what_is_echoed_cannot_drive_a_terminal() {
    let host = Host::new("values-escapes").with_busybox();
    let escape = "\u{1b}[31m";
    for words in [["start", escape], ["inspect", escape], ["rm", escape], ["rmi", escape], ["run", escape]] {
        let output = host.bulkhead(words).run();
        assert_ne!(output.code(), 0, "{output}");
        assert!(!output.stderr().contains('\u{1b}'), "a name reached the terminal as it was: {output}");
    }
    host.finish_clean();
}
