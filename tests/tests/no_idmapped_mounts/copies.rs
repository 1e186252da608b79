//! What is in a copy, how many there are, and when they go.

use bulkhead_tests::Host;

use super::{COPIES, copies, load_owners, on_ramfs, sh, turned_off};

/// What holds wherever copies take the place of mappings.
fn layers_are_seen_with_container_ids(host: &Host) {
    load_owners(host);
    sh(host, &[], "stat -c '%u:%g %a' / /bin/busybox /srv /srv/page /set-id /root")
        .prints("0:0 755\n0:0 755\n33:100 755\n33:100 640\n0:0 4755\n0:0 700");
    sh(host, &[], "ls /old /hidden | grep -c . ; stat -c %h /srv/page; cat /srv/same").prints("2\n2\npage");
    sh(host, &[], "awk '{print ($2 >= 524288)}' /proc/self/uid_map").prints("1");
    // They are the container's to change, in its own layer.
    sh(
        host,
        &[],
        "chown 5:6 /srv/page && echo more >>/srv/page && rm -r /old && stat -c '%u:%g %s' /srv/page",
    )
    .prints("5:6 10");
    sh(host, &["--user=33"], "echo x >>/srv/page; cat /srv/page; touch /bin/x 2>&1 | grep -c denied")
        .prints("page\nx\n1");
    assert_eq!(copies(host).trim_end(), "0 0", "each went with its container");
}

#[test]
fn a_file_system_that_cannot_map_ids_gets_copies() {
    let host = on_ramfs("unmapped-ramfs");
    layers_are_seen_with_container_ids(&host);
    let info = host.bulkhead(["info"]).run();
    info.shows("ID-mapped mounts: no: layers are copied once per ID range").shows("ramfs").says("ramfs");
    host.finish();
}

#[test]
fn the_setting_makes_copies_too() {
    let host = turned_off("unmapped-setting");
    layers_are_seen_with_container_ids(&host);
    host.bulkhead(["info"]).run().shows("ID-mapped mounts: no").shows("userns-idmap is off");
    // What an overlay hides, and what file capabilities give, survives the copy.
    sh(&host, &[], "ls -A /old /hidden").prints("/hidden:\n\n/old:");
    let eff = "/caps/grep CapEff /proc/self/status | cut -f2";
    sh(&host, &["--user=33"], eff).prints("0000000000000400");
    host.sh("rm /etc/bulkhead/daemon.json").prints("");
    host.bulkhead(["info"]).run().shows("ID-mapped mounts: yes");
    sh(&host, &["--user=33"], eff).prints("0000000000000400");
    sh(&host, &[], "stat -c %u:%g /srv/page").prints("33:100");
    host.finish();
}

#[test]
fn nothing_is_copied_for_those_who_map_nothing() {
    let host = on_ramfs("unmapped-host");
    load_owners(&host);
    sh(&host, &["--userns=host"], "stat -c %u:%g /srv/page").prints("33:100");
    host.sh(&format!("test ! -e {COPIES}")).prints("");
    host.finish();
}

#[test]
fn a_copy_lives_as_long_as_a_container_needs_it() {
    let host = turned_off("unmapped-lives");
    load_owners(&host);
    host.run_detached(["--name", "c1", "owners", "sleep", "1000"]);
    assert_eq!(copies(&host), "2 1");
    host.run_detached(["--name", "c2", "owners", "sleep", "1000"]);
    assert_eq!(copies(&host), "4 2", "each range has its own");
    host.run_detached(["--name", "c3", "--userns=container:c1", "owners", "sleep", "1000"]);
    assert_eq!(copies(&host), "4 2", "who has the same IDs shares them");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    assert_eq!(copies(&host), "4 2");
    host.bulkhead(["exec", "c3", "cat", "/srv/page"]).prints("page");
    host.bulkhead(["rm", "-f", "c3"]).prints("c3");
    assert_eq!(copies(&host), "2 1");
    // A stopped container keeps it, and starts from it again.
    host.bulkhead(["stop", "-t", "0", "c2"]).prints("c2");
    let made = host.sh(&format!("stat -c %i {COPIES}/*/*")).stdout();
    host.bulkhead(["start", "c2"]).prints("c2");
    assert_eq!(host.sh(&format!("stat -c %i {COPIES}/*/*")).stdout(), made);
    host.bulkhead(["rm", "-f", "c2"]).prints("c2");
    assert_eq!(copies(&host), "0 0");
    host.bulkhead(["rmi", "owners"]).run().succeeds();
    host.finish();
}

#[test]
fn all_share_one_copy_where_all_have_the_same_ids() {
    let host = Host::new("unmapped-remap");
    host.sh(r#"mkdir -p /etc/bulkhead
        echo '{"userns-idmap": "off", "userns-remap": "default"}' >/etc/bulkhead/daemon.json"#)
        .prints("");
    load_owners(&host);
    // What the engine makes once (groups, the bridge) is there before: this is about the copy alone.
    sh(&host, &[], "true").run().succeeds();
    // At once: one makes it, the others wait.
    host.sh(
        "for i in 1 2 3 4; do bulkhead run -d --name c$i owners sleep 1000 >/tmp/$i 2>&1 & done; wait; cat /tmp/[1-4] | sed '/^[0-9a-f]*$/d'; bulkhead ps -q | wc -l",
    )
    .prints("4");
    assert_eq!(copies(&host), "2 1");
    sh(&host, &[], "stat -c %u:%g /srv/page").prints("33:100");
    host.bulkhead(["rm", "-f", "c1", "c2", "c3"]).run().succeeds();
    assert_eq!(copies(&host), "2 1");
    host.bulkhead(["exec", "c4", "cat", "/srv/page"]).prints("page");
    host.bulkhead(["rm", "-f", "c4"]).prints("c4");
    assert_eq!(copies(&host), "0 0");
    host.finish();
}

#[test]
fn a_mounted_image_is_copied_too() {
    let host = turned_off("unmapped-image");
    let host = host.with_busybox();
    load_owners(&host);
    let mount = ["run", "--rm", "--mount", "type=image,source=owners,target=/image", "busybox"];
    host.bulkhead(mount.into_iter().chain(["stat", "-c", "%u:%g", "/image/srv/page"])).prints("33:100");
    host.bulkhead(mount.into_iter().chain(["touch", "/image/x"])).fails(1, "Read-only");
    assert_eq!(copies(&host), "0 0");
    host.finish();
}
