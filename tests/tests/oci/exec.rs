//! `exec`: later programs in a container.

use bulkhead_tests::{Host, wait};
use serde_json::json;

use crate::Bundle;
use crate::bundle::oci;

#[test]
fn a_later_program_is_in_the_container_s_namespaces_as_the_flags_say() {
    let host = Host::new("oci-exec");
    let bundle = Bundle::new(&host, "b", "exec sleep 1000").with(|config| {
        config["hostname"] = json!("inside");
        config["process"]["env"].as_array_mut().unwrap().push(json!("OWN=1"));
    });
    bundle.start("one");
    let exec = |flags: &str, program: &str| oci(&host, &format!("exec {flags} one {program}"));
    exec("", "sh -c 'hostname; echo $OWN; ls /; exit 9' | head -n 2").prints("inside\n1");
    exec("", "sh -c 'exit 9'").run().ends_with(9);
    exec("", "sh -c 'kill -9 $$'").run().ends_with(137);
    exec("", "cat").stdin("through").prints("through");
    for kind in ["pid", "net", "ipc", "uts", "mnt", "cgroup"] {
        let first = host.sh(&format!("readlink /proc/$(bulkhead oci list --format json | sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p')/ns/{kind}")).stdout();
        exec("", &format!("readlink /proc/self/ns/{kind}")).prints(&first);
    }
    exec("--user 33:44 --additional-gids 55", "id").prints("uid=33 gid=44 groups=55");
    exec("--cwd /tmp --env A=b", "sh -c 'pwd; echo $A'").prints("/tmp\nb");
    exec("--no-new-privs", "grep NoNewPrivs /proc/self/status").prints("NoNewPrivs:\t1");
    // Capability 0 is CAP_CHOWN, which the bundle's process does not have.
    exec("", "grep CapEff /proc/self/status").prints("CapEff:\t0000000020000420");
    exec("--cap CAP_CHOWN", "grep CapEff /proc/self/status").prints("CapEff:\t0000000020000421");
    exec("", "nosuch").fails(255, "executable file not found in $PATH");
    exec("--process-label x", "true").fails(255, "selinuxLabel is not supported");
    exec("--cgroup x", "true").fails(255, "--cgroup is not supported");
    exec("", "").fails(255, "a program is needed");
    oci(&host, "delete -f one").run().succeeds();
    host.finish();
}

#[test]
fn a_process_file_says_all_and_a_detached_one_is_left_alone() {
    let host = Host::new("oci-exec-file");
    Bundle::new(&host, "b", "exec sleep 1000").start("one");
    let process = json!({
        "args": ["sh", "-c", "id -u; pwd; exec sleep 2000"], "cwd": "/etc", "env": ["PATH=/bin"], "user": { "uid": 7, "gid": 8, "umask": 63 },
    });
    host.sh("cat > /run/process.json").stdin(process.to_string()).run().succeeds();
    let flags = "--detach --pid-file /run/pid --process /run/process.json one < /dev/null > /run/output 2>&1";
    oci(&host, &format!("exec {flags}")).run().succeeds();
    wait::until("it has spoken", || host.sh("cat /run/output").stdout() == "7\n/etc");
    let status = host.sh("cat /proc/$(cat /run/pid)/status").stdout();
    assert!(status.contains("Umask:\t0077") && status.contains("Uid:\t7\t7"), "{status}");
    host.sh("tr '\\0' ' ' < /proc/$(cat /run/pid)/cmdline").prints("sleep 2000 ");
    host.sh("cat > /run/process.json").stdin(r#"{"args":[1],"cwd":"/"}"#).run().succeeds();
    oci(&host, "exec --process /run/process.json one").fails(255, "args[0]: invalid type");
    oci(&host, "delete -f one").run().succeeds();
    host.finish();
}

#[test]
fn descriptors_are_passed_on_only_if_asked_for() {
    let host = Host::new("oci-exec-fds");
    let bundle = Bundle::new(&host, "b", "ls /proc/self/fd; cat <&3");
    host.sh("echo content > /run/file").run().succeeds();
    bundle.run("--preserve-fds 1 3< /run/file").prints("0\n1\n2\n3\n4\ncontent");
    bundle.run("3< /run/file").run().ends_with(1);
    Bundle::new(&host, "c", "exec sleep 1000").start("one");
    oci(&host, "exec --preserve-fds 1 one sh -c 'cat <&3' 3< /run/file").prints("content");
    oci(&host, "exec one sh -c 'cat <&3' 3< /run/file").run().ends_with(1);
    oci(&host, "delete -f one").run().succeeds();
    host.finish();
}
