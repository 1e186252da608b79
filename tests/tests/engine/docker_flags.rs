//! Flags that say what is so already, that are recorded only, or that are refused with the reason.

use bulkhead_tests::{Host, skip};

use crate::sh;

/// Taken where that is the only thing they can mean, and refused where they mean something else; nothing is left.
#[test]
fn only_what_holds_is_taken() {
    let host = Host::new("flags-taken").with_busybox();
    for flags in [
        &["--platform=linux", "--pull=missing"][..],
        &["--pull", "never", "-q"],
        &["--isolation=default", "--runtime=bulkhead"],
        &["--disable-content-trust", "--volume-driver=local"],
        &["--memory-swappiness=-1", "--expose=80", "--expose=53/udp"],
        &["--annotation=a=b", "--no-such", "x"][..1],
    ] {
        sh(&host, flags, "busybox", "echo here").prints("here");
    }
    // Version 1 alone has it; where it has no effect, that is said.
    let swappiness = "cat /sys/fs/cgroup/memory/memory.swappiness 2>/dev/null || echo none";
    let swappiness = sh(&host, &["--memory-swappiness=10"], "busybox", swappiness).run();
    if swappiness.succeeds().stdout() != "10\n" {
        swappiness.says("memory-swappiness has no effect");
    }
    let deprecated = sh(&host, &["--kernel-memory=64m"], "busybox", "echo here").run();
    deprecated.succeeds().says("kernel memory limit is deprecated");
    let mut wrong = String::new();
    for (flag, needle) in [
        ("--platform=linux/s390x", "--platform=linux/s390x: this machine runs linux/"),
        ("--platform=", "--platform="),
        ("--pull=sometimes", "invalid pull option: 'sometimes'"),
        ("--isolation=hyperv", "invalid isolation \"hyperv\""),
        ("--runtime=runc", "another runtime"),
        ("--disable-content-trust=false", "does not verify signatures"),
        ("--volume-driver=nfs", "error looking up volume plugin nfs"),
        ("--kernel-memory=much", "invalid size: 'much'"),
        ("--expose=what", "--expose"),
        ("--publish=host:80:80", "--publish"),
        ("--gpus=all", "--gpus is refused: "),
        ("--storage-opt=size=1g", "--storage-opt is refused: "),
        ("--link=other", "No such container: other"),
        ("--link-local-ip=169.254.1.1", "--link-local-ip is refused: "),
        ("--ip=10.0.0.1", "user defined networks only"),
        ("--network=nowhere", "network nowhere not found"),
        ("--use-api-socket", "--use-api-socket is refused: "),
        ("--cpu-percent=5", "--cpu-percent is refused: it is for Windows"),
        ("--blkio-weight-device=/dev/vda:5", "where the weight is 10 to 1000"),
        ("--blkio-weight-device=/dev/null:500", "/dev/null is not a block device"),
        ("--memory-swappiness=101", "valid memory swappiness range is 0-100"),
        ("--annotation=nonsense", "nonsense"),
    ] {
        for command in [&["run", "--rm"][..], &["container", "run"]] {
            let output = host.bulkhead(command.iter().chain(&[flag, "busybox", "true"])).run();
            if output.code() != 125 || !output.stderr().contains(needle) {
                wrong += &format!("expected 125 and {needle:?} of {output}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    host.bulkhead(["create", "--gpus", "all", "busybox"]).fails(125, "--gpus is refused");
    host.finish_clean();
}

#[test]
fn what_is_exposed_is_recorded() {
    let host = Host::new("flags-expose").with_busybox();
    host.bulkhead(["create", "--name", "c1", "--expose", "7000-7001", "--expose=53/udp", "busybox"])
        .run()
        .succeeds();
    let exposed = host.inspect("c1", "{{json .Config.ExposedPorts}}");
    for port in ["7000/tcp", "7001/tcp", "53/udp"] {
        assert!(exposed.contains(port), "{exposed}");
    }
    host.finish();
}

/// Docker's flags before the command: another engine is never taken for this one.
#[test]
fn flags_before_the_command() {
    let host = Host::new("flags-global").with_busybox();
    let words =
        ["-D", "-l", "info", "--context", "default", "-H", "unix:///var/run/docker.sock", "--config=/x"];
    host.bulkhead(words.into_iter().chain(["run", "--rm", "busybox", "echo", "here"])).prints("here");
    host.bulkhead(["-H", "tcp://192.0.2.1:2375", "ps"]).fails(125, "bulkhead is the engine of this machine");
    host.bulkhead(["--context=prod", "ps"]).fails(125, "context \"prod\": context not found");
    host.bulkhead(["-l", "loud", "ps"]).fails(125, "unable to parse logging level: loud");
    host.bulkhead(["--tlsverify", "ps"]).fails(125, "--tlsverify is refused: ");
    let version = host.bulkhead(["-v"]).stdout();
    assert!(version.starts_with("bulkhead "), "{version}");
    host.finish_clean();
}

/// The groups above have no real-time to give until they are given some.
#[test]
fn real_time() {
    let host = Host::new("flags-real-time").with_busybox();
    if host.sh("test -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us").run().code() != 0 {
        sh(&host, &["--cpu-rt-runtime=1000"], "busybox", "true")
            .fails(125, "does not support CPU real-time scheduler");
        host.finish_clean();
        skip!("this kernel has no real-time scheduling of groups");
    }
    sh(&host, &["--cpu-rt-runtime=20000", "--cpu-rt-period=10000"], "busybox", "true")
        .fails(125, "cannot be higher than cpu real-time period");
    sh(&host, &["--cpu-rt-runtime=20000"], "busybox", "true").fails(125, "less real-time to give");
    let given = "for group in /sys/fs/cgroup/cpu /sys/fs/cgroup/cpu/bulkhead; do
            mkdir -p $group; echo 30000 > $group/cpu.rt_runtime_us; done";
    if host.sh(given).run().code() != 0 {
        host.finish_clean();
        skip!("this machine's groups have no real-time to give");
    }
    let flags = ["--cpu-rt-runtime=20000", "--cpu-rt-period=1000000"];
    sh(
        &host,
        &flags,
        "busybox",
        "cat /sys/fs/cgroup/cpu/cpu.rt_runtime_us /sys/fs/cgroup/cpu/cpu.rt_period_us",
    )
    .prints("20000\n1000000");
    host.finish_clean();
}
