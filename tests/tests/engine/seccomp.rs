//! The system call filter: Docker's strength by default, another or none when asked for.

use bulkhead_tests::{Host, images::Image, skip};

use crate::sh;

const OFF: &str = "--security-opt=seccomp=unconfined";

#[test]
fn it_is_on_and_can_be_turned_off() {
    let host = Host::new("seccomp").with_busybox();
    let mode = "grep ^Seccomp: /proc/self/status | cut -f2";
    sh(&host, &[], "busybox", mode).prints("2");
    sh(&host, &["-u", "nobody"], "busybox", mode).prints("2");
    sh(&host, &[OFF], "busybox", mode).prints("0");
    sh(&host, &["--privileged"], "busybox", mode).prints("0");
    host.finish_clean();
}

#[test]
fn calls_that_a_container_has_no_use_for_fail() {
    let host = Host::new("seccomp-calls").with(Image::Tools);
    if host.sh("unshare --user true").run().code() != 0 {
        skip!("this machine lets nobody make a user namespace, so there is no attack to show");
    }
    // A user namespace would open the kernel to all who may not mount and route; a personality without address
    // randomisation, to all who guess addresses.
    for attack in ["unshare --user true", "setarch -R true"] {
        sh(&host, &[OFF, "-u", "nobody"], "tools", attack).prints("");
        let refused = sh(&host, &["-u", "nobody"], "tools", attack).run();
        refused.says("Operation not permitted");
        assert_ne!(refused.code(), 0, "{refused}");
    }
    // What needs a capability is let through by the filter when the capability is given.
    sh(&host, &["--cap-add=SYS_ADMIN"], "tools", "unshare --user true && unshare --uts true").prints("");
    host.finish_clean();
}

#[test]
fn a_profile_of_ones_own() {
    let host = Host::new("seccomp-own").with_busybox();
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}"#;
    host.sh(&format!("echo '{profile}' > /tmp/profile.json; echo '{{' > /tmp/broken.json")).prints("");
    sh(&host, &[], "busybox", "mkdir /x").prints("");
    let own = "--security-opt=seccomp=/tmp/profile.json";
    sh(&host, &[own], "busybox", "mkdir /x").fails(1, "No space left on device");
    sh(&host, &["--security-opt=seccomp=/tmp/broken.json"], "busybox", "true").fails(125, "seccomp");
    sh(&host, &["--security-opt=seccomp=/tmp/nosuch.json"], "busybox", "true").fails(125, "nosuch.json");
    sh(&host, &["--security-opt=nosuch=1"], "busybox", "true").fails(125, "nosuch");
    host.finish_clean();
}
