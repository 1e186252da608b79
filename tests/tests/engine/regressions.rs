//! Defects that were found once, each with the test that would find it again.

use bulkhead_tests::Host;

#[test]
fn sysctl_names_lead_nowhere_else() {
    let host = Host::new("regress-sysctl").with_busybox();
    for name in ["net.//.kernel.hostname", "net/../kernel.hostname", "net..hostname", "kernel.hostname"] {
        let flag = format!("--sysctl={name}=x");
        host.bulkhead(["run", "--rm", &flag, "busybox", "true"])
            .fails(125, "not in a separate kernel namespace");
    }
    let read = "cat /proc/sys/net/ipv4/ip_default_ttl";
    host.bulkhead(["run", "--rm", "--sysctl=net.ipv4.ip_default_ttl=77", "busybox", "sh", "-c", read])
        .prints("77");
    host.finish_clean();
}

#[test]
fn a_paused_container_can_be_killed_and_removed() {
    let host = Host::new("regress-paused").with_busybox();
    for end in [&["kill", "c1"][..], &["stop", "-t", "0", "c1"], &["rm", "-f", "c1"]] {
        host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
        host.bulkhead(["pause", "c1"]).prints("c1");
        host.bulkhead(end).prints("c1");
        host.bulkhead(["rm", "-f", "c1"]).run().succeeds();
    }
    // Its supervisor killed, too.
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    let pid = host.inspect("c1", "{{.State.Pid}}");
    host.bulkhead(["pause", "c1"]).prints("c1");
    host.sh(&format!("kill -KILL $(awk '{{print $4}}' /proc/{pid}/stat)")).prints("");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    host.finish_clean();
}

#[test]
fn a_container_made_to_remove_itself_waits_for_its_start() {
    let host = Host::new("regress-create-rm").with_busybox();
    host.bulkhead(["create", "--rm", "--name", "c1", "busybox", "echo", "here"]).run().succeeds();
    host.bulkhead(["ps", "-aq"]).run().succeeds();
    host.bulkhead(["start", "-a", "c1"]).prints("here");
    host.bulkhead(["ps", "-aq"]).prints("");
    host.finish_clean();
}

#[test]
fn a_read_only_volume_is_filled_first() {
    let host = Host::new("regress-fill").with_busybox();
    let look = "cat /etc/group | head -n1; touch /etc/x 2>&1 | grep -c Read-only";
    host.bulkhead(["run", "--rm", "-v", "data:/etc:ro", "busybox", "sh", "-c", look])
        .run()
        .shows("root")
        .shows("1");
    host.finish();
}

#[test]
fn a_failed_start_leaves_no_id_file() {
    let host = Host::new("regress-cidfile").with_busybox();
    let run = ["run", "--rm", "--cidfile=/tmp/id", "busybox"];
    host.bulkhead(run.iter().chain(&["nosuch"])).run().ends_with(127);
    host.bulkhead(run.iter().chain(&["true"])).prints("");
    host.finish();
}

#[test]
fn a_shared_network_shares_its_name() {
    let host = Host::new("regress-hostname").with_busybox();
    host.run_detached(["--name", "c1", "--hostname=shared", "busybox", "sleep", "1000"]);
    host.bulkhead([
        "run",
        "--rm",
        "--network=container:c1",
        "busybox",
        "sh",
        "-c",
        "echo $HOSTNAME $(hostname)",
    ])
    .prints("shared shared");
    host.finish();
}

/// Whoever lives in a PID namespace sees what is born in it, from its first moment. Until that has become a
/// program it has the host's rights, and must not have the host's files.
#[test]
fn what_joins_a_pid_namespace_never_shows_the_host_s_files() {
    let host = Host::new("regress-peek").with_busybox();
    host.sh("echo of-the-host > /run/of-the-host").prints("");
    // With the capability to look at any process, as a debugger's container has it. The attack finds the file where
    // it can: from a container that shares the host's processes.
    let peek = |name: &str, flags: &str| {
        host.sh(&format!(
            "bulkhead run -d --name {name} {flags} -v /run/host:/p busybox /p/test-host peek 6 /run/of-the-host"
        ))
        .run()
        .succeeds();
    };
    let found = |name: &str| host.sh(&format!("bulkhead wait {name} >/dev/null; bulkhead logs {name}"));
    peek("c0", "--privileged --pid=host");
    found("c0").prints("of-the-host");
    peek("c1", "--cap-add=SYS_PTRACE");
    peek("c2", "");
    host.sh("end=$(($(date +%s) + 6)); while [ $(date +%s) -lt $end ]; do bulkhead exec c1 true || true
             bulkhead run --rm --pid=container:c1 busybox true || true
             bulkhead run --rm --pid=container:c2 host true || true; done 2>/dev/null")
        .timeout(120)
        .run();
    found("c1").prints("");
    found("c2").prints("");
    host.finish();
}
