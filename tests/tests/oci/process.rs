//! What the first program is: user, capabilities, limits, filter, priorities.

use bulkhead_tests::Host;
use serde_json::json;

use crate::Bundle;
use crate::bundle::oci;

#[test]
fn its_user_is_by_numbers_whatever_the_container_s_files_say() {
    let host = Host::new("oci-user");
    let bundle = Bundle::new(&host, "b", "id; umask; echo $HOME").with(|config| {
        config["process"]["user"] =
            json!({ "uid": 1000, "gid": 100, "additionalGids": [5, 6], "umask": 0o027 });
    });
    let hostile = "echo 1000:x:0:0::/evil:/bin/sh > etc/passwd; echo x:x:1000:0::/home/x:/bin/sh >> etc/passwd; \
                   echo 100:x:0: > etc/group; echo 5:x:0: >> etc/group";
    host.sh(&format!("cd {}/rootfs; {hostile}", bundle.folder)).run().succeeds();
    bundle.run("").prints("uid=1000(x) gid=100 groups=5,6\n0027\n/home/x");
    host.finish();
}

#[test]
fn capabilities_are_those_named_and_no_others() {
    let host = Host::new("oci-caps");
    let script = "grep -E '^(Cap|NoNew)' /proc/self/status | tr '\\n' ' '";
    let bundle = Bundle::new(&host, "b", script).with(|config| {
        config["process"]["capabilities"] = json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN"],
            "inheritable": ["CAP_KILL"], "ambient": [],
        });
        config["process"]["noNewPrivileges"] = json!(true);
    });
    // Root gets by execve what its bounding set has.
    let of_root = "CapInh:\t0000000000000020 CapPrm:\t0000000000000021 CapEff:\t0000000000000021 \
                   CapBnd:\t0000000000000021 CapAmb:\t0000000000000000 NoNewPrivs:\t1 ";
    bundle.run("").prints(of_root);
    let bundle = bundle.with(|config| {
        config["process"]["user"] = json!({ "uid": 7, "gid": 7 });
        config["process"]["capabilities"] = json!({
            "bounding": ["CAP_KILL", "CAP_FROM_TOMORROW"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"],
            "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"],
        });
    });
    let output = bundle.run("").run();
    let all = "CapInh:\t0000000000000020 CapPrm:\t0000000000000020 CapEff:\t0000000000000020 \
               CapBnd:\t0000000000000020 CapAmb:\t0000000000000020 NoNewPrivs:\t1 ";
    assert_eq!(output.succeeds().stdout(), all);
    output.says("CAP_FROM_TOMORROW");
    let bundle = bundle.with(|config| config["process"]["capabilities"]["inheritable"] = json!([]));
    let output = bundle.run("").run();
    assert!(output.succeeds().stdout().contains("CapAmb:\t0000000000000000"), "{output}");
    // As runc has it: said in a log, not to whoever only runs it.
    assert!(!output.stderr().contains("ambient"), "{output}");
    oci(&host, "--log /run/log run --bundle /run/b two").run().succeeds();
    assert!(host.sh("cat /run/log").stdout().contains("CAP_KILL"));
    let bundle = bundle.with(|config| {
        config["process"].as_object_mut().unwrap().remove("capabilities");
    });
    assert!(bundle.run("").stdout().contains("CapBnd:\t0000000000000000"));
    host.finish();
}

#[test]
fn limits_priorities_and_execution_domain_hold() {
    let host = Host::new("oci-limits");
    let script = "ulimit -n; ulimit -c; cat /proc/self/oom_score_adj; uname -m; cut -d' ' -f19,41 /proc/self/stat; ionice -p $$";
    let bundle = Bundle::new(&host, "b", script).with(|config| {
        let process = &mut config["process"];
        process["rlimits"] = json!([
            { "type": "RLIMIT_NOFILE", "soft": 512, "hard": 600 }, { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
        ]);
        process["oomScoreAdj"] = json!(321);
        process["scheduler"] = json!({ "policy": "SCHED_BATCH", "nice": 3 });
        process["ioPriority"] = json!({ "class": "IOPRIO_CLASS_BE", "priority": 6 });
        config["linux"]["personality"] = json!({ "domain": "LINUX32" });
    });
    let machine = if cfg!(target_arch = "x86_64") { "i686" } else { "armv8l" };
    // The nice value, and SCHED_BATCH.
    bundle.run("").prints(&format!("512\n0\n321\n{machine}\n3 3\nbest-effort: prio 6"));
    host.finish();
}

#[test]
fn the_filter_refuses_what_it_names() {
    let host = Host::new("oci-seccomp");
    let bundle =
        Bundle::new(&host, "b", "mkdir /tmp/a; echo $?; uname > /dev/null; echo $?").with(|config| {
            config["linux"]["seccomp"] = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 }],
            });
        });
    let output = bundle.run("").run();
    assert_eq!(output.succeeds().stdout(), "1\n0\n");
    output.says("No space left");
    host.finish();
}
