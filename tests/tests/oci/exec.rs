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
    exec("--process-label x", "true").fails(255, "selinuxLabel: this machine has no SELinux");
    exec("--apparmor x", "true").fails(255, "apparmorProfile: this machine has no AppArmor");
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

#[test]
fn it_can_be_in_a_group_below_and_on_processors_of_its_own() {
    let host = Host::new("oci-exec-group");
    Bundle::new(&host, "b", "exec sleep 1000")
        .with(|config| config["process"]["execCPUAffinity"] = json!({ "initial": "0", "final": "0" }))
        .start("one");
    let exec = |flags: &str, program: &str| oci(&host, &format!("exec {flags} one {program}"));
    let allowed = "grep Cpus_allowed_list /proc/self/status";
    exec("", allowed).prints("Cpus_allowed_list:\t0");
    let first = host.sh(allowed).stdout();
    let process = json!({ "args": ["sh", "-c", allowed], "cwd": "/", "env": ["PATH=/bin"], "execCPUAffinity": { "initial": "0" } });
    // With nothing said about later, all that the group has.
    oci(&host, "exec --process - one").stdin(process.to_string()).prints(&first);
    oci(&host, "exec --process - one")
        .stdin(process.to_string().replace("\"0\"", "\"1000\""))
        .fails(255, "run on the processors");
    exec("--cgroup below", "true").fails(255, "below");
    exec("--cgroup ../..", "true").fails(255, "leads upwards");
    exec("--cgroup nosuch:below", "true").run().ends_with(255);
    let groups = "/sys/fs/cgroup/*/bulkhead-runtime/one /sys/fs/cgroup/bulkhead-runtime/one";
    host.sh(&format!("for group in {groups}; do test ! -d $group || mkdir $group/below; done"))
        .run()
        .succeeds();
    // A group of cpusets begins empty.
    host.sh("cd /sys/fs/cgroup/cpuset/bulkhead-runtime/one 2> /dev/null || exit 0; for file in cpuset.cpus cpuset.mems; do cat $file > below/$file; done").run().succeeds();
    let inside = exec("--cgroup below", "cat /proc/self/cgroup").stdout();
    let known = |line: &&str| line.ends_with("/below");
    assert!(inside.lines().any(|line| known(&line)), "{inside}");
    if inside.lines().filter(known).count() > 1 {
        let some = exec("--cgroup pids,memory:below", "cat /proc/self/cgroup").stdout();
        let of =
            |name: &str| some.lines().find(|line| line.split(':').nth(1) == Some(name)).unwrap().to_owned();
        assert!(of("pids").ends_with("/below") && of("memory").ends_with("/below"), "{some}");
        assert!(!of("freezer").ends_with("/below"), "{some}");
    }
    oci(&host, "delete -f one").run().succeeds();
    host.finish();
}
