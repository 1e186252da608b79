//! Resources: what a container may use, and what happens when it wants more.

use bulkhead_tests::{Host, skip};

use crate::sh;

/// The content of a cgroup file as the container sees it, by its v1 and its v2 name.
fn cgroup_file(host: &Host, flags: &[&str], v1: &str, v2: &str) -> String {
    sh(host, flags, "busybox", &format!("cat /sys/fs/cgroup/{v1} /sys/fs/cgroup/{v2} 2>/dev/null || true"))
        .stdout()
}

/// Whether the machine gives this controller to its containers.
fn has(host: &Host, controller: &str) -> bool {
    let v1 = format!("test -d /sys/fs/cgroup/{controller}");
    let v2 = format!("grep -qw {controller} /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null");
    host.sh(&format!("{v1} || {v2}")).run().code() == 0
}

#[test]
fn out_of_memory_is_told() {
    let host = Host::new("limits-oom").with_busybox();
    if !has(&host, "memory") {
        skip!("this machine has no memory controller");
    }
    // dd fills its buffer of 200 MiB. Without a limit that works.
    let fill = ["busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"];
    host.bulkhead(["run", "--rm"].into_iter().chain(fill)).run().succeeds();
    host.bulkhead(["run", "--name=c1", "-m=32m"].into_iter().chain(fill)).run().ends_with(137);
    assert_eq!(host.inspect("c1", "{{.State.OOMKilled}} {{.State.ExitCode}}"), "true 137");
    // Whoever is killed otherwise was not out of memory.
    host.run_detached(["--name", "killed", "-m", "32m", "busybox", "sleep", "1000"]);
    host.bulkhead(["kill", "killed"]).prints("killed");
    host.bulkhead(["wait", "killed"]).prints("137");
    assert_eq!(host.inspect("killed", "{{.State.OOMKilled}}"), "false");
    // A child that is killed is told too, while PID 1 lives.
    host.run_detached(["--name", "parent", "-m", "32m", "busybox", "sleep", "1000"]);
    host.bulkhead(["exec", "parent"].into_iter().chain(fill[1..].iter().copied())).run().ends_with(137);
    assert_eq!(host.inspect("parent", "{{.State.Running}}"), "true");
    host.finish();
}

#[test]
fn memory_figures() {
    let host = Host::new("limits-memory").with_busybox();
    if !has(&host, "memory") {
        skip!("this machine has no memory controller");
    }
    let limit = |flags: &[&str]| cgroup_file(&host, flags, "memory/memory.limit_in_bytes", "memory.max");
    assert_eq!(limit(&["-m", "64m"]), "67108864");
    assert_eq!(limit(&["--memory=1g"]), "1073741824");
    let soft =
        cgroup_file(&host, &["--memory-reservation=32m"], "memory/memory.soft_limit_in_bytes", "memory.low");
    assert_eq!(soft, "33554432");
    sh(&host, &["-m", "1m"], "busybox", "true").fails(125, "Minimum memory limit allowed is 6MB");
    sh(&host, &["-m", "much"], "busybox", "true").fails(125, "invalid size: 'much'");
    sh(&host, &["-m", "64m", "--memory-swap", "32m"], "busybox", "true")
        .fails(125, "larger than memory limit");
    host.finish_clean();
}

#[test]
fn the_number_of_processes() {
    let host = Host::new("limits-pids").with_busybox();
    if !has(&host, "pids") {
        skip!("this machine has no pids controller");
    }
    let fork = "for i in $(seq 30); do sleep 5 & done 2>/dev/null; ls -d /proc/[0-9]* | wc -l";
    let count = |flags: &[&str]| sh(&host, flags, "busybox", fork).run();
    count(&[]).succeeds().shows("3");
    let bounded = count(&["--pids-limit=10"]);
    let processes: u32 = bounded.stdout().trim().lines().last().unwrap_or("0").parse().unwrap_or(0);
    assert!(processes <= 10, "{bounded}");
    assert_eq!(cgroup_file(&host, &["--pids-limit=10"], "pids/pids.max", "pids.max"), "10");
    assert_eq!(cgroup_file(&host, &["--pids-limit=-1"], "pids/pids.max", "pids.max"), "max");
    host.finish_clean();
}

#[test]
fn processor_time() {
    let host = Host::new("limits-cpu").with_busybox();
    if !has(&host, "cpu") {
        skip!("this machine has no cpu controller");
    }
    let quota = |flags: &[&str]| cgroup_file(&host, flags, "cpu/cpu.cfs_quota_us", "cpu.max");
    for flags in [&["--cpus=0.5"][..], &["--cpu-quota=50000", "--cpu-period=100000"]] {
        assert!(["50000", "50000 100000"].contains(&quota(flags).as_str()));
    }
    let shares = cgroup_file(&host, &["--cpu-shares=512"], "cpu/cpu.shares", "cpu.weight");
    assert!(["512", "20", "59"].contains(&shares.as_str()), "{shares}");
    sh(&host, &["--cpus=much"], "busybox", "true").fails(125, "much");
    sh(&host, &["--cpus=100000"], "busybox", "true").fails(125, "CPU");
    sh(&host, &["--cpus=1", "--cpu-quota=50000"], "busybox", "true").fails(125, "Conflicting options");
    if has(&host, "cpuset") {
        sh(&host, &["--cpuset-cpus=0"], "busybox", "grep Cpus_allowed_list /proc/self/status | cut -f2")
            .prints("0");
        sh(&host, &["--cpuset-cpus=9999"], "busybox", "true").fails(125, "9999");
        sh(&host, &["--cpuset-cpus=x"], "busybox", "true").fails(125, "cpuset");
    }
    host.finish_clean();
}

#[test]
fn ulimits() {
    let host = Host::new("limits-ulimit").with_busybox();
    let ulimit = |flags: &[&str], what: &str| sh(&host, flags, "busybox", what);
    ulimit(&["--ulimit", "nofile=100:200"], "ulimit -Sn; ulimit -Hn").prints("100\n200");
    ulimit(&["--ulimit", "nofile=100"], "ulimit -Hn").prints("100");
    ulimit(&["--ulimit", "core=0"], "ulimit -c").prints("0");
    ulimit(&["--ulimit", "nosuch=1"], "true").fails(125, "nosuch");
    ulimit(&["--ulimit", "nofile=x"], "true").fails(125, "nofile");
    ulimit(&["--ulimit", "nofile=200:100"], "true").fails(125, "soft limit");
    // One that this machine's root may not raise is clamped, with a warning; the container starts.
    let most = host.sh("ulimit -Hn").stdout();
    let more: u64 = most.parse::<u64>().unwrap_or(1 << 20) + 1;
    let raised = ulimit(&["--ulimit", &format!("nofile={more}:{more}")], "ulimit -Hn").run();
    let hard = raised.succeeds().stdout().trim().to_owned();
    if hard == most {
        raised.says("nofile");
    } else {
        assert_eq!(hard, more.to_string(), "{raised}");
    }
    host.finish_clean();
}
