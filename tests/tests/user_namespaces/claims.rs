//! The seven claims that people make about user namespaces in engines.

use bulkhead_tests::{Host, skip};
use serde_json::json;

use crate::{Mode, both, config, load, range_of, sh, with_alice, with_users};

#[test]
fn root_inside_is_not_root_outside() {
    let host = Host::new("claim-root").with_busybox();
    for mode in [Mode::Host, Mode::Auto, Mode::Remap] {
        let flags = mode.on(&host);
        host.run_detached(both(&["--name", "c1", "--cap-add=ALL"], flags).into_iter().chain([
            "busybox",
            "sh",
            "-c",
            "id -u; exec sleep 1000",
        ]));
        let pid = host.inspect("c1", "{{.State.Pid}}");
        let owner: u32 = host.sh(&format!("stat -c %u /proc/{pid}")).stdout().parse().unwrap();
        let status = host.sh(&format!("grep -E '^(Uid|Gid|Groups):' /proc/{pid}/status")).stdout();
        // Inside it is root, and has root's capabilities there, whatever it is outside.
        host.bulkhead(["exec", "c1", "id", "-u"]).prints("0");
        let ids: Vec<u32> = status.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        if mode == Mode::Host {
            assert_eq!(owner, 0);
        } else {
            assert!(owner >= 65_536, "{mode:?}: root inside is {owner} outside");
            assert!(ids.len() >= 8 && ids.iter().all(|id| *id >= 65_536), "{mode:?}: {status}");
            // Nobody of the machine has such an ID.
            host.sh(&format!("getent passwd {owner} || true")).prints("");
            let (first, count) = range_of(&host, "c1");
            assert_eq!((first, count), (owner, 65_536));
        }
        // An exec is nobody else.
        host.bulkhead(["exec", "-d", "c1", "sleep", "2000"]).prints("");
        let users = host.sh("stat -c %u $(pgrep -f 'sleep [12]000' | sed 's,^,/proc/,') | sort -u").stdout();
        let expected = if mode == Mode::Host { "0".to_owned() } else { owner.to_string() };
        assert!(users.lines().all(|user| user == expected || user == "0"), "{users}");
        assert!(users.lines().any(|user| user == expected), "{users}");
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    }
    host.finish_clean();
}

#[test]
fn other_containers_are_other_people() {
    let host = Host::new("claim-others").with_busybox();
    let sleep = ["busybox", "sleep", "1000"];
    // With the host's IDs, who joins the processes of another container is their root, and ends them.
    let join = |name: &str, flags: &[&str], script: &str| {
        let pid = format!("--pid=container:{name}");
        sh(&host, &both(&[&pid, "--cap-add=ALL"], flags), "busybox", script)
    };
    let start = |name: &str, flags: &[&str]| {
        host.run_detached(both(&["--name", name], flags).into_iter().chain(sleep));
        host.bulkhead(["exec", "-d", name, "sleep", "2000"]).prints("");
    };
    let victim = "$(ps -o pid,args | awk '/[s]leep 2000/ { print $1 }')";
    let attack = format!("kill -9 {victim} 2>&1; echo tried");
    let lives = |name: &str| host.bulkhead(["exec", name, "sh", "-c", &format!("echo {victim} | wc -w")]);
    start("c0", &["--userns=host"]);
    lives("c0").prints("1");
    join("c0", &["--userns=host"], &attack).prints("tried");
    lives("c0").prints("0");

    start("c1", &[]);
    start("c2", &[]);
    let (one, two) = (range_of(&host, "c1"), range_of(&host, "c2"));
    assert!(one.0 + one.1 <= two.0 || two.0 + two.1 <= one.0, "{one:?} and {two:?} overlap");
    join("c1", &[], &attack).run().succeeds().shows("not permitted").shows("tried");
    lives("c1").prints("1");
    // Its files are not theirs either: whatever way there is leads past the owner's bits.
    host.bulkhead(["exec", "c1", "sh", "-c", "umask 077; echo secret > /secret"]).prints("");
    join("c1", &[], "cat /proc/1/root/secret; cat /proc/1/environ; ls -l /proc/1/cwd/").run().hides("secret");
    host.finish();
}

/// Each way to change something below `/m`, in an order in which each finds what it needs. `T` is the helper.
const OPERATIONS: [(&str, &str); 29] = [
    ("create", ": > /m/new"),
    ("write", "echo x 1<>/m/file"),
    ("truncate", ": > /m/file"),
    ("ftruncate", "truncate -s 1 /m/file"),
    ("append", "echo x >> /m/file"),
    ("write to what others may not even read", "echo x >> /m/secret"),
    ("chmod", "chmod 666 /m/file"),
    ("chmod of the folder", "chmod 777 /m"),
    ("set-uid", "chmod u+s /m/program"),
    ("set-gid", "chmod g+s /m/program"),
    ("chown", "chown 1:1 /m/file"),
    ("chown to root", "chown 0:0 /m/alices"),
    ("chgrp", "chgrp 5 /m/file"),
    ("chown of a link", "chown -h 1 /m/link"),
    ("utimes", "touch -d 2001-01-01 /m/file"),
    ("utimes to now", "touch -c /m/file"),
    ("mkdir", "mkdir /m/newdir"),
    ("symlink", "ln -s x /m/newlink"),
    ("link", "ln /m/file /m/newname"),
    ("mknod of a pipe", "mknod /m/pipe p"),
    ("mknod of a device", "mknod /m/null c 1 3"),
    ("O_TMPFILE", "/run/T tmpfile /m tmp"),
    ("setxattr", "/run/T setxattr /m/file user.x 31"),
    ("setxattr trusted", "/run/T setxattr /m/program trusted.x 31"),
    (
        "setxattr security.capability",
        "/run/T setxattr /m/program security.capability 01000002ffffffff00000000ff01000000000000",
    ),
    ("rename", "mv /m/file /m/renamed && mv /m/renamed /m/file"),
    ("rename over", "mv -f /m/alices /m/file"),
    ("unlink", "rm -f /m/file && test ! -e /m/file"),
    ("rmdir", "rmdir /m/dir"),
];

#[test]
fn the_root_owned_mount_is_safe() {
    let host = Host::new("claim-root-owned").with_busybox();
    // A folder as the host's root has it, with something of somebody's in it.
    let prepare = "rm -rf /srv/owned; mkdir -p /srv/owned/dir; cd /srv/owned; echo content > file; umask 077
        echo hidden > secret; echo '#!/bin/sh' > program; chmod 755 . program; ln -s file link
        echo hers > alices; chown 1000:1000 alices";
    let prepare = prepare.replace("/srv", "/tmp");
    let look =
        "cd /tmp/owned; find . -printf '%p %y %m %U:%G %s %t %n\\n' | sort; cat file secret program alices
        getfattr -dm- . * 2>/dev/null || true";
    let script: String = OPERATIONS
        .iter()
        .enumerate()
        .map(|(number, (_, command))| format!("({command}) 2>/dev/null && echo did {number}\n"))
        .collect();
    let flags = ["--cap-add=ALL", "-v", "/tmp/owned:/m", "-v", "/run/host/test-host:/run/T:ro"];
    let done = |flags: &[&str]| -> Vec<&str> {
        let output = sh(&host, flags, "busybox", &format!("{script}echo tried")).run();
        output.succeeds().shows("tried");
        let said = output.stdout();
        let numbers = said.lines().filter_map(|line| line.strip_prefix("did ")?.parse::<usize>().ok());
        numbers.map(|number| OPERATIONS[number].0).collect()
    };
    for mode in [Mode::Host, Mode::Auto, Mode::Remap] {
        host.sh(&prepare).prints("");
        let before = host.sh(look).stdout();
        let mode_flags = mode.on(&host);
        let did = done(&both(&flags, mode_flags));
        if mode == Mode::Host {
            let missed: Vec<&str> =
                OPERATIONS.iter().map(|(name, _)| *name).filter(|name| !did.contains(name)).collect();
            assert!(missed.is_empty(), "these do not bite: {missed:?}");
            continue;
        }
        assert!(did.is_empty(), "{mode:?}: done to what the host's root owns: {did:?}");
        assert_eq!(host.sh(look).stdout(), before, "{mode:?}");
        // As any of its other users, and as one who asks for the host root's group, too.
        for user in ["1000:1000", "0:1000", "65534:0"] {
            let did = done(&both(&both(&flags, mode_flags), &["-u", user]));
            assert!(did.is_empty(), "{mode:?}, {user}: done to what the host's root owns: {did:?}");
        }
        assert_eq!(host.sh(look).stdout(), before, "{mode:?}");
        // What others may read can be read, and nothing else.
        sh(&host, &both(&flags, mode_flags), "busybox", "cat /m/file /m/secret /m/alices 2>/dev/null; true")
            .prints("content");
        // It is nobody's inside.
        sh(&host, &both(&flags, mode_flags), "busybox", "stat -c %u:%g /m /m/file /m/secret | sort -u")
            .prints("65534:65534");
        // A single file is no different.
        let single = both(&["--cap-add=ALL", "-v", "/tmp/owned/file:/f"], mode_flags);
        sh(&host, &single, "busybox", "cat /f; (echo x > /f) 2>/dev/null; chmod 666 /f 2>/dev/null; true")
            .prints("content");
        assert_eq!(host.sh(look).stdout(), before, "{mode:?}");
    }
    host.finish_clean();
}

#[test]
fn your_own_folder_works() {
    let host = Host::new("claim-own-folder");
    load(&host, "users:latest", &config(json!({})), &[with_users().done()]);
    with_alice(&host);
    let project = "/home/alice/project:/w";
    for mode in Mode::OWN {
        let mode_flags = mode.on(&host);
        host.sh("echo hers > /home/alice/project/hers; chmod 600 /home/alice/project/hers
                 chown 1000:1000 /home/alice/project/hers")
            .prints("");
        for user in ["root", "1234"] {
            let flags = both(&["-v", project, "-w", "/w", "-u", user], mode_flags);
            // It works as her, in all ways, and sees what is hers as its own.
            let script =
                "set -e; cat hers; echo more >> hers; chmod 640 hers; mv hers x; mv x hers; echo 1 > made
                mkdir d; echo 2 > d/f; chmod 700 d; ln made linked; rm linked; ln -s made link
                touch -d 2001-01-01 made; stat -c %u hers made d d/f | sort -u";
            let output = sh(&host, &flags, "users", script).run();
            output.succeeds().quietly();
            let own = if user == "root" { "0" } else { "1234" };
            assert_eq!(output.stdout().lines().last(), Some(own), "{mode:?} {output}");
            host.sh("cd /home/alice/project; stat -c %u:%g made d d/f link hers | sort -u")
                .prints("1000:1000");
            // She can do with it what she likes.
            let hers = "setpriv --reuid=1000 --regid=1000 --clear-groups sh -ec 'cd /home/alice/project
                echo 3 >> made; cat d/f; rm -r made d link; echo hers > hers; chmod 600 hers'";
            host.sh(hers).prints("2");
        }
    }
    host.finish_clean();
}

/// The usual image of a database: it starts as root, gives its folder to its own user, and becomes that user.
#[test]
fn your_own_folder_works_for_an_image_that_drops_to_its_own_user() {
    let host = Host::new("claim-own-database");
    let script = "#!/bin/sh\nset -e\nmkdir -p /w/data\nchown db:db /w/data\nchmod 700 /w/data\n\
                  exec su db -c 'echo row >> /w/data/table; chmod 600 /w/data/table; wc -l < /w/data/table; stat -c %u /w/data/table'\n";
    let layer = with_users().file("start", 0o755, script).done();
    load(&host, "database:latest", &config(json!({ "Cmd": ["/start"] })), &[layer]);
    with_alice(&host);
    let run = |name: &str, flags: &[&str]| {
        let mount = ["run", "--name", name, "-v", "/home/alice/project:/w"];
        host.bulkhead(both(&mount, flags).into_iter().chain(["database"]))
    };
    for mode in Mode::OWN {
        let flags = mode.on(&host);
        run("c1", flags).prints("1\n999");
        host.bulkhead(["start", "-a", "c1"]).prints("2\n999");
        // Another container, which in auto mode has another range.
        run("c2", flags).prints("3\n999");
        let owner = host.sh("stat -c %u /home/alice/project/data /home/alice/project/data/table").stdout();
        let owners: Vec<&str> = owner.lines().collect();
        if mode == Mode::Auto {
            assert_eq!(owners, ["100999", "100999"], "what the database has is of alice's own range");
        } else {
            let remap: u32 = host.sh("grep ^bulkhead: /etc/subuid | cut -d: -f2").stdout().parse().unwrap();
            assert_eq!(owners, [(remap + 999).to_string(), (remap + 999).to_string()]);
        }
        host.bulkhead(["rm", "c1", "c2"]).prints("c1\nc2");
        host.sh("rm -r /home/alice/project/data").prints("");
    }
    host.finish_clean();
}

#[test]
fn volumes_work() {
    let host = Host::new("claim-volumes");
    load(&host, "users:latest", &config(json!({})), &[with_users().done()]);
    // podman#24718: an image that says VOLUME and USER finds its own files writable.
    let own = with_users().owned_by(999, 999).dir("data", 0o700).file("data/table", 0o600, "row\n").done();
    let says = config(json!({ "Volumes": { "/data": {} }, "User": "db" }));
    load(&host, "declared:latest", &says, &[own]);
    for mode in Mode::OWN {
        let flags = mode.on(&host);
        let names = ["first", "second"];
        for name in names {
            host.run_detached(
                both(&["--name", name, "-v", "shared:/v"], flags)
                    .into_iter()
                    .chain(["users", "sleep", "1000"]),
            );
        }
        if mode == Mode::Auto {
            assert_ne!(range_of(&host, "first"), range_of(&host, "second"));
        }
        let exec = |name: &str, user: &str, script: &str| {
            host.bulkhead(["exec", "-u", user, name, "sh", "-c", script])
        };
        exec(
            "first",
            "0",
            "umask 077; echo root > /v/root; mkdir /v/db; chown 999:77 /v/db; chmod u+s /v/root",
        )
        .prints("");
        exec("first", "999", "umask 077; echo db > /v/db/table").prints("");
        // The other one sees the IDs that were written, and they count.
        exec("second", "0", "cat /v/root; stat -c '%u:%g %a' /v/root /v/db")
            .prints("root\n0:0 4600\n999:77 700");
        exec(
            "second",
            "999",
            "cat /v/db/table; echo more >> /v/db/table; cat /v/root 2>/dev/null || echo closed",
        )
        .prints("db\nclosed");
        exec("second", "1234", "cat /v/db/table 2>/dev/null || echo closed").prints("closed");
        exec("first", "999", "cat /v/db/table").prints("db\nmore");
        // On disk nothing is the host root's, nor in the range of one of the containers.
        let disk = host.sh("find /var/lib/bulkhead/volumes/shared -mindepth 1 -printf '%U %G\\n'").stdout();
        assert!(disk.lines().count() >= 4, "{disk}");
        let ranges: Vec<(u32, u32)> = names.iter().map(|name| range_of(&host, name)).collect();
        for id in disk.split_whitespace().map(|id| id.parse::<u32>().unwrap()).skip(2) {
            assert!(id >= 65_536, "{mode:?}: an ID of the host's own is on disk:\n{disk}");
            let of_container = ranges.iter().any(|(first, count)| (*first..first + count).contains(&id));
            assert!(mode == Mode::Remap || !of_container, "{id} is a container's own:\n{disk}");
        }
        host.bulkhead(["rm", "-f", "first", "second"]).prints("first\nsecond");
        // A third one, later, with yet another range.
        sh(&host, &both(&["-v", "shared:/v"], flags), "users", "cat /v/root /v/db/table; rm -r /v/*")
            .prints("root\ndb\nmore");

        let script = "id -u; echo row >> /data/table; cat /data/table; stat -c %u:%g /data /data/table";
        sh(&host, flags, "declared", script).prints("999\nrow\nrow\n999:999\n999:999");
        let named = both(&["-v", "kept:/data"], flags);
        sh(&host, &named, "declared", "echo row >> /data/table; wc -l < /data/table").run().succeeds();
        sh(&host, &named, "declared", "echo row >> /data/table; test $(wc -l < /data/table) -ge 3")
            .prints("");
    }
    host.finish_clean();
}

#[test]
fn host_namespaces_work_or_are_refused_clearly() {
    let host = Host::new("claim-host-namespaces").with_busybox();
    host.sh("ip link add test-a type veth peer name test-b; hostname > /dev/null").prints("");
    host.sh("ipcmk -Q > /dev/null; ipcs -q | grep -c 0x").prints("1");
    let network =
        "ip -o link show | grep -c test-; ls /sys/class/net | grep -c test-; readlink /proc/self/ns/net";
    let processes = "test -d /proc/1/task && readlink /proc/self/ns/pid";
    let queues = "tail -n +2 /proc/sysvipc/msg | wc -l; readlink /proc/self/ns/ipc";
    let wishes = [
        (
            "--network=host",
            network,
            "cannot share the host's network namespace when user namespaces are enabled",
        ),
        ("--pid=host", processes, "cannot share the host PID namespace when user namespaces are enabled"),
        ("--ipc=host", queues, "cannot share the host IPC namespace when user namespaces are enabled"),
    ];
    let map = "awk '{print $2}' /proc/self/uid_map";
    Mode::Auto.on(&host);
    for (flag, script, _) in wishes {
        let output = sh(&host, &[flag], "busybox", &format!("{script}; test $({map}) -ge 524288")).run();
        output.succeeds().quietly();
        assert_eq!(output.stdout(), host.sh(script).run().stdout(), "{flag}: as the host sees it");
    }
    // All at once.
    let all = ["--network=host", "--pid=host", "--ipc=host", "--uts=host"];
    sh(&host, &all, "busybox", &format!("test $({map}) -ge 524288; ls /sys/class/net | grep -c test-"))
        .prints("2");
    // What is shared is not the container's: it can look, and change nothing.
    let change = "ip link del test-a 2>/dev/null && echo did; (echo 1 > /proc/sys/net/ipv4/ip_forward) 2>/dev/null && echo did
        kill -9 1 2>/dev/null && echo did; ipcrm -q 0 2>/dev/null && echo did; hostname x 2>/dev/null && echo did; echo tried";
    sh(&host, &both(&all, &["--cap-add=ALL"]), "busybox", change).prints("tried");

    // Privileged alone is the host's root, and says so; asked for by name it stays within its own.
    let output = sh(&host, &["--privileged"], "busybox", "cat /proc/self/uid_map").run();
    output.succeeds().says("privileged").says("host's user namespace").shows("4294967295");
    assert_eq!(output.stderr().lines().count(), 1, "one line: {output}");
    sh(&host, &["--privileged", "--userns=host"], "busybox", "cat /proc/self/uid_map").run().quietly();
    let within = ["--privileged", "--userns=auto"];
    let output =
        sh(&host, &within, "busybox", &format!("{map}; mount -t tmpfs x /tmp && echo privileged")).run();
    output.succeeds().quietly().shows("privileged");
    assert!(output.stdout().lines().next().unwrap().parse::<u32>().unwrap() >= 524_288, "{output}");

    Mode::Remap.on(&host);
    for (flag, script, refusal) in wishes {
        let refused = sh(&host, &[flag], "busybox", "true").fails(125, refusal);
        refused.says("--userns=host");
        sh(&host, &[flag, "--userns=host"], "busybox", script).run().succeeds();
    }
    sh(&host, &["--privileged"], "busybox", "true")
        .fails(125, "privileged mode is incompatible with user namespaces")
        .says("--userns=host");
    sh(&host, &["--privileged", "--userns=host"], "busybox", "cat /proc/self/uid_map")
        .run()
        .shows("4294967295");
    host.bulkhead(["ps", "-aq"]).prints("");
    host.sh("ipcrm --all=msg; ip link del test-a").prints("");
    host.finish_clean();
}

#[test]
fn privileged_within_its_own_opens_no_block_device() {
    let host = Host::new("claim-block-devices").with_busybox();
    if host.sh("test -b /dev/loop0 && head -c1 /dev/loop0").run().code() != 0 {
        skip!("there is no loop device on this machine, and no other device is harmless to read");
    }
    let attack = "ls /dev/loop0 2>/dev/null && head -c1 /dev/loop0 && echo opened; mknod /d b 7 0 && head -c1 /d && echo opened; true";
    sh(&host, &["--privileged", "--userns=host"], "busybox", attack).run().shows("opened");
    sh(&host, &["--privileged", "--userns=auto"], "busybox", attack).run().succeeds().hides("opened");
    // Nor through the folder of devices.
    let bind = ["--privileged", "--userns=auto", "-v", "/dev:/hostdev"];
    sh(&host, &bind, "busybox", "head -c1 /hostdev/loop0 && echo opened; true")
        .run()
        .succeeds()
        .hides("opened");
    host.finish_clean();
}

#[test]
fn mknod_is_denied() {
    let host = Host::new("claim-mknod").with_busybox();
    let make = "for kind in 'c 1 3' 'b 7 0' 'c 10 200' 'c 0 0'; do mknod /node $kind && echo made; rm -f /node; done; echo tried";
    // (An overlay's whiteout, 0:0, is nobody's device, and anybody may make one.)
    sh(&host, &["--userns=host"], "busybox", make).run().shows("made\nmade");
    for mode in Mode::OWN {
        let flags = mode.on(&host);
        for more in [&[][..], &["--cap-add=ALL"], &["--cap-add=ALL", "--security-opt=seccomp=unconfined"]] {
            let script = make.replace(" 'c 0 0'", "");
            let output = sh(&host, &both(flags, more), "busybox", &script).run();
            output.succeeds().hides("made").shows("tried").says("not permitted");
        }
        // The standard ones are there and work, though.
        sh(&host, flags, "busybox", "echo x > /dev/null; head -c3 /dev/zero | wc -c").prints("3");
    }
    host.finish_clean();
}
