//! Who shares which namespace with whom can be seen: by `lsns` on the host, and by `bulkhead ns`.

use bulkhead_tests::Host;
use serde_json::Value;

/// What the kernel calls the namespace of that kind of a process: `pid:[4026532281]`, the number alone.
fn inode(host: &Host, pid: &str, kind: &str) -> String {
    host.sh(&format!("readlink /proc/{pid}/ns/{kind} | tr -dc 0-9")).stdout()
}

#[test]
fn the_table_says_what_the_kernel_says() {
    let host = Host::new("step8").with_busybox();
    host.run_detached(["--name", "alone", "busybox", "sleep", "1000"]);
    host.run_detached([
        "--name",
        "guest",
        "--pid=container:alone",
        "--network=host",
        "busybox",
        "sleep",
        "1000",
    ]);
    let (alone, guest) = (host.inspect("alone", "{{.State.Pid}}"), host.inspect("guest", "{{.State.Pid}}"));

    let table = host.bulkhead(["ns"]).stdout();
    let row = |name: &str| {
        table.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {table}"))
    };
    let lsns = host.sh("lsns -n -o NS,TYPE,PID,COMMAND").stdout();
    let json = host.bulkhead(["ns", "--format", "json"]).stdout();
    for line in json.lines().filter(|line| !line.trim().is_empty()) {
        // One document, or one for each line.
        assert!(
            serde_json::from_str::<Value>(&json).is_ok() || serde_json::from_str::<Value>(line).is_ok(),
            "{json}"
        );
    }
    for kind in ["pid", "uts", "ipc", "mnt", "net", "cgroup"] {
        assert!(table.to_lowercase().contains(kind), "{table}");
        let number = inode(&host, &alone, kind);
        assert!(lsns.contains(&number), "{lsns}");
        assert!(json.contains(&number), "{json}");
        assert!(row("alone").contains(&number), "{kind} {number}: {table}");
    }
    assert_eq!(inode(&host, &guest, "pid"), inode(&host, &alone, "pid"));
    assert_eq!(inode(&host, &guest, "net"), inode(&host, "self", "net"));
    assert!(row("guest").contains("alone") || table.contains(&inode(&host, &guest, "pid")), "{table}");
    assert!(row("guest").contains("host"), "{table}");
    assert_ne!(inode(&host, &guest, "mnt"), inode(&host, &alone, "mnt"));
    host.finish();
}

#[test]
fn lsns_shows_each_containers_namespaces() {
    let host = Host::new("step8-lsns").with_busybox();
    let ids = [0, 1].map(|_| host.run_detached(["busybox", "sleep", "1000"]));
    let mut seen = std::collections::BTreeSet::new();
    for id in &ids {
        let pid = host.inspect(id, "{{.State.Pid}}");
        for kind in ["pid", "uts", "ipc", "mnt", "net", "cgroup"] {
            let number = inode(&host, &pid, kind);
            host.sh("lsns -n -o NS,TYPE").run().shows(&format!("{number} {kind}"));
            assert_ne!(number, inode(&host, "self", kind), "{kind} is the host's");
            assert!(seen.insert(number), "{kind} is shared");
        }
    }
    host.finish();
}

#[test]
fn a_stopped_container_has_no_namespaces() {
    let host = Host::new("step8-stopped").with_busybox();
    host.bulkhead(["run", "--name", "over", "busybox", "true"]).prints("");
    host.bulkhead(["ns"]).run().succeeds().hides("over");
    host.bulkhead(["ns", "--format", "sideways"]).run().says("sideways");
    host.finish();
}
