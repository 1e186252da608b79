//! Images under a user namespace, mounted images, and what programs have there: groups, file capabilities, devices,
//! terminals, file systems.

use bulkhead_tests::archive::Layer;
use bulkhead_tests::images::{Image, busybox};
use bulkhead_tests::{Host, skip};
use serde_json::json;

use crate::{Mode, both, config, load, sh, with_alice, with_users};

fn host(name: &str) -> Host {
    let host = Host::new(name);
    load(&host, "users:latest", &config(json!({})), &[with_users().done()]);
    host
}

#[test]
fn files_of_an_image_belong_to_whom_it_says() {
    let host = Host::new("image-owners");
    let below = busybox()
        .owned_by(999, 77)
        .dir("data", 0o750)
        .file("data/below", 0o640, "1")
        .owned_by(65_535, 65_535);
    let above = Layer::new()
        .owned_by(1234, 0)
        .dir("data", 0o755)
        .file("data/above", 0o4755, "2")
        .symlink("data/link", "x");
    load(&host, "owned:latest", &config(json!({})), &[below.file("last", 0o644, "").done(), above.done()]);
    let look = "cd /data; stat -c '%n %u:%g %a' . below above link /last | xargs -n 3";
    let seen = ". 1234:0 755\nbelow 999:77 640\nabove 1234:0 4755\nlink 1234:0 777\n/last 65535:65535 644";
    for mode in [Mode::Host, Mode::Auto, Mode::Remap] {
        let flags = mode.on(&host);
        sh(&host, flags, "owned", look).prints(seen);
        // A copy into the writable layer keeps them.
        let change = "cd /data; echo x >> below; chmod u-s above; mv above renamed; stat -c '%n %u:%g %a' below renamed | xargs -n 3";
        sh(&host, flags, "owned", change).prints("below 999:77 640\nrenamed 1234:0 755");
        sh(
            &host,
            &both(flags, &["-u", "999"]),
            "owned",
            "cat /data/below; echo 2 >> /data/below && echo wrote",
        )
        .prints("1wrote");
    }
    host.finish_clean();
}

#[test]
fn an_image_with_high_ids_is_refused_with_the_size_that_fits() {
    let host = Host::new("image-high-ids");
    let high = busybox().owned_by(70_000, 5).file("of-a-domain", 0o644, "x").owned_by(5, 131_072).file(
        "of-a-group",
        0o644,
        "x",
    );
    load(&host, "high:latest", &config(json!({})), &[high.done()]);
    let refused = sh(&host, &[], "high", "true").run();
    assert_eq!(refused.code(), 125, "{refused}");
    refused.says("/of-a-group").says("131072").says("--userns=auto:size=196608");
    host.bulkhead(["ps", "-aq"]).prints("");
    let sized = ["--userns=auto:size=196608"];
    sh(&host, &sized, "high", "stat -c %u:%g /of-a-domain /of-a-group").prints("70000:5\n5:131072");
    sh(&host, &sized, "high", "touch /x; chown 70000 /x; stat -c %u /x").prints("70000");
    sh(&host, &["--userns=auto:size=131072"], "high", "true").fails(125, "/of-a-group");
    sh(&host, &["--userns=host"], "high", "stat -c %u /of-a-domain").prints("70000");
    Mode::Remap.on(&host);
    sh(&host, &[], "high", "true").fails(125, "/of-a-group");
    host.finish_clean();
}

#[test]
fn layers_are_stored_once_for_all_ranges() {
    let host = host("image-once");
    let used = "du -sk /var/lib/bulkhead/images | cut -f1; find /var/lib/bulkhead/images/layers -mindepth 1 -maxdepth 1 | wc -l";
    let before = host.sh(used).stdout();
    for number in 0..10 {
        let name = format!("c{number}");
        host.run_detached(["--name", &name, "users", "sleep", "1000"]);
    }
    assert_eq!(host.sh(used).stdout(), before);
    // Nothing of the image was copied up, or changed its owner.
    host.sh("find /var/lib/bulkhead/containers/*/rw/upper -name busybox | wc -l").prints("0");
    host.sh("stat -c %u $(find /var/lib/bulkhead/images/layers -name busybox | head -n1)").prints("0");
    host.finish();
}

#[test]
fn an_image_is_mounted_read_only() {
    let host = host("image-mount");
    let one = Layer::new()
        .owned_by(999, 999)
        .file("one", 0o640, "1")
        .owned_by(0, 0)
        .dir("d", 0o755)
        .file("d/gone", 0o644, "");
    let two = Layer::new()
        .file("two", 0o600, "2")
        .dir("d", 0o755)
        .file("d/.wh.gone", 0o644, "")
        .file("d/new", 0o644, "3");
    load(&host, "single:latest", &config(json!({})), &[one.done()]);
    let one = Layer::new()
        .owned_by(999, 999)
        .file("one", 0o640, "1")
        .owned_by(0, 0)
        .dir("d", 0o755)
        .file("d/gone", 0o644, "");
    load(&host, "layered:latest", &config(json!({})), &[one.done(), two.done()]);
    let mount = |image: &str| format!("type=image,src={image},dst=/i");
    for mode in [Mode::Host, Mode::Auto, Mode::Remap] {
        let flags = mode.on(&host);
        let run = |image: &str, more: &[&str], script: &str| {
            let mount = mount(image);
            sh(&host, &both(&both(flags, &["--mount", &mount, "--cap-add=ALL"]), more), "users", script)
        };
        run("single", &[], "cat /i/one; ls /i/d; stat -c %u:%g /i/one").prints("1gone\n999:999");
        run("layered", &[], "cat /i/one /i/two /i/d/new; ls /i/d; stat -c %u:%g /i/one /i/two")
            .prints("123new\n999:999\n0:0");
        run("layered", &["-u", "1234"], "cat /i/one /i/two 2>/dev/null; cat /i/d/new").prints("3");
        run("users", &[], "/i/bin/busybox echo works").prints("works");
        for image in ["single", "layered"] {
            let write = "for command in 'touch /i/x' 'rm /i/one' 'chmod 777 /i/one' 'chown 0 /i/one' 'mkdir /i/y' 'mount -o remount,rw /i'; do
                $command 2>/dev/null && echo did $command; done; cat /i/one";
            let did = run(image, &[], write).run().stdout();
            // Where a container may do all with the host's IDs, it may remount what is its own.
            let did: Vec<&str> =
                did.lines().filter(|line| line.starts_with("did") && !line.contains("remount")).collect();
            assert!(did.is_empty() || mode == Mode::Host, "{mode:?} {image}: {did:?}");
        }
        // The image is as it was.
        run("single", &[], "stat -c '%u %a' /i/one; ls /i").prints("999 640\nd\none");
    }
    Mode::Auto.on(&host);
    // The machine's own userland.
    sh(
        &host,
        &["--mount", "type=image,src=host,dst=/i"],
        "users",
        "test -x /i/usr/bin/env && ls /i/etc/os-release",
    )
    .prints("/i/etc/os-release");
    sh(
        &host,
        &["--mount", "type=image,src=host,dst=/i"],
        "users",
        "cat /i/etc/shadow 2>/dev/null; touch /i/x 2>/dev/null || echo ro",
    )
    .prints("ro");
    // It cannot be taken away while it is used.
    host.run_detached(["--name", "c1", "--mount", &mount("layered"), "users", "sleep", "1000"]);
    let refused = host.bulkhead(["rmi", "layered"]).run();
    assert_ne!(refused.code(), 0, "{refused}");
    refused.says("layered");
    host.bulkhead(["exec", "c1", "cat", "/i/two"]).prints("2");
    host.bulkhead(["stop", "-t", "0", "c1"]).prints("c1");
    assert_ne!(host.bulkhead(["rmi", "layered"]).run().code(), 0);
    host.bulkhead(["start", "c1"]).prints("c1");
    host.bulkhead(["exec", "c1", "cat", "/i/two"]).prints("2");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    host.bulkhead(["rmi", "layered"]).run().succeeds();
    sh(&host, &["--mount", &mount("layered")], "users", "true").run().ends_with(125).says("layered");
    host.finish_clean();
}

#[test]
fn supplementary_groups_are_the_container_s() {
    let host = host("program-groups");
    host.sh("mkdir -m 770 /tmp/shared; chgrp 77 /tmp/shared").prints("");
    for mode in Mode::OWN {
        let flags = mode.on(&host);
        sh(&host, &both(flags, &["-u", "app"]), "users", "id -G | tr ' ' '\\n' | sort -n | xargs")
            .prints("77 1234");
        let more = both(flags, &["-u", "app", "--group-add=5", "--group-add=nobody"]);
        sh(&host, &more, "users", "id -G | tr ' ' '\\n' | sort -n | xargs").prints("5 77 1234 65534");
        // They count for files: of the image, of a volume, of the writable layer.
        let volume = both(flags, &["-v", "vol:/v"]);
        sh(&host, &volume, "users", "mkdir -p /v/d; chgrp 5 /v/d; chmod 770 /v/d; rm -f /v/d/x").prints("");
        let with = both(&volume, &["-u", "app", "--group-add=5"]);
        sh(&host, &with, "users", "echo x > /v/d/x && stat -c %u:%g /v/d/x").prints("1234:1234");
        sh(&host, &both(&volume, &["-u", "app"]), "users", "ls /v/d 2>/dev/null || echo closed")
            .prints("closed");
        // A group of the host's of that number it is not.
        let bind = both(flags, &["-v", "/tmp/shared:/s", "-u", "app", "--group-add=77"]);
        sh(&host, &bind, "users", "ls /s 2>/dev/null || echo closed").prints("closed");
        // One that the range does not have.
        let refused = sh(&host, &both(flags, &["--group-add=70000"]), "users", "true").run();
        refused.ends_with(125).says("70000");
        // None is left from whoever started it.
        let groups = "grep ^Groups /proc/self/status | xargs";
        sh(&host, flags, "users", groups).prints(&sh(&host, &["--userns=host"], "users", groups).stdout());
    }
    host.finish_clean();
}

/// CAP_DAC_OVERRIDE, permitted and effective, as setcap(8) writes it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn file_capabilities_work_inside_and_are_worth_nothing_outside() {
    let host = Host::new("program-file-capabilities");
    let program = std::fs::read("/bin/busybox").or_else(|_| std::fs::read("/usr/bin/busybox")).unwrap();
    let layer = with_users()
        .dir("caps", 0o755)
        .pax(&[("SCHILY.xattr.security.capability", &CAPABILITY)])
        .file("caps/cat", 0o755, program);
    load(&host, "capable:latest", &config(json!({})), &[layer.done()]);
    host.sh("umask 077; echo of-the-host > /tmp/of-root").prints("");
    let inside = "umask 077; echo secret > /secret; cp -a /secret /v/; su app -c 'cat /secret 2>/dev/null || echo closed; /caps/cat /secret /v/secret'";
    for mode in [Mode::Host, Mode::Auto, Mode::Remap] {
        let flags =
            both(mode.on(&host), &["-v", "vol:/v", "-v", "/tmp:/t", "-v", "/run/host/test-host:/T:ro"]);
        sh(&host, &flags, "capable", inside).prints("closed\nsecret\nsecret");
        // One that is set inside works as well, if root there sets it.
        let set = "cp /bin/busybox /cat && /T setxattr /cat security.capability 0100000202000000000000000000000000000000 && \
                   umask 077; echo secret > /secret; su app -c '/cat /secret || exec -a cat /cat /secret'";
        if mode != Mode::Host {
            sh(&host, &both(&flags, &["--cap-add=SETFCAP"]), "capable", set).run().shows("secret");
            // Nothing of the host root's is read by it.
            sh(&host, &flags, "capable", "/caps/cat /t/of-root 2>/dev/null || echo closed").prints("closed");
        }
        // The layer's own file on the host is in a folder that is closed to others; what a container has of it says
        // for whose root it counts.
    }
    host.finish_clean();
}

#[test]
fn a_device_that_is_given_works() {
    let host = host("program-device");
    if host.sh("test -b /dev/loop0 && head -c1 /dev/loop0").run().code() != 0 {
        skip!("there is no loop device on this machine, and no other device is harmless to read");
    }
    for mode in Mode::OWN {
        let flags = mode.on(&host);
        let look = "stat -c %t:%T /dev/x; head -c1 /dev/x >/dev/null && echo read";
        sh(&host, &both(flags, &["--device=/dev/zero:/dev/x"]), "users", look).prints("1:5\nread");
        let full = both(flags, &["--device=/dev/full:/dev/x", "-u", "1234"]);
        sh(&host, &full, "users", "(echo x > /dev/x) 2>/dev/null || echo full").prints("full");
        // One that is the host root's is the container root's, who was given it, and nobody else's there.
        let given = both(flags, &["--device=/dev/loop0:/dev/x:r"]);
        let read = "head -c1 /dev/x | wc -c; (: < /dev/x) 2>/dev/null && echo opened; (: >> /dev/x) 2>/dev/null || echo closed";
        sh(&host, &given, "users", read).run().succeeds().shows("opened\nclosed");
        sh(&host, &both(&given, &["-u", "1234"]), "users", "(: < /dev/x) 2>/dev/null || echo closed")
            .prints("closed");
        // The node is not the host's own: what is changed about it is not changed there.
        let before = host.sh("stat -c '%a %u:%g' /dev/loop0").stdout();
        sh(&host, &given, "users", "chmod 666 /dev/x; chown 5 /dev/x; stat -c '%a %u' /dev/x")
            .prints("666 5");
        host.sh("stat -c '%a %u:%g' /dev/loop0").prints(&before);
    }
    host.finish_clean();
}

#[test]
fn everyday_options_work() {
    let host = host("program-options");
    with_alice(&host);
    for mode in Mode::OWN {
        let flags = mode.on(&host);
        let run = |more: &[&str], script: &str| sh(&host, &both(flags, more), "users", script);
        run(&["--init"], "ps -o comm | head -n 2 | tail -n 1 | grep -vc '^sh$'; id -u").prints("1\n0");
        run(&["--init", "-u", "1234"], "id -u").prints("1234");
        run(&["--read-only", "--tmpfs", "/t"], "touch /x 2>/dev/null || echo ro; touch /t/x /dev/shm/x && stat -c %u:%g /t /t/x /dev/shm /dev/shm/x | sort -u")
            .prints("ro\n0:0");
        run(&["--tmpfs", "/t:uid=999,gid=77,mode=750"], "stat -c %u:%g:%a /t").prints("999:77:750");
        run(
            &["--tmpfs", "/t:size=64k", "-u", "1234"],
            "echo x > /t/x && df -k /t | tail -n1 | awk '{ print $2 }'",
        )
        .prints("64");
        run(&["--shm-size=1m"], "df -k /dev/shm | tail -n1 | awk '{ print $2 }'; stat -c %a /dev/shm")
            .prints("1024\n1777");
        run(&["-v", "vol:/v"], "echo kept > /v/x").prints("");
        run(&["-v", "vol:/v:ro"], "cat /v/x; touch /v/y 2>/dev/null || echo ro").prints("kept\nro");
        run(&["-v", "vol:/v:ro", "-u", "1234"], "cat /v/x").prints("kept");
        run(&["-v", "/home/alice/project:/w:ro"], "touch /w/x 2>/dev/null || echo ro").prints("ro");
        run(&["-w", "/made/by/the/engine"], "stat -c %u . && touch x").prints("0");
        run(&["--hostname", "h", "--add-host", "a:1.2.3.4"], "echo x >> /etc/hosts && echo x >> /etc/resolv.conf && stat -c %u /etc/hosts /etc/hostname /etc/resolv.conf | sort -u")
            .prints("0");
        run(
            &["--cap-add=NET_ADMIN"],
            "ip link add type dummy 2>/dev/null; ip addr add 127.0.0.5/8 dev lo && echo own",
        )
        .prints("own");
        run(
            &["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.shmmni=77"],
            "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni",
        )
        .prints("1\n77");
        run(&["--ulimit", "nofile=100:100", "--pids-limit", "50", "-m", "64m"], "ulimit -n").prints("100");
    }
    host.finish_clean();
}

#[test]
fn exec_and_terminals_work() {
    let host = host("program-exec");
    for mode in Mode::OWN {
        let words = both(&["--name", "c1", "-u", "app"], mode.on(&host));
        host.run_detached(words.into_iter().chain(["users", "sleep", "1000"]));
        let exec = |user: &str, script: &str| host.bulkhead(["exec", "-u", user, "c1", "sh", "-c", script]);
        exec("0", "id -u; touch /of-root; stat -c %u /of-root").prints("0\n0");
        exec("db", "id -u; id -g; touch /tmp/x; stat -c %u:%g /tmp/x; rm /tmp/x").prints("999\n999\n999:999");
        exec("7:8", "id -u; id -g").prints("7\n8");
        host.bulkhead(["exec", "c1", "id", "-u"]).prints("1234");
        host.bulkhead(["exec", "-u", "70000", "c1", "true"]).run().says("70000");
        exec("0", "cat /proc/1/uid_map | xargs")
            .prints(&exec("0", "cat /proc/self/uid_map | xargs").stdout());
        let mut terminal = host.pty(["exec", "-it", "-u", "0", "c1", "sh"]);
        terminal.expect("# ");
        assert_eq!(terminal.ask("tty; stat -c %u $(tty); echo x > $(tty)"), "/dev/pts/0\n0\nx");
        terminal.line("exit");
        terminal.ends_with(0);
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");

        let mut terminal = host.pty(
            both(&["run", "--rm", "-it", "-u", "1234"], mode.on(&host)).into_iter().chain(["users", "sh"]),
        );
        terminal.expect("$ ");
        assert_eq!(terminal.ask("stat -c %u $(tty); echo x > $(tty)"), "1234\nx");
        terminal.line("exit");
        terminal.ends_with(0);
    }
    host.finish_clean();
}

#[test]
fn info_says_how_it_is_here() {
    let host = Host::new("program-info").with(Image::Busybox);
    host.bulkhead(["info"]).run().succeeds().shows("userns");
    host.finish_clean();
}
