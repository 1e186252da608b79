//! Capabilities: Docker's fourteen, and what `--cap-add`, `--cap-drop` and `--privileged` make of them.

use bulkhead_tests::Host;

use crate::sh;

const DEFAULT: &str = "00000000a80425fb";
const NONE: &str = "0000000000000000";

fn caps(host: &Host, flags: &[&str]) -> [String; 5] {
    let printed = sh(host, flags, "busybox", "grep ^Cap /proc/self/status | cut -f2").stdout();
    let lines: Vec<String> = printed.lines().map(str::to_owned).collect();
    // Inheritable, permitted, effective, bounding, ambient.
    lines.try_into().unwrap()
}

#[test]
fn root_has_dockers_fourteen() {
    let host = Host::new("caps").with_busybox();
    let [inheritable, permitted, effective, bounding, ambient] = caps(&host, &[]);
    assert_eq!([permitted, effective, bounding], [DEFAULT; 3]);
    assert_eq!([inheritable, ambient], [NONE; 2]);
    host.finish_clean();
}

#[test]
fn an_ordinary_user_has_none() {
    let host = Host::new("caps-user").with_busybox();
    let [inheritable, permitted, effective, bounding, ambient] = caps(&host, &["-u", "nobody"]);
    assert_eq!([inheritable, permitted, effective, ambient], [NONE; 4]);
    assert_eq!(bounding, DEFAULT);
    host.finish_clean();
}

#[test]
fn added_and_dropped() {
    let host = Host::new("caps-change").with_busybox();
    let bounding = |flags: &[&str]| caps(&host, flags)[3].clone();
    assert_eq!(bounding(&["--cap-drop=ALL"]), NONE);
    assert_eq!(bounding(&["--cap-drop=ALL", "--cap-add=CHOWN"]), "0000000000000001");
    assert_eq!(bounding(&["--cap-drop=all", "--cap-add=cap_chown"]), "0000000000000001");
    assert_eq!(bounding(&["--cap-add=SYS_ADMIN"]), "00000000a82425fb");
    assert_eq!(bounding(&["--cap-drop", "NET_RAW"]), "00000000a80405fb");
    sh(&host, &["--cap-add=NOSUCH"], "busybox", "true").fails(125, "NOSUCH");
    // Everything that this machine's root has itself, and no more.
    let most = host.sh("grep ^CapBnd /proc/self/status | cut -f2").stdout();
    assert_eq!(bounding(&["--cap-add=ALL"]), most);
    assert_eq!(bounding(&["--privileged"]), most);
    host.finish_clean();
}

#[test]
fn a_dropped_capability_is_missed() {
    let host = Host::new("caps-missed").with_busybox();
    for (capability, attack) in [
        ("CHOWN", "chown 1 /etc/passwd"),
        ("DAC_OVERRIDE", "chown 1 /etc/passwd && chmod 0 /etc/passwd && cat /etc/passwd"),
        ("SYS_CHROOT", "chroot / true"),
        ("SETUID", "su -s /bin/true daemon"),
    ] {
        sh(&host, &[], "busybox", attack).run().succeeds();
        let refused = sh(&host, &[&format!("--cap-drop={capability}")], "busybox", attack).run();
        assert_ne!(refused.code(), 0, "{refused}");
    }
    // Only in the host's user namespace can a device be made at all.
    let node = "mknod /null c 1 3";
    sh(&host, &["--userns=host"], "busybox", node).run().succeeds();
    let refused = sh(&host, &["--userns=host", "--cap-drop=MKNOD"], "busybox", node).run();
    assert_ne!(refused.code(), 0, "{refused}");
    // …and one that is not among the fourteen, too.
    let mount = "mkdir /m; mount -t tmpfs none /m";
    let refused = sh(&host, &[], "busybox", mount).run();
    assert_ne!(refused.code(), 0, "{refused}");
    sh(&host, &["--cap-add=SYS_ADMIN"], "busybox", mount).run().succeeds();
    host.finish_clean();
}
