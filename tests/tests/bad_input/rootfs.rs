//! Images whose tree lacks what a container needs, or has something else in its place.

use bulkhead_tests::archive::{Layer, docker_archive};
use bulkhead_tests::{Host, images};
use serde_json::json;

fn load(host: &Host, layers: &[Vec<u8>]) {
    host.bulkhead(["load", "-q"]).stdin(docker_archive("odd:1", &json!({}), layers)).run().succeeds();
}

/// busybox with a shell and nothing else: no /proc, /dev, /sys, /etc.
fn bare() -> Layer {
    let whole = images::busybox().done();
    let mut tree = tar::Archive::new(whole.as_slice());
    let mut program = Vec::new();
    for entry in tree.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with("bin/busybox") {
            std::io::Read::read_to_end(&mut entry, &mut program).unwrap();
        }
    }
    let mut layer = Layer::new().dir("bin", 0o755).file("bin/busybox", 0o755, program);
    for applet in ["sh", "cat", "ls", "grep", "head", "mount", "touch"] {
        layer = layer.symlink(&format!("bin/{applet}"), "busybox");
    }
    layer
}

#[test]
fn what_is_missing_is_made() {
    let host = Host::new("rootfs-bare");
    load(&host, &[bare().done()]);
    let look = "/bin/ls -d /proc/self /dev/null /sys/class /etc/hosts /etc/hostname /etc/resolv.conf";
    let seen = host.bulkhead(["run", "--rm", "odd:1", "/bin/sh", "-c", look]).stdout();
    assert_eq!(seen.lines().count(), 6, "{seen}");
    host.bulkhead(["run", "--rm", "-u", "1234", "odd:1", "/bin/sh", "-c", "exit 3"]).run().ends_with(3);
    host.bulkhead(["run", "--rm", "-u", "name", "odd:1", "/bin/sh"]).fails(125, "unable to find user name");
    host.bulkhead(["run", "--rm", "-v", "/tmp:/a/b/c:ro", "odd:1", "/bin/ls", "/a/b"]).prints("c");
    host.finish_clean();
}

#[test]
fn a_link_in_the_place_of_a_mount_point_leads_nowhere() {
    let host = Host::new("rootfs-links");
    load(&host, &[bare().done()]);
    host.bulkhead(["run", "--rm", "odd:1", "/bin/sh", "-c", ":"]).prints("");
    // What a mount over the host's own folder would hide or change.
    let before = host
        .sh("{ cat /proc/self/mountinfo; ls -A /etc; cat /etc/passwd /etc/hosts /etc/resolv.conf; } | md5sum")
        .stdout();
    for place in ["proc", "sys", "dev", "etc"] {
        for target in ["/etc", "/tmp/outside", "../../../../../../../../etc", "/proc/self/root/etc"] {
            let layer = bare().symlink(place, target);
            load(&host, &[layer.done()]);
            // Docker refuses such a /proc and /sys; whatever is done, it happens inside.
            let output = host
                .bulkhead([
                    "run",
                    "--rm",
                    "odd:1",
                    "/bin/sh",
                    "-c",
                    "/bin/touch /etc/escaped /proc/escaped; exit 0",
                ])
                .run();
            assert!([0, 125].contains(&output.code()), "{output}");
            if output.code() == 125 {
                assert!(output.stderr().trim().len() > 10, "{output}");
            }
            host.sh("{ cat /proc/self/mountinfo; ls -A /etc; cat /etc/passwd /etc/hosts /etc/resolv.conf; } | md5sum").prints(&before);
            host.sh("test ! -e /etc/escaped -a ! -e /tmp/outside").prints("");
            host.assert_nothing_left();
        }
    }
    host.finish_clean();
}

#[test]
fn a_link_in_the_place_of_a_volume_stays_inside() {
    let host = Host::new("rootfs-volume");
    host.sh("mkdir -p /tmp/source /tmp/victim && echo mine > /tmp/source/file").prints("");
    for target in ["/tmp/victim", "../../../../../../../tmp/victim", "/proc/1/root/tmp/victim", "/etc"] {
        load(&host, &[images::busybox().symlink("data", target).done()]);
        for flags in [["-v", "/tmp/source:/data"], ["-v", "/tmp/source:/data/below"], ["--tmpfs", "/data"]] {
            let run = ["run", "--rm"].into_iter().chain(flags).chain(["odd:1", "/bin/true"]);
            let output = host.bulkhead(run).run();
            assert!([0, 125, 127].contains(&output.code()), "{output}");
            host.sh("ls -A /tmp/victim").prints("");
            host.sh("test ! -e /etc/below").prints("");
        }
        let cat = ["run", "--rm", "-w", "/data", "odd:1", "/bin/true"];
        host.bulkhead(cat).run();
        host.sh("ls -A /tmp/victim").prints("");
    }
    host.finish_clean();
}

#[test]
fn users_and_hosts_files_are_read_inside() {
    let host = Host::new("rootfs-passwd");
    host.sh("echo 'outsider:x:4242:4242::/:/bin/sh' >> /etc/passwd").prints("");
    // /etc/passwd is looked up in the image, however it is written there.
    for link in ["/proc/1/root/etc/passwd", "../../../../../../../etc/passwd"] {
        load(&host, &[bare().dir("etc", 0o755).symlink("etc/passwd", link).done()]);
        let output = host.bulkhead(["run", "--rm", "-u", "outsider", "odd:1", "/bin/true"]).run();
        output.ends_with(125);
    }
    let odd = bare().dir("etc", 0o755).file(
        "etc/passwd",
        0o644,
        "x:y\n:::::\nroot\n\u{0}\nx:x:notanumber:1:::\n".repeat(100),
    );
    load(&host, &[odd.done()]);
    host.bulkhead(["run", "--rm", "odd:1", "/bin/sh", "-c", "exit 4"]).run().ends_with(4);
    // Ours are written into the image's tree, and so must not follow its links.
    load(
        &host,
        &[bare()
            .dir("etc", 0o755)
            .symlink("etc/hosts", "/tmp/victim")
            .symlink("etc/resolv.conf", "/tmp/victim")
            .done()],
    );
    host.bulkhead(["run", "--rm", "odd:1", "/bin/sh", "-c", "exit 5"]).run();
    host.sh("test ! -e /tmp/victim").prints("");
    host.finish_clean();
}
