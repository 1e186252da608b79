//! `userns-remap` as Docker has it, set in /etc/bulkhead/daemon.json: one range for all containers.

use bulkhead_tests::Host;

use crate::{both, range_of, set, sh, with_alice};

const MAP: &str = "cat /proc/self/uid_map /proc/self/gid_map | xargs";

#[test]
fn default_makes_a_user_with_ranges_after_those_that_are_there() {
    let host = Host::new("remap-default").with_busybox();
    host.sh("echo docker:100000:65536 > /etc/subuid; cp /etc/subuid /etc/subgid; chmod 600 /etc/subgid")
        .prints("");
    set(&host, r#"{"userns-remap": "default"}"#);
    sh(&host, &[], "busybox", MAP).prints("0 165536 65536 0 165536 65536");
    for file in ["/etc/subuid", "/etc/subgid"] {
        host.sh(&format!("grep -v ^bulkhead-auto: {file}"))
            .prints("docker:100000:65536\nbulkhead:165536:65536");
    }
    host.sh("stat -c %a /etc/subuid /etc/subgid; ls -A /etc | grep -c 'sub[ug]id.*[~+]' || true")
        .run()
        .shows("644\n600");
    host.sh("getent passwd bulkhead | cut -d: -f1,7; getent group bulkhead | cut -d: -f1")
        .run()
        .succeeds()
        .shows("bulkhead:/")
        .shows("\nbulkhead\n");
    // All containers share it, and the next finds it.
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    host.run_detached(["--name", "c2", "busybox", "sleep", "1000"]);
    assert_eq!(range_of(&host, "c1"), (165_536, 65_536));
    assert_eq!(range_of(&host, "c1"), range_of(&host, "c2"));
    host.sh("grep -c ^bulkhead: /etc/subuid").prints("1");
    // A mode that is asked for by name is given.
    sh(&host, &["--userns=host"], "busybox", "awk '{ print $3 }' /proc/self/uid_map").prints("4294967295");
    sh(&host, &["--userns=auto"], "busybox", "awk '{ print ($2 >= 524288) }' /proc/self/uid_map").prints("1");
    host.finish();
}

#[test]
fn users_and_groups_are_named_as_docker_takes_them() {
    let host = Host::new("remap-named").with_busybox();
    with_alice(&host);
    host.sh("echo others:x:2000: >> /etc/group; echo others:300000:65536 >> /etc/subgid").prints("");
    for (spec, expected) in [
        ("alice", "0 100000 65536 0 100000 65536"),
        ("alice:alice", "0 100000 65536 0 100000 65536"),
        ("1000", "0 100000 65536 0 100000 65536"),
        ("1000:1000", "0 100000 65536 0 100000 65536"),
        ("alice:others", "0 100000 65536 0 300000 65536"),
        ("1000:2000", "0 100000 65536 0 300000 65536"),
    ] {
        set(&host, &format!(r#"{{"userns-remap": "{spec}"}}"#));
        sh(&host, &[], "busybox", MAP).prints(expected);
    }
    // Several ranges follow each other.
    host.sh("echo alice:400000:1000 >> /etc/subuid").prints("");
    set(&host, r#"{"userns-remap": "alice"}"#);
    sh(&host, &[], "busybox", MAP).prints("0 100000 65536 65536 400000 1000 0 100000 65536");
    host.finish_clean();
}

#[test]
fn what_cannot_be_had_is_a_clear_error_that_changes_nothing() {
    let host = Host::new("remap-errors").with_busybox();
    with_alice(&host);
    let state = "cat /etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/subuid /etc/subgid; stat -c '%n %a' /etc/sub?id";
    let refused = |files: &str, spec: &str, needles: &[&str]| {
        host.sh(files).prints("");
        set(&host, &format!(r#"{{"userns-remap": "{spec}"}}"#));
        let before = host.sh(state).stdout();
        let output = sh(&host, &[], "busybox", "true").run();
        assert_eq!(output.code(), 125, "{output}");
        for needle in needles {
            output.says(needle);
        }
        assert_eq!(output.stderr().trim().lines().count(), 1, "one sentence: {output}");
        assert_eq!(host.sh(state).stdout(), before, "{spec}");
        host.bulkhead(["ps", "-aq"]).prints("");
    };
    let good = "echo alice:100000:65536 > /etc/subuid; echo alice:100000:65536 > /etc/subgid";
    refused(good, "nobodyknows", &["nobodyknows", "/etc/passwd"]);
    refused(good, "alice:nogroupatall", &["nogroupatall", "/etc/group"]);
    refused(good, "root", &["root"]);
    refused(good, "0:0", &["ID 0"]);
    refused(good, "a:b:c", &["a:b:c"]);
    refused("echo bob:100000:65536 > /etc/subuid", "alice", &["alice", "/etc/subuid"]);
    refused("echo alice:0:65536 > /etc/subuid", "alice", &["ID 0"]);
    refused("echo alice:900:65536 > /etc/subuid", "alice", &["has ID", "on this machine", "/etc/subuid"]);
    refused("echo alice:100000 > /etc/subuid", "default", &["line 1", "alice:100000", "/etc/subuid"]);
    refused("printf 'x:1:1\\nalice:1e5:7\\n' > /etc/subuid", "default", &["line 2", "/etc/subuid"]);
    refused(&format!("{good}; echo broken > /etc/subgid"), "default", &["line 1", "/etc/subgid"]);
    // Full: no room for a range after the last.
    refused(
        &format!("{good}; echo high:4294900000:60000 >> /etc/subuid"),
        "default",
        &["/etc/subuid", "65536"],
    );
    host.finish_clean();
}

#[test]
fn a_setting_that_is_not_known_is_refused() {
    let host = Host::new("remap-settings").with_busybox();
    for (settings, needle) in [
        (r#"{"userns-remaps": "default"}"#, "userns-remaps"),
        (r#"{"userns-remap": 5}"#, "line 1"),
        (r#"{"userns-auto-pool": "0-5"}"#, "userns-auto-pool"),
        ("{", "line 1"),
        ("", "daemon.json"),
    ] {
        set(&host, settings);
        let output = sh(&host, &[], "busybox", "true").fails(125, "/etc/bulkhead/daemon.json");
        output.says(needle);
        // It is not taken for leave to do without, either.
        sh(&host, &["--userns=auto"], "busybox", "true").run().ends_with(125);
    }
    // None, an empty one and an empty value are as if it were not there.
    for settings in ["{}", r#"{"userns-remap": ""}"#] {
        set(&host, settings);
        sh(&host, &[], "busybox", "awk '{ print ($2 >= 524288) }' /proc/self/uid_map").prints("1");
    }
    host.bulkhead(["ps", "-aq"]).prints("");
    host.finish_clean();
}

#[test]
fn files_of_containers_belong_to_the_one_range() {
    let host = Host::new("remap-files").with_busybox();
    host.sh("echo docker:100000:65536 > /etc/subuid; cp /etc/subuid /etc/subgid; mkdir -m 1777 /tmp/open")
        .prints("");
    set(&host, r#"{"userns-remap": "default"}"#);
    // What Docker's users expect to find in a bind: 165536 + the container's ID.
    sh(&host, &["-v", "/tmp/open:/o"], "busybox", "touch /o/root /o/other; chown 33:44 /o/other").prints("");
    host.sh("stat -c %u:%g /tmp/open/root /tmp/open/other").prints("165536:165536\n165569:165580");
    // A folder that was theirs in Docker's days is theirs.
    host.sh("mkdir -m 700 /tmp/theirs; echo row > /tmp/theirs/row; chown -R 165569:165569 /tmp/theirs")
        .prints("");
    let flags = ["-v", "/tmp/theirs:/t", "-u", "33"];
    sh(&host, &flags, "busybox", "cat /t/row; stat -c %u /t/row; echo x > /t/new").prints("row\n33");
    host.sh("stat -c %u /tmp/theirs/new").prints("165569");
    // A container that was made before the setting keeps what it had.
    host.sh("rm /etc/bulkhead/daemon.json").prints("");
    host.bulkhead(both(
        &["create", "--name", "older"],
        &["busybox", "sh", "-c", "cat /proc/self/uid_map; echo x >> /x; wc -l < /x"],
    ))
    .run()
    .succeeds();
    let before = host.bulkhead(["start", "-a", "older"]).stdout();
    set(&host, r#"{"userns-remap": "default"}"#);
    let after = host.bulkhead(["start", "-a", "older"]).stdout();
    assert_eq!(before.lines().next(), after.lines().next());
    assert_eq!(after.lines().last(), Some("2"));
    host.finish();
}
