//! Clauses of the runtime specification that no other file holds, and whether the table of all of them
//! (docs/oci-clauses.md) tells the truth about its tests.

use std::collections::BTreeSet;
use std::path::Path;

use bulkhead_tests::{Host, wait};
use serde_json::{Value, json};

use crate::Bundle;
use crate::bundle::{await_status, oci, state};

#[test]
fn each_test_that_the_table_names_is_there() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(tests.join("../docs/oci-clauses.md")).unwrap();
    let mut known: BTreeSet<String> = BTreeSet::new();
    let sources = |folder: &Path| {
        let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.extension().is_some_and(|kind| kind == "rs")).collect::<Vec<_>>()
    };
    let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let own = sources(&tests.join("tests/oci")).into_iter().map(|path| (stem(&path), path));
    let systemd = sources(&tests.join("tests/oci/systemd")).into_iter();
    let systemd = systemd.map(|path| (format!("systemd::{}", stem(&path)).replace("::mod", ""), path));
    let machine = ("cgroup2".to_owned(), tests.join("tests/cgroup2/main.rs"));
    for (module, path) in own.chain(systemd).chain([machine]) {
        let source = std::fs::read_to_string(&path).unwrap();
        for (_, after) in
            source.match_indices("#[test]\nfn ").map(|(at, found)| source.split_at(at + found.len()))
        {
            known.insert(format!("{module}::{}", after.split('(').next().unwrap()));
        }
    }
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| ") && !line.contains("| test |")) {
        let cell = row.trim_end_matches('|').rsplit('|').next().unwrap();
        if cell.trim().starts_with("none: ") {
            continue;
        }
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "neither a test nor a reason: {row}");
        for name in named {
            assert!(known.contains(name), "there is no test {name:?}: {row}");
        }
        rows += 1;
    }
    assert!(rows > 60, "the table has {rows} rows");
}

#[test]
fn a_configuration_that_changes_later_changes_nothing() {
    let host = Host::new("oci-changed");
    let bundle = Bundle::new(&host, "b", "echo first > /tmp/ran; exec sleep 1000");
    bundle.create("one");
    bundle.with(|config| config["process"]["args"] = json!(["sh", "-c", "echo second > /tmp/ran"]));
    oci(&host, "start one").run().succeeds();
    wait::until("it has run", || host.sh("test -s /run/b/rootfs/tmp/ran").run().code() == 0);
    host.sh("cat /run/b/rootfs/tmp/ran").prints("first");
    oci(&host, "exec one sh -c 'echo $0'").prints("sh");
    oci(&host, "delete -f one").run().succeeds();
    host.finish();
}

#[test]
fn a_command_without_a_container_s_name_is_an_error() {
    let host = Host::new("oci-nameless");
    for command in ["state", "create", "start", "kill", "delete", "pause", "resume"] {
        oci(&host, command).fails(1, "");
    }
    host.finish();
}

#[test]
fn the_state_has_what_the_specification_asks_for_and_annotations_are_anybody_s() {
    let host = Host::new("oci-state");
    let bundle = Bundle::new(&host, "b", "true")
        .with(|config| config["annotations"] = json!({ "nobody.knows/this": "value", "": "empty" }));
    bundle.create("one");
    let created = state(&host, "one");
    for (field, value) in [
        ("id", json!("one")),
        ("status", json!("created")),
        ("bundle", json!("/run/b")),
        ("annotations", json!({ "nobody.knows/this": "value", "": "empty" })),
    ] {
        assert_eq!(created[field], value, "{created}");
    }
    assert!(created["ociVersion"].is_string() && created["pid"].as_u64().unwrap() > 1);
    // What ends by itself has stopped as what is killed has.
    oci(&host, "start one").run().succeeds();
    await_status(&host, "one", "stopped");
    // What the container was given and has not made stays.
    oci(&host, "delete one").run().succeeds();
    host.sh("test -d /run/b/rootfs/bin && test -f /run/b/config.json").run().succeeds();
    host.finish();
}

#[test]
fn mounts_are_made_in_the_order_in_which_they_stand() {
    let host = Host::new("oci-order");
    let tmpfs = |at: &str| json!({ "destination": at, "type": "tmpfs", "source": "t" });
    let count = "grep -c ' /t/below ' /proc/self/mountinfo; ls /t";
    for (order, said) in [(["/t", "/t/below"], "1\nbelow"), (["/t/below", "/t"], "1\n")] {
        let name = if said.ends_with("below") { "b" } else { "c" };
        Bundle::new(&host, name, count).with(|config| {
            config["mounts"].as_array_mut().unwrap().extend(order.map(tmpfs));
        });
        let output = oci(&host, &format!("run --bundle /run/{name} one")).run();
        assert_eq!(output.stdout().trim_end(), said.trim_end(), "{output}");
    }
    host.finish();
}

#[test]
fn hooks_of_a_kind_run_in_the_order_in_which_they_stand() {
    let host = Host::new("oci-hook-order");
    let hook =
        |word: &str| json!({ "path": "/bin/sh", "args": ["sh", "-c", format!("echo {word} >> /run/log")] });
    let bundle = Bundle::new(&host, "b", "true").with(|config| {
        for kind in ["createRuntime", "poststart", "poststop"] {
            config["hooks"][kind] = json!([hook(&format!("{kind}-1")), hook(&format!("{kind}-2"))]);
        }
    });
    bundle.run("").run().succeeds();
    host.sh("cat /run/log")
        .prints("createRuntime-1\ncreateRuntime-2\npoststart-1\npoststart-2\npoststop-1\npoststop-2");
    host.finish();
}

#[test]
fn clocks_are_set_apart_in_a_time_namespace() {
    let host = Host::new("oci-clocks");
    let script = "cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets | tr -s ' '";
    let bundle = Bundle::new(&host, "b", script).with(|config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "time" }));
        config["linux"]["timeOffsets"] =
            json!({ "boottime": { "secs": 1_000_000_000 }, "monotonic": { "secs": 5 } });
    });
    let said = bundle.run("").stdout();
    assert!(said.lines().next().unwrap().parse::<u64>().unwrap() >= 1_000_000_000, "{said}");
    assert!(said.contains("monotonic 5 0"), "{said}");
    host.finish();
}

#[test]
fn what_is_not_asked_for_is_inherited() {
    let host = Host::new("oci-inherited");
    let bundle = Bundle::new(&host, "b", "cat /proc/self/oom_score_adj; ulimit -c").with(|config| {
        // A size without a terminal is of no meaning.
        config["process"]["consoleSize"] = json!({ "height": 3, "width": 4 });
    });
    let own = host.sh("cat /proc/self/oom_score_adj; ulimit -c").stdout();
    bundle.run("").prints(&own);
    host.finish();
}

#[test]
fn what_contradicts_the_specification_is_an_error() {
    let host = Host::new("oci-contradictions");
    let mut bundle = Bundle::new(&host, "b", "true");
    let good = bundle.config.clone();
    let limit = json!({ "type": "RLIMIT_CORE", "soft": 0, "hard": 0 });
    let rule = |rule: Value| json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] });
    let cases: [(&str, Value, &str); 20] = [
        ("/ociVersion", json!("one"), "ociVersion"),
        ("/process/rlimits", json!([limit, limit]), "it is there twice"),
        ("/process/scheduler", json!({ "policy": "SCHED_X" }), "process.scheduler.policy"),
        (
            "/process/scheduler",
            json!({ "policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"] }),
            "scheduler.flags",
        ),
        ("/process/scheduler", json!({ "nice": 1 }), "process.scheduler: missing field `policy`"),
        ("/process/ioPriority", json!({ "priority": 1 }), "process.ioPriority"),
        (
            "/process/ioPriority",
            json!({ "class": "IOPRIO_CLASS_X", "priority": 1 }),
            "process.ioPriority.class",
        ),
        ("/linux/namespaces/0/path", json!("/proc/self/ns/net"), ""),
        ("/linux/namespaces/0/path", json!("proc/self/ns/pid"), "is not absolute"),
        ("/linux/rootfsPropagation", json!("sideways"), "linux.rootfsPropagation"),
        ("/linux/readonlyPaths", json!(["relative"]), "linux.readonlyPaths"),
        ("/linux/personality", json!({ "domain": "LINUX64" }), "linux.personality.domain"),
        (
            "/linux/personality",
            json!({ "domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"] }),
            "linux.personality.flags is not supported",
        ),
        (
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_X"] }),
            "linux.seccomp",
        ),
        ("/linux/seccomp", rule(json!({ "names": [], "action": "SCMP_ACT_ERRNO" })), "linux.seccomp"),
        (
            "/linux/seccomp",
            rule(json!({ "names": ["mkdir"], "action": "SCMP_ACT_KILL", "errnoRet": 1 })),
            "linux.seccomp",
        ),
        (
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1 }),
            "linux.seccomp",
        ),
        ("/linux/seccomp", rule(json!({ "names": ["mkdir"], "action": "SCMP_ACT_SING" })), "linux.seccomp"),
        ("/linux/resources/unified", json!({ "nosuch.max": "1" }), "nosuch.max"),
        ("/linux/resources/network", json!({ "classID": 7 }), "linux.resources.network.classID"),
    ];
    for (place, value, said) in cases {
        bundle.config = good.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        bundle.config.pointer_mut(parent).unwrap()[name] = value;
        bundle.write();
        bundle.run("").fails(1, said);
    }
    let line = json!([{ "containerID": 0, "hostID": 5, "size": 1 }]);
    for mount in [
        json!({ "destination": "/d", "source": "/run", "options": ["bind", "idmap"] }),
        json!({ "destination": "/d", "source": "/run", "options": ["rbind", "ridmap"] }),
        json!({ "destination": "/d", "source": "/run", "options": ["bind", "idmap"], "uidMappings": line }),
        json!({ "destination": "/d", "source": "/run", "options": ["bind", "idmap"], "gidMappings": line }),
    ] {
        bundle.config = good.clone();
        bundle.config["mounts"].as_array_mut().unwrap().push(mount);
        bundle.write();
        bundle.run("").fails(1, "an ID-mapped mount needs uidMappings and gidMappings");
    }
    host.sh("ls /run/bulkhead-runtime").prints("");
    host.finish();
}

#[test]
fn a_relative_group_is_always_in_the_same_place() {
    let host = Host::new("oci-relative-group");
    let bundle = Bundle::new(&host, "b", "exec sleep 1000")
        .with(|config| config["linux"]["cgroupsPath"] = json!("some/where"));
    let place = || {
        bundle.start("one");
        let pid = state(&host, "one")["pid"].to_string();
        let groups = host.sh(&format!("grep -o '[^:]*/some/where$' /proc/{pid}/cgroup | sort -u")).stdout();
        oci(&host, "delete -f one").run().succeeds();
        groups
    };
    let first = place();
    assert!(first.ends_with("/bulkhead-runtime/some/where"), "{first}");
    assert_eq!(place(), first);
    host.sh("rmdir /sys/fs/cgroup/*/bulkhead-runtime/some 2> /dev/null || rmdir /sys/fs/cgroup/bulkhead-runtime/some")
        .run()
        .succeeds();
    host.finish();
}
