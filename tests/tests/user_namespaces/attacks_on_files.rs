//! Attacks on the host's files, and on those of other containers.

use bulkhead_tests::Host;

use crate::attacks::Attack;
use crate::{Mode, both, sh, with_alice};

#[test]
fn root_writes_where_the_host_s_root_owns() {
    let host = Host::new("attack-write").with_busybox();
    Attack {
        prepare: "rm -rf /tmp/cron; mkdir /tmp/cron",
        flags: &["--cap-add=ALL", "-v", "/tmp/cron:/cron"],
        script: "echo '* * * * * root x' > /cron/job; echo '* * * * * root x' >> /cron/job",
        proof: "test -s /tmp/cron/job && echo won",
        ..Attack::default()
    }
    .holds(&host);
    // A folder where everybody may write, as /tmp: what is made there is not the host root's, nor set-ID as root.
    Attack {
        prepare: "rm -rf /tmp/open; mkdir -m 1777 /tmp/open",
        flags: &["--cap-add=ALL", "-v", "/tmp/open:/open"],
        script: "cp /bin/busybox /open/sh; chmod 4755 /open/sh",
        proof: "test -n \"$(find /tmp/open -uid 0 -name sh)\" && echo won",
        ..Attack::default()
    }
    .holds(&host);
    // What it makes there is in the engine's stable range, not the container's.
    host.run_detached(["--name", "c1", "-v", "/tmp/open:/open", "busybox", "sleep", "1000"]);
    host.bulkhead(["exec", "c1", "touch", "/open/made"]).prints("");
    let (first, count) = crate::range_of(&host, "c1");
    let owner: u32 = host.sh("stat -c %u /tmp/open/made").stdout().parse().unwrap();
    assert!(owner >= 65_536 && !(first..first + count).contains(&owner), "{owner}");
    host.finish();
}

#[test]
fn a_file_for_root_to_run_is_planted() {
    let host = Host::new("attack-set-uid").with_busybox();
    with_alice(&host);
    // An ordinary user of the host runs what was planted; it wins if that makes them root.
    let plant = "cp /usr/bin/id /m/id; chmod 6755 /m/id; chown 0:0 /m/id; chmod 6755 /m/id";
    let run = |path: &str| {
        format!(
            "test -e {path} || exit 0
            setpriv --reuid=4242 --regid=4242 --clear-groups {path} | grep -qE 'euid=0|egid=0' && echo won"
        )
    };
    Attack {
        prepare: "rm -rf /tmp/m; mkdir /tmp/m",
        flags: &["--cap-add=ALL", "-v", "/tmp/m:/m"],
        image: "host",
        script: plant,
        proof: &run("/tmp/m/id"),
    }
    .holds(&host);
    let open = Attack {
        prepare: "rm -rf /tmp/open; mkdir -m 1777 /tmp/open",
        flags: &["--cap-add=ALL", "-v", "/tmp/open:/m"],
        image: "host",
        script: plant,
        proof: &run("/tmp/open/id"),
    };
    open.holds(&host);
    // In a person's folder it is at most that person.
    let own = Attack {
        prepare: "rm -rf /home/alice/project/*",
        flags: &["--cap-add=ALL", "-v", "/home/alice/project:/m"],
        image: "host",
        script: plant,
        proof: &run("/home/alice/project/id"),
    };
    own.holds(&host);
    let as_whom = "setpriv --reuid=4242 --regid=4242 --clear-groups /home/alice/project/id";
    assert!(!own.wins(&host, Mode::Auto).0);
    let shown = host.sh(as_whom).run().stdout();
    assert!(!shown.contains("euid=") || shown.contains("euid=1000"), "{shown}");
    assert!(!shown.contains("egid=") || shown.contains("egid=1000"), "{shown}");
    // In a volume, for one who gets at the engine's folder, which is closed to others.
    Attack {
        flags: &["--cap-add=ALL", "-v", "planted:/m"],
        image: "host",
        script: plant,
        proof: "id=$(find /var/lib/bulkhead/volumes/ -name id | head -n1); cp -p \"$id\" /tmp/planted; \
                setpriv --reuid=4242 --regid=4242 --clear-groups /tmp/planted | grep -qE 'euid=0|egid=0' && echo won",
        ..Attack::default()
    }
    .is_held(&host);
    host.finish_clean();
}

#[test]
fn a_file_with_capabilities_is_planted() {
    let host = Host::new("attack-file-capabilities").with_busybox();
    // CAP_DAC_OVERRIDE, permitted and effective, as setcap(8) writes it.
    let plant = "cp /usr/bin/cat /m/cat; chmod 755 /m/cat
        /run/T setxattr /m/cat security.capability 0100000202000000000000000000000000000000";
    let read = "setpriv --reuid=4242 --regid=4242 --clear-groups /tmp/m/cat /tmp/of-root | grep -q secret && echo won";
    let prepare = "rm -rf /tmp/m; mkdir -m 1777 /tmp/m; umask 077; echo secret > /tmp/of-root";
    let tool = ["--cap-add=ALL", "-v", "/run/host/test-host:/run/T"];
    let flags = both(&tool, &["-v", "/tmp/m:/m"]);
    Attack { prepare, flags: &flags, image: "host", script: plant, proof: read }.holds(&host);
    // From a volume, by one who copies it with all that it has.
    let copy = format!("cp -a $(find /var/lib/bulkhead/volumes -name cat) /tmp/m/; {read}");
    let flags = both(&tool, &["-v", "planted:/m"]);
    Attack { prepare, flags: &flags, image: "host", script: plant, proof: &copy }.is_held(&host);
    host.finish_clean();
}

#[test]
fn the_host_s_secrets_are_read() {
    let host = Host::new("attack-shadow").with_busybox();
    let secret = "root:$y$secret:1::::::";
    host.sh(&format!("echo '{secret}' > /etc/shadow; chmod 640 /etc/shadow; chgrp 42 /etc/shadow"))
        .prints("");
    for group in ["", "--group-add=42"] {
        let mut flags = vec!["--cap-add=ALL", "-v", "/etc:/e"];
        if !group.is_empty() {
            flags.push(group);
        }
        Attack { flags: &flags, script: "grep -q secret /e/shadow && echo won", ..Attack::default() }
            .holds(&host);
    }
    // From a file system that maps IDs, too, and as a single file.
    let flags = ["--cap-add=ALL", "--group-add=42", "-v", "/tmp/etc/shadow:/f", "-v", "/tmp/etc:/e"];
    Attack {
        prepare: "mkdir -p /tmp/etc; cp -p /etc/shadow /tmp/etc/",
        flags: &flags,
        script: "cat /f /e/shadow | grep -q secret && echo won",
        ..Attack::default()
    }
    .holds(&host);
    // The image `host` does not show it, whoever asks.
    Attack {
        flags: &["--cap-add=ALL"],
        image: "host",
        script: "grep -q secret /etc/shadow && echo won",
        ..Attack::default()
    }
    .is_held(&host);
    host.finish_clean();
}

#[test]
fn files_are_given_to_ids_outside_of_the_range() {
    let host = Host::new("attack-chown").with_busybox();
    let chown = "touch /x; for id in 65536 100000 524288 4294967294; do chown $id /x 2>/dev/null && echo won; \
                 chgrp $id /x 2>/dev/null && echo won; done";
    Attack { flags: &["--cap-add=ALL"], script: chown, ..Attack::default() }.holds(&host);
    // Those inside of it can be had, to the last.
    for mode in Mode::OWN {
        let flags = both(mode.on(&host), &["-v", "vol:/v"]);
        sh(&host, &flags, "busybox", "touch /x /v/x && chown 65535:65535 /x /v/x && stat -c %u:%g /x /v/x")
            .prints("65535:65535\n65535:65535");
    }
    host.finish_clean();
}

#[test]
fn another_container_s_files_are_read_past_its_mounts() {
    let host = Host::new("attack-neighbour").with_busybox();
    Mode::Auto.on(&host);
    // Whoever has the engine's folder mounted has lost with the host's IDs; with others, not even then.
    let secrets = "umask 077; echo secret > /v/s; echo secret > /s";
    let attack = Attack {
        flags: &["--cap-add=ALL", "-v", "/var/lib/bulkhead:/b"],
        script: "find /b -type f -name s -exec grep -l secret {} + 2>/dev/null | grep -q . && echo won; ls -d /b/volumes",
        ..Attack::default()
    };
    for mode in [Mode::Host, Mode::Auto, Mode::Remap] {
        let own = if mode == Mode::Remap { Mode::Remap.on(&host) } else { Mode::Auto.on(&host) };
        let victim = both(&["--name", "victim", "-v", "hidden:/v"], own);
        host.run_detached(victim.into_iter().chain([
            "busybox",
            "sh",
            "-c",
            &format!("{secrets}; sleep 1000"),
        ]));
        host.bulkhead(["exec", "victim", "sh", "-c", "until test -e /s; do sleep 0.01; done"]).prints("");
        let (won, output) = attack.wins(&host, mode);
        output.shows("/b/volumes");
        assert_eq!(won, mode == Mode::Host, "{mode:?}: {output}");
        host.bulkhead(["rm", "-f", "victim"]).prints("victim");
    }
    host.finish_clean();
}

/// The folders on the way are opened for the test, so that only the owner's bits of the files are left to hold.
#[test]
fn another_container_s_own_files_are_read_where_the_way_is_open() {
    let host = Host::new("attack-neighbour-open").with_busybox();
    let write = "umask 077; echo secret > /s; touch /ready; exec sleep 1000";
    host.run_detached(["--name", "victim", "busybox", "sh", "-c", write]);
    host.bulkhead(["exec", "victim", "sh", "-c", "until test -e /ready; do sleep 0.01; done"]).prints("");
    host.sh("find /var/lib/bulkhead -type d -exec chmod a+rx {} +").prints("");
    let flags = ["--cap-add=ALL", "-v", "/var/lib/bulkhead:/b"];
    let script = "file=$(find /b/containers -name s); ls $file; cat $file";
    for (mode, expected) in
        [(&["--userns=host"][..], true), (&[], false), (&["--userns=auto:size=131072"], false)]
    {
        let output = sh(&host, &both(&flags, mode), "busybox", script).run();
        output.shows("/upper/s");
        assert_eq!(output.stdout().contains("secret"), expected, "{output}");
    }
    host.finish();
}

#[test]
fn a_link_leads_out_of_a_mount() {
    let host = Host::new("attack-links").with_busybox();
    with_alice(&host);
    // Whoever owns the folder puts a link in the place of what is mounted next, or of what is made.
    host.sh("umask 077; echo secret > /tmp/of-root; mkdir /tmp/of-roots").prints("");
    sh(
        &host,
        &["-v", "/home/alice/project:/w"],
        "busybox",
        "ln -s /tmp/of-roots /w/made; ln -s /tmp/of-root /w/link",
    )
    .prints("");
    // What is made through it is not made as root's in root's folder, and nothing there is given away.
    sh(&host, &["-v", "/home/alice/project/made/below:/m"], "busybox", "touch /m/x; true").run();
    let owner = host.sh("stat -c %u /tmp/of-roots; cat /tmp/of-root; stat -c %u /tmp/of-root").stdout();
    assert_eq!(owner, "0\nsecret\n0");
    sh(&host, &["-v", "/home/alice/project:/m:U"], "busybox", "cat /m/link 2>/dev/null; true").prints("");
    host.sh("stat -c %u /tmp/of-root /tmp/of-roots").prints("0\n0");
    host.finish_clean();
}

/// The classic: the whole of the host's files in a container, and into them.
#[test]
fn the_host_s_root_folder_is_entered() {
    let host = Host::new("attack-chroot").with_busybox();
    host.sh("echo 'root:$y$secret:1::::::' > /etc/shadow; chmod 600 /etc/shadow").prints("");
    let flags = ["--cap-add=ALL", "--security-opt=seccomp=unconfined", "-v", "/:/host"];
    let ways = [
        ("chroot /host /bin/sh -c 'echo x > /etc/planted'", "test -e /etc/planted && echo won"),
        ("echo x > /host/run/planted", "test -e /run/planted && echo won"),
        ("echo x > /host/root/planted; ls /host/root/planted && echo won", ""),
        ("grep secret /host/etc/shadow && echo won", ""),
        ("grep secret /host/proc/1/root/etc/shadow && echo won", ""),
        ("(: >> /host/proc/sys/kernel/core_pattern) && echo won", ""),
        ("chroot /host nsenter --mount=/proc/1/ns/mnt true && echo won", ""),
        ("for d in /host/sys/fs/cgroup/*; do mkdir $d/planted && rmdir $d/planted && echo won; done", ""),
    ];
    for (script, proof) in ways {
        let script = format!("{{ {script}; }} 2>/dev/null");
        let prepare = "rm -f /etc/planted /run/planted /root/planted";
        Attack { prepare, flags: &flags, script: &script, proof, ..Attack::default() }.holds(&host);
    }
    host.finish_clean();
}

/// A set-ID program of the host's gives nothing inside, since its owner is nobody there.
#[test]
fn a_set_id_program_of_the_host_is_run_inside() {
    let host = Host::new("attack-host-set-id").with_busybox();
    host.sh("mkdir /tmp/bin; cp /usr/bin/id /tmp/bin/id; chmod 6755 /tmp/bin/id").prints("");
    Attack {
        flags: &["-v", "/tmp/bin:/hostbin", "-u", "1234"],
        image: "host",
        script: "/hostbin/id | grep -qE 'euid=|egid=' && echo won",
        ..Attack::default()
    }
    .holds(&host);
    host.finish_clean();
}
