//! `--systemd-cgroup`, with a real systemd: in namespaces of its own on the host, where it is PID 1. On version 2 it is in the
//! virtual machine (`tests/tests/cgroup2/systemd.sh`).
//!
//! | file | holds |
//! |---|---|
//! | [`host`] | the host with systemd |
//! | [`bus`] | systemd by the system bus |
//! | [`callers`] | Docker, containerd and Podman, told to have systemd make groups |

mod bus;
mod callers;
mod host;

use bulkhead_tests::{Host, skip, wait};
use serde_json::{Value, json};

use crate::Bundle;
use host::{MISSING, assert_gone, create, inside, oci, show, with_systemd};

#[test]
fn a_container_is_a_scope_with_its_limits_until_it_is_deleted() {
    let Some(host) = with_systemd("oci-systemd") else {
        skip!("{MISSING}");
    };
    let bundle = Bundle::new(&host, "b", "exec sleep 1000").with(|config| {
        config["linux"]["cgroupsPath"] = json!("kube-pods.slice:cri:one");
        config["linux"]["resources"]["memory"] = json!({ "limit": 67_108_864 });
        config["linux"]["resources"]["pids"] = json!({ "limit": 1 });
        config["linux"]["resources"]["cpu"] = json!({ "quota": 50_000, "period": 100_000, "shares": 512 });
        config["annotations"] = json!({
            "org.systemd.property.TimeoutStopSec": "7",
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            "org.systemd.property.Documentation": "['man:sleep(1)']",
            "org.systemd.other": "is no property",
        });
    });
    create(&host, "one");
    let group = "/kube.slice/kube-pods.slice/cri-one.scope";
    let names = "Slice ControlGroup ActiveState Delegate MemoryLimit TasksMax CPUShares CPUQuotaPerSecUSec \
                 TimeoutStopUSec CollectMode Documentation DevicePolicy";
    assert_eq!(
        show(&host, "cri-one.scope", names),
        [
            "kube-pods.slice",
            group,
            "active",
            "yes",
            "67108864",
            "1",
            "512",
            "500ms",
            "7s",
            "inactive-or-failed",
            "\"man:sleep(1)\"",
            "strict"
        ]
    );
    let read = |file: &str| {
        let (controller, file) = file.split_once('/').unwrap();
        inside(&host, &format!("cat /sys/fs/cgroup/{controller}*{group}/{file}")).stdout()
    };
    // The steward was in it before, and is not counted.
    assert_eq!(read("pids/pids.max"), "1");
    assert_eq!(read("pids/pids.current"), "1");
    assert_eq!(read("memory/memory.limit_in_bytes"), "67108864");
    assert_eq!(read("cpu/cpu.cfs_quota_us"), "50000");
    oci(&host, "start one").run().succeeds();
    let groups = |pid: &str| inside(&host, &format!("cut -d: -f2,3 /proc/{pid}/cgroup")).stdout();
    let state: Value = serde_json::from_str(&oci(&host, "state one").stdout()).unwrap();
    let first = groups(&state["pid"].to_string());
    assert!(
        first.contains(&format!("name=systemd:{group}")) && first.contains(&format!("devices:{group}")),
        "{first}"
    );

    // More processes; each where the first is, in systemd's eyes too.
    oci(&host, "update --pids-limit 20 --memory 32m one").run().succeeds();
    assert_eq!(show(&host, "cri-one.scope", "TasksMax MemoryLimit"), ["20", "33554432"]);
    assert_eq!(
        (read("pids/pids.max"), read("memory/memory.limit_in_bytes")),
        ("20".into(), "33554432".into())
    );
    oci(&host, "exec --detach --pid-file /run/second one sleep 1001 < /dev/null > /dev/null 2>&1")
        .run()
        .succeeds();
    assert_eq!(groups("$(cat /run/second)"), first);
    oci(&host, "pause one").run().succeeds();
    assert_eq!(read("freezer/freezer.state"), "FROZEN");
    oci(&host, "resume one").run().succeeds();

    // systemd writes what it knows anew: rules for devices among it.
    let rules = || {
        let mut lines: Vec<String> = read("devices/devices.list").lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let before = rules();
    assert!(
        before.contains(&"c 1:3 rwm".to_owned()) && !before.contains(&"a *:* rwm".to_owned()),
        "{before:?}"
    );
    inside(
        &host,
        "systemctl daemon-reload; systemctl set-property --runtime cri-one.scope DeviceAllow='/dev/null rw'",
    )
    .run()
    .succeeds();
    assert!(!rules().contains(&"a *:* rwm".to_owned()), "{:?}", rules());
    assert_eq!(groups(&state["pid"].to_string()), first);

    // systemd ends it as it ends services; what it knows nothing of goes with `delete`.
    inside(&host, "systemctl stop cri-one.scope").run().succeeds();
    wait::until("it has stopped", || oci(&host, "state one").stdout().contains("\"stopped\""));
    oci(&host, "delete one").run().succeeds();
    assert_gone(&host, "cri-one.scope");
    oci(&host, "update one").fails(1, "container does not exist");

    // The same name again and again, at the default place this time.
    let bundle = bundle.with(|config| {
        config["linux"]["cgroupsPath"] = json!("");
        config["annotations"] = json!({});
        config["process"]["args"] = json!(["sh", "-c", "cat /proc/self/cgroup"]);
        config["linux"]["resources"]["pids"] = json!({ "limit": 5 });
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "cgroup");
    });
    for _ in 0..5 {
        let said = oci(&host, "run --bundle /run/b two").stdout();
        assert!(said.contains("pids:/system.slice/bulkhead-two.scope"), "{said}");
    }
    assert_gone(&host, "bulkhead-two.scope");
    drop(bundle);
    host.abandon();
}

/// A scope that is no container's; its process leaves its number.
fn somebody_s_scope(host: &Host) {
    let program = "sh -c \"echo \\$\\$ > /run/somebody; exec sleep 1000\"";
    let script =
        format!("systemd-run --quiet --scope --unit p-one.scope {program} < /dev/null > /dev/null 2>&1 &");
    inside(host, &script).run().succeeds();
    wait::until("it runs", || show(host, "p-one.scope", "ActiveState") == ["active"]);
}

#[test]
fn a_creation_that_is_killed_or_fails_leaves_no_unit() {
    let Some(host) = with_systemd("oci-systemd-killed") else {
        skip!("{MISSING}");
    };
    let hang = "#!/bin/sh\\necho $PPID > /run/runtime\\nexec sleep 1000\\n";
    host.sh(&format!("printf '{hang}' > /run/hang; chmod +x /run/hang")).run().succeeds();
    let bundle = Bundle::new(&host, "b", "exec sleep 1000").with(|config| {
        config["linux"]["cgroupsPath"] = json!(":p:one");
        config["hooks"] = json!({ "createRuntime": [{ "path": "/run/hang" }] });
    });
    // Between the unit and the start, with the steward in it.
    let creation = oci(&host, "create --bundle /run/b one < /dev/null > /dev/null 2>&1").start();
    wait::until("the hook runs", || host.sh("cat /run/runtime 2> /dev/null || true").stdout() != "");
    assert_eq!(show(&host, "p-one.scope", "ActiveState"), ["active"]);
    inside(&host, "kill -9 $(cat /run/runtime)").run().succeeds();
    drop(creation);
    wait::until("the unit ends by itself", || show(&host, "p-one.scope", "ActiveState") == ["inactive"]);
    oci(&host, "state one").fails(1, "container does not exist");
    assert_gone(&host, "p-one.scope");
    host.sh("test ! -e /run/bulkhead-runtime/one").run().succeeds();

    // Whoever clears up after it leaves a unit alone that has its name since: by the run that is recorded, and if the
    // creation was killed before there was one, by that.
    for forgotten in
        ["", "sed -i 's/\"run\":\"[0-9a-f]*\"/\"run\":null/' /run/bulkhead-runtime/one/state.json"]
    {
        host.sh("rm /run/runtime").run().succeeds();
        let creation = oci(&host, "create --bundle /run/b one < /dev/null > /dev/null 2>&1").start();
        wait::until("the hook runs", || host.sh("cat /run/runtime 2> /dev/null || true").stdout() != "");
        let run = show(&host, "p-one.scope", "InvocationID").concat();
        let recorded = || host.sh("cat /run/bulkhead-runtime/one/state.json").stdout();
        assert!(!run.is_empty() && recorded().contains(&format!("\"run\":\"{run}\"")), "{}", recorded());
        inside(&host, "kill -9 $(cat /run/runtime)").run().succeeds();
        drop(creation);
        wait::until("the unit ends by itself", || show(&host, "p-one.scope", "ActiveState") == ["inactive"]);
        host.sh(forgotten).run().succeeds();
        assert_eq!(recorded().contains("\"run\":null"), !forgotten.is_empty(), "{}", recorded());
        somebody_s_scope(&host);
        oci(&host, "state one").fails(1, "container does not exist");
        host.sh("test ! -e /run/bulkhead-runtime/one").run().succeeds();
        assert_eq!(show(&host, "p-one.scope", "ActiveState"), ["active"]);
        inside(&host, "kill -0 $(cat /run/somebody); systemctl stop p-one.scope").run().succeeds();
    }

    // Not before systemd has been asked.
    let failing = bundle.with(|config| {
        config["hooks"] = json!({});
        config["annotations"] = json!({ "org.systemd.property.Nonsense": "5" });
    });
    oci(&host, "run --bundle /run/b one")
        .fails(1, "does not make the unit p-one.scope: Cannot set property Nonsense");
    // A program that is not there is missed when all else is done.
    let failing = failing.with(|config| {
        config["annotations"] = json!({});
        config["process"]["args"] = json!(["/nosuch"]);
    });
    oci(&host, "run --bundle /run/b one").fails(1, "nosuch");
    assert_gone(&host, "p-one.scope");
    // A unit of this name that is somebody's is left to them.
    somebody_s_scope(&host);
    oci(&host, "run --bundle /run/b one").fails(1, "container's cgroup is not empty");
    assert_eq!(show(&host, "p-one.scope", "ActiveState"), ["active"]);
    inside(&host, "systemctl stop p-one.scope").run().succeeds();
    drop(failing);
    host.abandon();
}

#[test]
fn what_can_be_no_unit_is_refused_and_without_systemd_it_says_so() {
    let host = Host::new("oci-no-systemd");
    let bundle = Bundle::new(&host, "b", "true");
    let refused = |path: &str, annotations: Value, why: &str| {
        let mut config = bundle.config.clone();
        config["linux"]["cgroupsPath"] = json!(path);
        config["annotations"] = annotations;
        host.sh("cat > /run/b/config.json").stdin(config.to_string()).run().succeeds();
        host.sh("bulkhead oci --systemd-cgroup run --bundle /run/b one").fails(1, why);
    };
    let format = "expected cgroupsPath to be of format \\\"slice:prefix:name\\\" for systemd cgroups";
    for path in ["/a/b", "a:b", "a:b:c:d"] {
        refused(path, json!({}), format);
    }
    refused("a--b.slice:p:n", json!({}), "invalid slice name: a--b.slice");
    refused("a.slice:p:../n", json!({}), "cannot be a unit");
    refused("a.slice:p:n.slice", json!({}), "is a slice");
    let key = "org.systemd.property.TimeoutStopUSec";
    refused("", json!({ (key): "uint64 -1" }), &format!("annotations: {key}: "));
    refused("", json!({ "org.systemd.property.a.b": "1" }), "annotations: org.systemd.property.a.b: ");
    refused(
        "",
        json!({ (key): "uint64 1" }),
        "systemd is not to be reached: /run/systemd/private: no such file",
    );
    host.sh("DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/nowhere bulkhead oci --systemd-cgroup run --bundle /run/b one")
        .fails(1, "DBUS_SYSTEM_BUS_ADDRESS says unix:path=/run/nowhere: no such file");
    host.sh("bulkhead oci list -q").prints("");
    host.finish();
}
