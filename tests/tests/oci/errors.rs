//! What is refused, and in which words: callers read some of them.

use bulkhead_tests::Host;
use serde_json::{Value, json};

use crate::Bundle;
use crate::bundle::oci;

#[test]
fn a_container_that_is_not_there_is_told_in_runc_s_words() {
    let host = Host::new("oci-none");
    for words in ["state", "start", "kill", "delete", "pause", "resume", "ps", "update", "events"] {
        oci(&host, &format!("{words} none")).fails(1, "container does not exist");
    }
    oci(&host, "exec none true").fails(255, "container does not exist");
    oci(&host, "state ../none").fails(1, "invalid container ID format");
    oci(&host, "run ''").fails(1, "invalid container ID format");
    host.finish();
}

#[test]
fn a_json_log_has_a_line_that_callers_can_read() {
    let host = Host::new("oci-log");
    oci(&host, "--log /run/log --log-format json state none").fails(1, "container does not exist");
    let line: Value = serde_json::from_str(&host.sh("tail -n 1 /run/log").stdout()).unwrap();
    assert_eq!(
        (line["level"].as_str(), line["msg"].as_str()),
        (Some("error"), Some("container does not exist"))
    );
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
    oci(&host, "--log-format xml state none").fails(1, "log");
    host.finish();
}

#[test]
fn what_cannot_be_done_is_refused_by_name_and_leaves_nothing() {
    let host = Host::new("oci-refused");
    let cases: [(&str, Value, &str); 30] = [
        ("/ociVersion", json!("2.0.0"), "ociVersion"),
        ("/process", Value::Null, "process property must not be empty"),
        ("/process/args", json!([]), "args must not be empty"),
        ("/process/cwd", json!("tmp"), "Cwd must be an absolute path"),
        ("/process/user/uid", json!(-1), "process.user.uid: invalid value: integer `-1`"),
        ("/process/apparmorProfile", json!("p"), "process.apparmorProfile: this machine has no AppArmor"),
        ("/process/selinuxLabel", json!("l"), "process.selinuxLabel: this machine has no SELinux"),
        (
            "/process/rlimits",
            json!([{ "type": "RLIMIT_X", "soft": 1, "hard": 1 }]),
            "RLIMIT_X: there is no such limit",
        ),
        (
            "/process/ioPriority",
            json!({ "class": "IOPRIO_CLASS_BE", "priority": 9 }),
            "process.ioPriority.priority",
        ),
        ("/root/path", json!("nothing"), "invalid rootfs"),
        ("/root", Value::Null, "root is missing"),
        ("/mounts/0/destination", json!(3), "mounts[0].destination: invalid type"),
        ("/mounts/1/options", json!(["remount", "size=1k"]), "the option size of a remount is not supported"),
        ("/process/execCPUAffinity", json!({ "initial": "0-x" }), "process.execCPUAffinity.initial"),
        ("/process/execCPUAffinity", json!({ "final": 1 }), "process.execCPUAffinity.final"),
        ("/hooks", json!({ "prestart": [{ "path": "sh" }] }), "hooks.prestart[0].path"),
        ("/hooks", json!({ "poststop": [{ "path": "/bin/sh", "timeout": 0 }] }), "hooks.poststop[0].timeout"),
        ("/linux/namespaces", json!([{ "type": "pid" }]), "without a mount namespace"),
        (
            "/linux/namespaces",
            json!([{ "type": "mount" }, { "type": "mount" }]),
            "linux.namespaces[1]: mount is there twice",
        ),
        ("/linux/namespaces/0/type", json!("pids"), "linux.namespaces[0].type: "),
        ("/linux/namespaces/0/path", json!("/nothing"), "open the pid namespace /nothing"),
        (
            "/linux/uidMappings",
            json!([{ "containerID": 0, "hostID": 1, "size": 1 }]),
            "USER namespace isn't enabled",
        ),
        ("/linux/intelRdt", json!({ "closID": "x" }), "linux.intelRdt is not supported"),
        ("/linux/mountLabel", json!("l"), "linux.mountLabel: this machine has no SELinux"),
        ("/linux/sysctl", json!({ "kernel.panic": "1" }), "linux.sysctl: kernel.panic"),
        ("/linux/resources/cpu", json!({ "shares": -5 }), "linux.resources.cpu.shares: invalid value"),
        ("/linux/resources/rdma", json!({ "mlx": {} }), "linux.resources.rdma is not supported"),
        ("/linux/cgroupsPath", json!("/../x"), "linux.cgroupsPath: "),
        ("/linux/maskedPaths", json!(["proc"]), "linux.maskedPaths: "),
        ("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_NOTIFY" }), "linux.seccomp"),
    ];
    let mut bundle = Bundle::new(&host, "b", "true");
    let good = bundle.config.clone();
    for (place, value, said) in cases {
        bundle.config = good.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = bundle.config.pointer_mut(parent).unwrap();
        match name.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[name] = value,
        }
        bundle.write();
        bundle.run("").fails(1, said);
    }
    bundle.config = good;
    // Among them what is for runtimes of other kinds.
    for property in ["something", "vm", "windows", "solaris", "zos"] {
        bundle.config[property] = json!({ "nobody": "knows" });
    }
    bundle.write();
    bundle.run("").run().succeeds();
    host.sh("ls /run/bulkhead-runtime").prints("");
    host.finish();
}

#[test]
fn a_file_that_is_no_configuration_is_refused() {
    let host = Host::new("oci-no-config");
    let bundle = Bundle::new(&host, "b", "true");
    host.sh("head -c 17000000 /dev/zero | tr '\\0' ' ' > /run/b/config.json").run().succeeds();
    bundle.run("").fails(1, "larger than 16 MiB");
    host.sh("echo '{\"ociVersion\":' > /run/b/config.json").run().succeeds();
    bundle.run("").fails(1, "EOF");
    host.sh("rm /run/b/config.json").run().succeeds();
    bundle.run("").fails(1, "JSON specification file /run/b/config.json not found");
    host.finish();
}

#[test]
fn flags_that_mean_nothing_here_are_refused() {
    let host = Host::new("oci-flags");
    let bundle = Bundle::new(&host, "b", "true");
    bundle.run("--no-pivot").fails(1, "--no-pivot is not supported");
    bundle.run("--preserve-fds 9").fails(1, "please check that preserved-fd");
    bundle.run("--console-socket /run/none").fails(1, "cannot use console socket");
    oci(&host, "--rootless maybe run --bundle /run/b test").fails(1, "invalid --rootless");
    for whether in ["true", "false", "auto"] {
        oci(&host, &format!("--rootless {whether} run --bundle /run/b test")).run().succeeds();
    }
    oci(&host, "checkpoint --image-path x one").fails(1, "checkpoint is not supported");
    oci(&host, "restore one").fails(1, "restore is not supported");
    oci(&host, "spec --bundle /run/b").fails(1, "File config.json exists. Remove it first");
    bundle.run("extra").fails(1, "");
    host.finish();
}

#[test]
fn a_program_that_is_not_there_is_missed_when_the_container_is_made() {
    let host = Host::new("oci-no-program");
    let bundle = Bundle::new(&host, "b", "").with(|config| config["process"]["args"] = json!(["nosuch"]));
    oci(&host, "create --bundle /run/b one").fails(1, "executable file not found in $PATH");
    bundle.run("").fails(1, "executable file not found in $PATH");
    let bundle = bundle.with(|config| config["process"]["args"] = json!(["/etc/passwd"]));
    bundle.run("").fails(1, "permission denied");
    // containerd cannot delete what fails as late as its start, as Docker asks it to, and both forget the container.
    oci(&host, "create --bundle /run/b one").fails(1, "permission denied");
    let bundle = bundle.with(|config| {
        config["process"]["args"] = json!(["passwd"]);
        config["process"]["env"] = json!(["PATH=/sys:/etc"]);
    });
    oci(&host, "create --bundle /run/b one").fails(1, "permission denied");
    bundle.with(|config| config["process"]["args"] = json!(["/etc"])).write();
    oci(&host, "create --bundle /run/b one").fails(1, "permission denied");
    host.finish();
}
