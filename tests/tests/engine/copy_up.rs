//! Volumes that are mounted over something that the image has: they get it, once, and whole.

use bulkhead_tests::archive::docker_archive;
use bulkhead_tests::{Host, images};
use serde_json::json;
use tar::EntryType;

/// CAP_NET_BIND_SERVICE, permitted and effective, version 2.
const BIND: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn host(name: &str) -> Host {
    let host = Host::new(name);
    let owned: [(&str, &[u8]); 2] = [("uid", b"33"), ("gid", b"44")];
    let mut layer = images::busybox()
        .pax(&owned)
        .dir("srv", 0o2770)
        .pax(&[
            owned[0],
            owned[1],
            ("SCHILY.xattr.security.capability", BIND),
            ("SCHILY.xattr.user.key", b"value"),
        ])
        .file("srv/capable", 0o755, "x")
        .pax(&owned)
        .file("srv/page", 0o4640, "page\n")
        .hardlink("srv/same", "srv/page")
        .symlink("srv/link", "page")
        .entry("srv/pipe", EntryType::Fifo, 0o640, "", (0, 0), &[])
        .pax(&owned)
        .dir("srv/sub", 0o500);
    for number in 0..400 {
        layer = layer.file(&format!("srv/sub/{number}"), 0o600, "x");
    }
    let config = json!({ "Cmd": ["sh"], "Env": ["PATH=/bin"], "Volumes": { "/srv": {} } });
    host.bulkhead(["load", "-q"]).stdin(docker_archive("web:1", &config, &[layer.done()])).run().succeeds();
    host
}

const LOOK: &str = "cd /srv; stat -c '%n %u:%g %a %F %h %Y' . capable page same link pipe sub sub/7 | sort; ls sub | wc -l; cat same; ls -A";
const SEEN: &str = ". 33:44 2770 directory 3 1700000000\ncapable 33:44 755 regular file 1 1700000000\n\
    link 0:0 777 symbolic link 1 1700000000\npage 33:44 4640 regular file 2 1700000000\npipe 0:0 640 fifo 1 1700000000\n\
    same 33:44 4640 regular file 2 1700000000\nsub 33:44 500 directory 2 1700000000\nsub/7 0:0 600 regular file 1 1700000000\n\
    400\npage\ncapable\nlink\npage\npipe\nsame\nsub";

#[test]
fn a_new_volume_has_what_the_image_has() {
    let host = host("copy-up");
    let run = |flags: &[&str], script: &str| {
        host.bulkhead(["run", "--rm"].iter().chain(flags).chain(&["web:1", "sh", "-c", script]))
    };
    for flags in [
        &["-v", "one:/srv"][..],
        &["-v", "/srv"],
        &[],
        &["--mount", "type=volume,source=two,target=/srv"],
        &["--userns=host", "-v", "three:/srv:ro"],
    ] {
        run(flags, LOOK).prints(SEEN);
    }
    // What it is to one container it is to all, whatever their IDs.
    for flags in [&["-v", "one:/srv"], &["-v", "three:/srv"]] {
        run(flags, LOOK).prints(SEEN);
    }
    // On disk it has the volumes' own range; the capabilities name its root.
    host.sh("cd /var/lib/bulkhead/volumes/one/_data; u=$(stat -c %u sub/7); test $u -ge 524288; test $(stat -c %u page) = $((u + 33)); \
        tar cf - --xattrs --xattrs-include='*' capable | tar tvv --xattrs --xattrs-include='*' | grep -o '[0-9]* security.capability\\|[0-9]* user.key' | sort")
        .prints("24 security.capability\n5 user.key");
    run(&["-v", "nocopy:/srv:nocopy"], "ls -A /srv").prints("");
    run(&["--mount", "type=volume,source=nocopy2,target=/srv,volume-nocopy"], "ls -A /srv").prints("");
    host.sh("mkdir /tmp/bind").prints("");
    let bound = run(&["-v", "/tmp/bind:/srv"], "ls -A /srv").run();
    assert_eq!(bound.succeeds().stdout(), "");
    // One that has something of its own stays as it is.
    run(&["-v", "used:/nowhere"], "echo x >/nowhere/own").prints("");
    run(&["-v", "used:/srv"], "ls -A /srv").prints("own");
    host.finish();
}

#[test]
fn what_a_container_emptied_stays_empty() {
    let host = host("copy-up-once");
    host.bulkhead([
        "run",
        "--name",
        "c1",
        "-v",
        "one:/srv",
        "web:1",
        "sh",
        "-c",
        "ls -A /srv; rm -rf /srv/*",
    ])
    .prints("capable\nlink\npage\npipe\nsame\nsub");
    host.bulkhead(["start", "-a", "c1"]).prints("");
    host.sh("bulkhead cp c1:/srv - | tar t").prints("srv/");
    // Another one begins with an empty volume, and fills it: so does Docker.
    host.bulkhead(["run", "--rm", "-v", "one:/srv", "web:1", "ls", "-A", "/srv"])
        .prints("capable\nlink\npage\npipe\nsame\nsub");
    host.finish();
}

#[test]
fn those_who_begin_together_see_all_of_it() {
    let host = host("copy-up-together");
    host.sh("for i in $(seq 8); do bulkhead run --rm -v one:/srv web:1 sh -c 'ls /srv/sub | wc -l; ls -A /srv | xargs' >/tmp/said-$i & done; wait; cat /tmp/said-* | sort | uniq -c | xargs")
        .prints("8 400 8 capable link page pipe same sub");
    host.finish();
}

#[test]
fn whoever_is_killed_leaves_no_half_volume() {
    let host = host("copy-up-killed");
    for step in 0..24 {
        let pause = format!("0.{:03}", 4 + step * 2);
        // The supervisor, which is its child, too.
        host.sh(&format!(
            "bulkhead run --rm -v v{step}:/srv web:1 true >/dev/null 2>&1 & pid=$!; sleep {pause}
             children=$(ps -o pid= --ppid $pid); kill -KILL $pid $children 2>/dev/null || true; wait $pid || true
             bulkhead ps -a >/dev/null"
        ))
        .run();
        host.bulkhead(["run", "--rm", "-v", &format!("v{step}:/srv"), "web:1", "sh", "-c", LOOK])
            .prints(SEEN);
    }
    // Nothing of the work is left in sight.
    host.sh("ls -A /var/lib/bulkhead/volumes/*/_data | grep -c '^[.]bulkhead' || true").prints("0");
    host.finish();
}
