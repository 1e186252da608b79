//! What once was possible, or was refused, and is not any more.

use bulkhead_tests::archive::Layer;
use bulkhead_tests::{Host, skip};
use serde_json::json;

use crate::{Mode, both, config, load, range_of, sh, with_alice};

/// What may mount in its own user namespace lifts "read-only" of a mount, unless the kernel was told that it must not.
#[test]
fn a_mounted_image_stays_as_it_is_whatever_is_remounted() {
    let host = Host::new("remount-image").with_busybox();
    load(&host, "data:latest", &config(json!({})), &[Layer::new().file("program", 0o755, "good").done()]);
    let attack = "mount -o remount,rw,bind /i 2>/dev/null; (echo evil > /i/program) 2>/dev/null; touch /i/x 2>/dev/null; true";
    for (own, more) in [
        (&["--userns=auto"][..], &["--cap-add=SYS_ADMIN"][..]),
        (&["--userns=auto"], &["--privileged"]),
        (Mode::Remap.on(&host), &["--cap-add=SYS_ADMIN"]),
    ] {
        let flags = both(&both(own, more), &["--mount", "type=image,src=data,dst=/i"]);
        sh(&host, &flags, "busybox", attack).prints("");
        let look = ["--mount", "type=image,src=data,dst=/i"];
        sh(&host, &look, "busybox", "cat /i/program; ls /i").prints("goodprogram");
    }
    host.finish_clean();
}

/// People of a directory service have IDs in the midst of the pool, and stand in no file.
#[test]
fn an_id_that_is_kept_is_no_other_container_s() {
    let host = Host::new("keep-id-pool").with_busybox();
    host.run_detached(["--name", "victim", "busybox", "sleep", "1000"]);
    host.bulkhead(["exec", "-d", "victim", "sleep", "2000"]).prints("");
    let (first, _) = range_of(&host, "victim");
    let attack = "kill $(ps -o pid,args | awk '/[s]leep 2000/ { print $1 }') 2>/dev/null && echo won; true";
    let flags = ["--userns=keep-id:uid=7,gid=7", "--pid=container:victim"];
    let id = first.to_string();
    sh(&host, &flags, "busybox", attack).env("SUDO_UID", &id).env("SUDO_GID", &id).run().hides("won");
    host.finish();
}

#[test]
fn people_can_be_added_to_the_machine_as_before() {
    let host = Host::new("pool-useradd").with_busybox();
    sh(&host, &[], "busybox", "true").prints("");
    host.sh("for i in $(seq 12); do useradd --no-create-home person$i; done; grep -c ^person /etc/subuid")
        .prints("12");
    host.finish_clean();
}

#[test]
fn who_is_kept_has_their_files_everywhere() {
    let host = Host::new("keep-id-files").with_busybox();
    with_alice(&host);
    let flags = ["--userns=keep-id", "-v", "/home:/h"];
    sh(&host, &flags, "busybox", "stat -c %u /h/alice; touch /h/alice/x")
        .env("SUDO_UID", "1000")
        .env("SUDO_GID", "1000")
        .prints("1000");
    host.finish_clean();
}

/// The folders on the way are opened for the test, so that only the owner's bits of the files are left to hold.
#[test]
fn another_container_s_volume_is_read_where_the_way_is_open() {
    let host = Host::new("attack-volume-open").with_busybox();
    Mode::Auto.on(&host);
    sh(&host, &["-v", "hidden:/v"], "busybox", "umask 077; echo secret > /v/s").prints("");
    host.sh("find /var/lib/bulkhead -type d -exec chmod a+rx {} +").prints("");
    let flags = ["--cap-add=ALL", "-v", "/var/lib/bulkhead:/b"];
    let script = "file=$(find /b/volumes -name s); ls $file; cat $file";
    for (mode, expected) in [(&["--userns=host"][..], true), (&[], false)] {
        let output = sh(&host, &both(&flags, mode), "busybox", script).run();
        output.shows("/s");
        assert_eq!(output.stdout().contains("secret"), expected, "{output}");
    }
    host.finish();
}

#[test]
fn an_empty_volume_is_given_to_the_container_too() {
    let host = Host::new("option-u-empty-volume").with_busybox();
    let flags = ["-v", "fresh:/v:U", "-u", "1234:1234"];
    sh(&host, &flags, "busybox", "echo 1 > /v/x; stat -c %u:%g /v /v/x | sort -u").prints("1234:1234");
    host.finish_clean();
}

#[test]
fn a_folder_is_given_to_a_container_with_the_host_s_ids_too() {
    let host = Host::new("option-u-host").with_busybox();
    host.sh("mkdir /tmp/m; touch /tmp/m/f").prints("");
    let flags = ["--userns=host", "-v", "/tmp/m:/m:U", "-u", "1234:1234"];
    sh(&host, &flags, "busybox", "stat -c %u:%g /m /m/f | sort -u").prints("1234:1234");
    host.sh("stat -c %u:%g /tmp/m/f").prints("1234:1234");
    host.finish_clean();
}

/// Of the first containers of a machine one makes the engine's group, in which another must not be before it is ready.
#[test]
fn the_first_containers_of_a_machine_can_start_at_once() {
    for _ in 0..5 {
        let host = Host::new("first-at-once").with_busybox();
        let start = "for i in 1 2 3 4 5 6; do bulkhead run --rm --network=none busybox true & done; wait";
        host.sh(start).run().succeeds().quietly();
        host.finish_clean();
    }
}

/// The whole hierarchy is the container's below its own group, with the power to freeze what is in it (cgroup v1).
#[test]
fn a_container_that_froze_itself_can_be_removed() {
    let host = Host::new("delegated-freezer").with_busybox();
    if host.sh("test -d /sys/fs/cgroup/freezer").run().code() != 0 {
        skip!("there is no freezer of cgroup v1 on this machine");
    }
    let freeze = "mkdir -p /sys/fs/cgroup/freezer/sub/deep && cd /sys/fs/cgroup/freezer/sub/deep || exit
        sleep 2000 & echo $! > tasks; echo FROZEN > freezer.state; touch /frozen; exec sleep 1000";
    host.run_detached(["--name", "c1", "--privileged", "--userns=auto", "busybox", "sh", "-c", freeze]);
    host.bulkhead(["exec", "c1", "sh", "-c", "until test -e /frozen; do sleep 0.01; done"]).prints("");
    let removed = host.sh("timeout 5 bulkhead rm -f c1").run();
    // Whatever came of it: what is frozen would keep the host from its end.
    host.sh("for state in $(find /sys/fs/cgroup/freezer -name freezer.state); do echo THAWED > $state; done 2>/dev/null || true").run();
    assert_eq!(removed.code(), 0, "{removed}");
    host.finish();
}

#[test]
fn nobody_else_s_id_stands_on_disk_whatever_subuid_says() {
    let host = Host::new("subuid-with-account").with_busybox();
    with_alice(&host);
    host.sh("echo carl:x:70000:70000::/:/bin/sh >> /etc/passwd; echo carl:x:70000: >> /etc/group
             echo alice:65536:65536 > /etc/subuid; echo alice:65536:65536 > /etc/subgid")
        .prints("");
    let plant = "cp /bin/busybox /w/program; chown 4464:4464 /w/program; chmod 6755 /w/program";
    sh(&host, &["-v", "/home/alice/project:/w"], "busybox", plant).run();
    host.sh("find /home/alice/project -uid 70000 -o -gid 70000").prints("");
    host.finish_clean();
}

/// What the host's root owns on a bind is somebody's to the kernel, as whom nobody can ever run: not by a set-ID file that
/// the container leaves in a folder where everybody may write, which an ordinary user of the host then runs.
#[test]
fn nobody_can_become_who_root_is_on_a_bind() {
    let host = Host::new("strangers").with_busybox();
    host.sh(
        "mkdir -m 1777 /tmp/t; mkdir /tmp/secret; echo secret > /tmp/secret/file; chmod 600 /tmp/secret/file",
    )
    .prints("");
    for mode in [Mode::Host, Mode::Auto, Mode::Remap] {
        let own = [
            "--name",
            "lender",
            "-v",
            "/tmp/t:/t",
            "-v",
            "/tmp/secret:/secret",
            "-v",
            "/run/host/test-host:/T:ro",
        ];
        let script = "cp /T /t/set-id; chmod 4755 /t/set-id; exec /T lend /t/socket /secret";
        host.run_detached(both(mode.on(&host), &own).into_iter().chain(["busybox", "sh", "-c", script]));
        let steal = "until test -S /tmp/t/socket; do sleep 0.01; done
            setpriv --reuid=1000 --regid=1000 --clear-groups /tmp/t/set-id borrow /tmp/t/socket file 2>&1 || true";
        let stolen = host.sh(steal).stdout();
        if mode == Mode::Host {
            assert_eq!(stolen, "secret", "the attack is known to work");
        } else {
            assert!(stolen.contains("ermission denied"), "{mode:?}: {stolen}");
        }
        host.sh("bulkhead rm -f lender >/dev/null; rm -f /tmp/t/*").run();
    }
    host.finish_clean();
}

/// A link in the place of a user's own file leads root's exec nowhere that the container could not go itself.
#[test]
fn an_exec_finds_its_user_with_the_container_s_rights() {
    let host = Host::new("exec-passwd").with_busybox();
    // Of the secret's group is the host's root, too.
    host.sh("mkdir -m 750 /tmp/secret; echo app:x:4242:4242::/secret-home:/bin/sh > /tmp/secret/f; chmod 640 /tmp/secret/f")
        .prints("");
    for mode in [Mode::Host, Mode::Auto, Mode::Remap] {
        // A login shell of root's has root's groups; its containers' supervisors must not.
        let start = format!(
            "setpriv --groups=0,42 bulkhead run -d --name c1 {} -v /tmp/secret:/s:noidmap busybox \
             sh -c 'ln -sf /s/f /etc/passwd; exec sleep 1000'",
            mode.on(&host).join(" ")
        );
        host.sh(&start).run().succeeds();
        let found = host
            .sh("until bulkhead exec c1 test -L /etc/passwd; do sleep 0.01; done
            bulkhead exec -u app c1 sh -c 'echo $HOME' 2>&1 || true")
            .stdout();
        if mode == Mode::Host {
            assert_eq!(found, "/secret-home", "root reads what is root's");
        } else {
            assert!(found.contains("unable to find user app"), "{mode:?}: {found}");
        }
        host.sh("bulkhead rm -f c1 >/dev/null").run();
    }
    host.finish_clean();
}

/// Nobody but the one who was looked at when the mapping was decided is mounted: an ordinary user who puts a link in the
/// place of a folder gains nothing.
#[test]
fn what_the_machine_lives_on_is_not_given_away() {
    let host = Host::new("given-away").with_busybox();
    for source in ["/etc", "/usr/bin", "/", "/home", "/var/lib", "/etc/../etc/default"] {
        let volume = format!("{source}:/m:U");
        sh(&host, &["-v", &volume], "busybox", "true").fails(125, "is not given to a container");
    }
    host.sh("ln -s /etc /tmp/link").prints("");
    sh(&host, &["-v", "/tmp/link:/m:U"], "busybox", "true").fails(125, "is not given to a container");
    host.sh("stat -c %u /etc /etc/passwd | sort -u").prints("0");
    host.finish_clean();
}
