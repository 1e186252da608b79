//! Namespaces, new and joined, and what belongs to them.

use bulkhead_tests::Host;
use serde_json::{Value, json};

use crate::Bundle;
use crate::bundle::{oci, state};

const KINDS: [(&str, &str); 7] = [
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("cgroup", "cgroup"),
    ("user", "user"),
    ("time", "time"),
];

fn add(config: &mut Value, namespace: Value) {
    let all = config["linux"]["namespaces"].as_array_mut().unwrap();
    all.retain(|other| other["type"] != namespace["type"]);
    all.push(namespace);
}

fn with_users(config: &mut Value) {
    let mapping = json!([{ "containerID": 0, "hostID": 300_000, "size": 65_536 }]);
    config["linux"]["uidMappings"] = mapping.clone();
    config["linux"]["gidMappings"] = mapping;
    add(config, json!({ "type": "user" }));
}

#[test]
fn those_named_are_new_and_the_others_the_host_s() {
    let host = Host::new("oci-namespaces");
    let script = "cat /sys/class/net/lo/flags; hostname; cat /proc/sys/kernel/domainname; cat /proc/sys/net/ipv4/ip_forward; echo $$; \
                  exec sleep 1000";
    let bundle = Bundle::new(&host, "b", script).with(|config| {
        config["hostname"] = json!("name");
        config["domainname"] = json!("domain");
        config["linux"]["sysctl"] = json!({ "net.ipv4.ip_forward": "1" });
    });
    bundle.start("one");
    bulkhead_tests::wait::until("it has spoken", || host.sh("cat /run/output").stdout().lines().count() == 5);
    host.sh("cat /run/output").prints("0x9\nname\ndomain\n1\n1");
    let pid = state(&host, "one")["pid"].to_string();
    for (_, file) in KINDS {
        let is_new = !["user", "time"].contains(&file);
        let both =
            host.sh(&format!("readlink /proc/self/ns/{file} /proc/{pid}/ns/{file} | uniq | wc -l")).stdout();
        assert_eq!(both, if is_new { "2" } else { "1" }, "{file}");
    }
    oci(&host, "delete -f one").run().succeeds();
    host.finish();
}

#[test]
fn another_container_s_are_joined_by_path() {
    let host = Host::new("oci-joined");
    Bundle::new(&host, "a", "exec sleep 1000")
        .with(|config| {
            with_users(config);
            add(config, json!({ "type": "time" }));
            config["linux"]["timeOffsets"] = json!({ "boottime": { "secs": 1_000_000 } });
        })
        .start("one");
    let pid = state(&host, "one")["pid"].to_string();
    let script = "for kind in pid net ipc uts cgroup user time; do readlink /proc/self/ns/$kind; done; \
                  cut -d. -f1 /proc/uptime; cat /proc/self/uid_map";
    let bundle = Bundle::new(&host, "b", script).with(|config| {
        config.as_object_mut().unwrap().remove("hostname");
        for (kind, file) in KINDS {
            add(config, json!({ "type": kind, "path": format!("/proc/{pid}/ns/{file}") }));
        }
    });
    let said = bundle.run("").stdout();
    let lines: Vec<&str> = said.lines().collect();
    for ((_, file), line) in KINDS.iter().zip(["pid", "net", "ipc", "uts", "cgroup", "user", "time"]) {
        let there = host.sh(&format!("readlink /proc/{pid}/ns/{line}")).stdout();
        assert!(lines.contains(&there.as_str()), "{file}: {said}");
    }
    assert!(lines[7].parse::<u64>().unwrap() > 1_000_000, "{said}");
    assert_eq!(lines[8].split_whitespace().collect::<Vec<_>>(), ["0", "300000", "65536"]);
    let bundle =
        bundle.with(|config| add(config, json!({ "type": "ipc", "path": format!("/proc/{pid}/ns/net") })));
    bundle.run("").fails(1, "join the ipc namespace");
    oci(&host, "delete -f one").run().succeeds();
    host.finish();
}

#[test]
fn a_user_namespace_has_the_mapping_and_the_devices_of_its_root() {
    let host = Host::new("oci-users");
    let script = "cat /proc/self/uid_map; id -u; ls -ln /dev/null | tr -s ' ' | cut -d' ' -f3; echo x > /dev/null && \
                  mount -t tmpfs t /mnt 2>&1 | grep -c denied; touch /etc/x";
    let bundle = Bundle::new(&host, "b", script).with(with_users);
    host.sh("chown -R 300000:300000 /run/b/rootfs; mkdir /run/b/rootfs/mnt").run().succeeds();
    let said = bundle.run("").stdout();
    assert_eq!(
        said.split_whitespace().collect::<Vec<_>>(),
        ["0", "300000", "65536", "0", "0", "1"],
        "{said}"
    );
    host.sh("stat -c %u /run/b/rootfs/etc/x").prints("300000");
    bundle.with(|config| config["linux"]["uidMappings"] = json!([])).run("").fails(1, "needs both");
    host.finish();
}

#[test]
fn without_a_pid_namespace_of_its_own_all_that_it_started_ends_with_it() {
    let host = Host::new("oci-host-pids");
    let bundle = Bundle::new(&host, "b", "sleep 2000 & echo $! > /tmp/pid; exec sleep 1000").with(|config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "pid");
    });
    bundle.start("one");
    bulkhead_tests::wait::until("it has a child", || {
        host.sh("test -s /run/b/rootfs/tmp/pid").run().code() == 0
    });
    oci(&host, "kill one KILL").run().succeeds();
    crate::bundle::await_status(&host, "one", "stopped");
    oci(&host, "delete one").run().succeeds();
    host.sh("! grep -q . /proc/$(cat /run/b/rootfs/tmp/pid)/cmdline").run().succeeds();
    host.finish();
}
