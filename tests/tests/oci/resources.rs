//! Control groups: where they are, what holds in them, how that is changed.

use bulkhead_tests::Host;
use serde_json::{Value, json};

use crate::Bundle;
use crate::bundle::{oci, state};

/// What a file of the container's group says; `controller` tells where it is on version 1.
fn read(host: &Host, pid: &str, controller: &str, v1: &str, v2: &str) -> String {
    let script = format!(
        "if test -e /sys/fs/cgroup/cgroup.controllers; then cat /sys/fs/cgroup$(sed -n s/^0:://p /proc/{pid}/cgroup)/{v2}; \
         else cat /sys/fs/cgroup/{controller}$(awk -F: '$2 ~ /(^|,){controller}(,|$)/ {{ print $3 }}' /proc/{pid}/cgroup)/{v1}; fi"
    );
    host.sh(&script).stdout()
}

#[test]
fn limits_hold_where_the_configuration_says_and_can_be_changed() {
    let host = Host::new("oci-limits-held");
    let bundle = Bundle::new(&host, "b", "exec sleep 1000").with(|config| {
        config["linux"]["cgroupsPath"] = json!("/bulkhead-runtime/deep/er");
        config["linux"]["resources"]["memory"] = json!({ "limit": 33_554_432 });
        config["linux"]["resources"]["pids"] = json!({ "limit": 20 });
        config["linux"]["resources"]["cpu"] = json!({ "quota": 50_000, "period": 100_000 });
    });
    bundle.start("one");
    let pid = state(&host, "one")["pid"].to_string();
    assert!(host.sh(&format!("cat /proc/{pid}/cgroup")).stdout().contains(":/bulkhead-runtime/deep/er"));
    assert_eq!(read(&host, &pid, "memory", "memory.limit_in_bytes", "memory.max"), "33554432");
    assert_eq!(read(&host, &pid, "pids", "pids.max", "pids.max"), "20");
    assert!(read(&host, &pid, "cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("50000"));
    oci(&host, "update --memory 64m --pids-limit 30 one").run().succeeds();
    assert_eq!(read(&host, &pid, "memory", "memory.limit_in_bytes", "memory.max"), "67108864");
    assert_eq!(read(&host, &pid, "pids", "pids.max", "pids.max"), "30");
    oci(&host, "update --resources - one").stdin(r#"{"pids":{"limit":40}}"#).run().succeeds();
    assert_eq!(read(&host, &pid, "pids", "pids.max", "pids.max"), "40");
    oci(&host, "update --resources - one")
        .stdin(r#"{"pids":{"limit":"x"}}"#)
        .fails(1, "pids.limit: invalid type");
    // The kubelet repeats all resources as the container was given them, to which the runtime had added its own rules.
    oci(&host, "update --resources - one")
        .stdin(r#"{"devices":[{"allow":false,"access":"rwm"}],"pids":{"limit":40}}"#)
        .run()
        .succeeds();
    oci(&host, "exec one sh -c 'echo x > /dev/null'").run().succeeds();
    oci(&host, "update --memory 1x one").fails(1, "invalid size: '1x'");
    let event: Value = serde_json::from_str(&oci(&host, "events --stats one").stdout()).unwrap();
    assert_eq!((event["type"].as_str(), event["id"].as_str()), (Some("stats"), Some("one")));
    assert_eq!(event["data"]["pids"], json!({ "current": 1, "limit": 40 }));
    assert_eq!(event["data"]["memory"]["usage"]["limit"], 67_108_864);
    oci(&host, "run --bundle /run/b two").fails(1, "container's cgroup is not empty");
    oci(&host, "delete -f one").run().succeeds();
    oci(&host, "state two").fails(1, "container does not exist");
    host.sh("rmdir /sys/fs/cgroup/*/bulkhead-runtime/deep 2> /dev/null || rmdir /sys/fs/cgroup/bulkhead-runtime/deep").run().succeeds();
    host.finish();
}

#[test]
fn events_end_with_the_container_and_tell_of_processes_that_found_no_memory() {
    let host = Host::new("oci-oom");
    let script = "until test -e /tmp/go; do sleep 0.02; done; sh -c 'x=$(tail -c 40m /dev/zero | tr \"\\0\" x)'; sleep 1";
    let bundle = Bundle::new(&host, "b", script).with(|config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 8_388_608, "swap": 8_388_608 });
    });
    bundle.start("one");
    let mut events = oci(&host, "events --interval 50ms one").start();
    events.expect("\"type\":\"stats\"");
    host.sh("touch /run/b/rootfs/tmp/go").run().succeeds();
    events.expect("\"type\":\"oom\"");
    events.finish().succeeds();
    crate::bundle::await_status(&host, "one", "stopped");
    oci(&host, "delete one").run().succeeds();
    host.finish();
}
