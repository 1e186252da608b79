//! `cp`: Docker's rules, in every state of a container, and every byte and bit of what is copied.

use bulkhead_tests::Host;

/// A container that runs, one that has ended and one that never ran, all with the same mounts.
fn containers(host: &Host) -> [&'static str; 3] {
    let make = |verb: &[&str], name: &str, command: &[&str]| {
        let mounts = ["--name", name, "-v", "vol:/vol", "-v", "/tmp/bind:/bind", "-v", "ro:/ro:ro"];
        let words = verb.iter().chain(&mounts).chain(&["busybox"]).chain(command);
        host.bulkhead(words).run().succeeds();
    };
    host.sh("mkdir -p /tmp/bind; chown 1000:1000 /tmp/bind").prints("");
    make(&["run", "-d"], "running", &["sleep", "1000"]);
    make(&["run"], "ended", &["true"]);
    make(&["create"], "created", &["true"]);
    ["running", "ended", "created"]
}

#[test]
fn what_goes_in_comes_out_in_every_state() {
    let host = Host::new("cp-states").with_busybox();
    host.sh("mkdir -p /tmp/src/sub; echo one >/tmp/src/f; echo two >/tmp/src/sub/g; chmod 4751 /tmp/src/f; truncate -s 5M /tmp/src/hole; \
        ln -s ../f /tmp/src/sub/link; ln /tmp/src/f /tmp/src/same; chown 7:8 /tmp/src/sub; mkfifo /tmp/src/pipe; \
        touch -d '2001-02-03 04:05:06.789' /tmp/src/f /tmp/src/sub; printf end | dd of=/tmp/src/holes bs=1M seek=9 2>/dev/null; \
        printf x >\"$(printf '/tmp/src/\\377')\"; n=$(printf 'n%.0s' $(seq 200)); echo long >/tmp/src/$n")
        .prints("");
    for name in containers(&host) {
        for target in ["/home", "/vol", "/bind"] {
            let script = format!(
                "bulkhead cp -a /tmp/src {name}:{target}/{name}
                 rm -rf /tmp/back; bulkhead cp -a {name}:{target}/{name} /tmp/back
                 diff -r --no-dereference /tmp/src /tmp/back 2>&1 | grep -v 'is a fifo' || true
                 cd /tmp/src; find . -printf '%p %u %g %m %n %s %y %l %T@\\n' | sort >/tmp/a
                 cd /tmp/back; find . -printf '%p %u %g %m %n %s %y %l %T@\\n' | sort >/tmp/b
                 diff /tmp/a /tmp/b; test $(stat -c %b /tmp/back/holes) -lt 100"
            );
            host.sh(&script).prints("");
        }
    }
    // What is in a volume all of them see, whoever put it there.
    host.bulkhead(["exec", "running", "ls", "/vol"]).prints("created\nended\nrunning");
    // One that is frozen does not notice. It goes on before anything is asserted: nobody can end it as it is.
    let frozen = "bulkhead pause running >/dev/null; bulkhead cp /tmp/src/f running:/frozen || true
        bulkhead cp running:/frozen /tmp/frozen || true; bulkhead unpause running >/dev/null; cmp /tmp/frozen /tmp/src/f";
    host.sh(frozen).prints("");
    host.bulkhead(["start", "-a", "created"]).prints("");
    host.finish();
}

#[test]
fn docker_s_rules() {
    let host = Host::new("cp-rules").with_busybox();
    host.sh("mkdir -p /tmp/d/sub; echo file >/tmp/f; echo in >/tmp/d/sub/in; ln -s f /tmp/link; cd /tmp; echo c >'a:b'").prints("");
    for name in containers(&host) {
        let into = |source: &str, target: &str| host.bulkhead(["cp", source, &format!("{name}:{target}")]);
        into("/tmp/f", "/tmp").prints("");
        into("/tmp/f", "/tmp/new").prints("");
        into("/tmp/f", "tmp/new2").prints("");
        into("/tmp/f", "/tmp/new/").fails(1, "not a directory");
        into("/tmp/f", "/tmp/none/").fails(1, "no such directory");
        into("/tmp/f", "/none/x").fails(1, &format!("Could not find the file /none in container {name}"));
        into("/tmp/d", "/tmp/f").fails(1, "cannot copy directory");
        into("/tmp/d", "/tmp/made").prints("");
        into("/tmp/d", "/tmp/made").prints("");
        into("/tmp/d/.", "/tmp/made2").prints("");
        into("/tmp/d/.", "/tmp/made2/").prints("");
        into("/tmp/nosuch", "/tmp").fails(1, "lstat /tmp/nosuch: ");
        into("/tmp/f/", "/tmp").fails(1, "lstat /tmp/f/: ");
        into("/tmp/link", "/tmp").prints("");
        host.bulkhead(["cp", "-L", "/tmp/link", &format!("{name}:/tmp/followed")]).prints("");
        host.sh(&format!(
            "cd /tmp; bulkhead cp ./a:b {name}:/tmp/c:d; bulkhead cp {name}:/tmp/c:d - | tar xO"
        ))
        .prints("c");
        // A folder and a file do not take each other's place.
        into("/tmp/f", "/tmp/x").prints("");
        host.sh(&format!("mkdir -p /tmp/y/x; bulkhead cp /tmp/y/. {name}:/tmp"))
            .fails(1, "cannot overwrite non-directory");
        host.sh(&format!("mkdir -p /tmp/z; touch /tmp/z/made; bulkhead cp /tmp/z/. {name}:/tmp"))
            .fails(1, "cannot overwrite directory \"/tmp/made\" with non-directory");
        // A tar.
        host.sh(&format!("cd /tmp; tar c d | bulkhead cp - {name}:/tmp/made")).prints("");
        host.sh(&format!("cd /tmp; tar c d | bulkhead cp - {name}:/tmp/f"))
            .fails(1, &format!("destination \"{name}:/tmp/f\" must be a directory"));
        host.sh(&format!("cd /tmp; tar c d | bulkhead cp - {name}:/tmp/none"))
            .fails(1, "must be a directory");
        host.sh(&format!("cd /tmp; tar c d | head -c 700 | bulkhead cp - {name}:/tmp"))
            .fails(1, "ends early");
        host.sh(&format!("echo nonsense | bulkhead cp - {name}:/tmp")).fails(1, "archive");
        host.sh(&format!(
            "cd /tmp/d; tar c --transform 's,in,../../../evil,' -P sub/in | bulkhead cp - {name}:/tmp/made"
        ))
        .fails(1, "out of");
        host.sh(&format!("bulkhead cp {name}:/tmp - | tar t | sort | grep -v none"))
            .prints("tmp/\ntmp/c:d\ntmp/d/\ntmp/f\ntmp/followed\ntmp/link\ntmp/made/\ntmp/made/d/\ntmp/made/d/sub/\ntmp/made/d/sub/in\n\
                tmp/made/sub/\ntmp/made/sub/in\ntmp/made2/\ntmp/made2/sub/\ntmp/made2/sub/in\ntmp/new\ntmp/new2\ntmp/x");
        // Out.
        let out = |source: &str, target: &str| host.bulkhead(["cp", &format!("{name}:{source}"), target]);
        host.sh("rm -rf /tmp/o; mkdir /tmp/o; ln -s o /tmp/to").run();
        out("/tmp/new", "/tmp/o").prints("");
        out("/tmp/new", "/tmp/o/as").prints("");
        out("/tmp/new", "/tmp/o/none/").fails(1, "no such directory");
        out("/tmp/new", "/tmp/o/none/x").fails(1, "directory \"/tmp/o/none\" does not exist");
        out("/tmp/made", "/tmp/o/as").fails(1, "cannot copy directory");
        out("/tmp/made", "/tmp/to").prints("");
        out("/tmp/made/.", "/tmp/o/contents").prints("");
        out("/tmp/made/.", "/tmp/o/contents/").prints("");
        out("/tmp/link", "/tmp/o").prints("");
        host.bulkhead(["cp", "-L", &format!("{name}:/tmp/link"), "/tmp/o/followed"]).prints("");
        out("/nosuch", "/tmp/o").fails(1, &format!("Could not find the file /nosuch in container {name}"));
        out("/tmp/new/.", "/tmp/o").fails(1, "");
        host.sh("cd /tmp/o; find . | sort; readlink link; cat followed")
            .prints(".\n./as\n./contents\n./contents/d\n./contents/d/sub\n./contents/d/sub/in\n./contents/sub\n./contents/sub/in\n\
                ./followed\n./link\n./made\n./made/d\n./made/d/sub\n./made/d/sub/in\n./made/sub\n./made/sub/in\n./new\nf\nfile");
        host.sh("rm /tmp/to").prints("");
    }
    host.bulkhead(["cp", "running:/tmp", "ended:/tmp"])
        .fails(1, "copying between containers is not supported");
    host.bulkhead(["cp", "/tmp/f", "/tmp/g"]).fails(1, "must specify at least one container source");
    host.bulkhead(["cp", "running:", "/tmp/g"]).fails(1, "source can not be empty");
    host.bulkhead(["cp", "/tmp/f", "running:"]).fails(1, "destination can not be empty");
    host.bulkhead(["cp", "/tmp/f", "nobody:/"]).fails(1, "No such container: nobody");
    host.bulkhead(["container", "cp", "-q=false", "/tmp/f", "running:/tmp/f"])
        .run()
        .succeeds()
        .says("kB to running:/tmp/f");
    host.finish();
}

#[test]
fn owners_are_the_container_s_root_and_the_caller_unless_they_are_kept() {
    let host = Host::new("cp-owners").with_busybox();
    host.sh("mkdir /tmp/d; echo x >/tmp/d/f; chown -R 33:44 /tmp/d; chmod 2755 /tmp/d/f").prints("");
    for flags in ["--userns=auto", "--userns=host"] {
        host.bulkhead(["run", "-d", "--name", "c1", flags, "-v", "vol:/vol", "busybox", "sleep", "1000"])
            .run()
            .succeeds();
        let id = host.inspect("c1", "{{.Id}}");
        // By the beginning of its ID.
        let short = &id[..12];
        for target in ["/home", "/vol"] {
            let stat =
                ["exec", "c1", "stat", "-c", "%u:%g %a", &format!("{target}/d/f"), &format!("{target}/d")]
                    .map(str::to_owned);
            host.bulkhead(["cp", "/tmp/d", &format!("{short}:{target}")]).prints("");
            host.bulkhead(&stat).prints("0:0 2755\n0:0 755");
            host.bulkhead(["cp", "-a", "/tmp/d", &format!("{short}:{target}")]).prints("");
            host.bulkhead(&stat).prints("33:44 2755\n33:44 755");
            host.sh(&format!("rm -rf /tmp/o; bulkhead cp c1:{target}/d /tmp/o; stat -c '%u:%g %a' /tmp/o/f; bulkhead cp --archive c1:{target}/d/. /tmp/o; stat -c '%u:%g %a' /tmp/o/f"))
                .prints("0:0 2755\n33:44 2755");
        }
        host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    }
    host.bulkhead(["volume", "rm", "vol"]).prints("vol");
    host.finish();
}

#[test]
fn what_is_read_only_is_not_written() {
    let host = Host::new("cp-readonly").with_busybox();
    host.sh("echo x >/tmp/f; mkdir /tmp/bind").prints("");
    let mounts = ["--read-only", "-v", "rw:/rw", "-v", "ro:/ro:ro", "-v", "/tmp/bind:/bind:ro", "busybox"];
    host.bulkhead(["run", "-d", "--name", "c1"].iter().chain(&mounts).chain(&["sleep", "1000"]))
        .run()
        .succeeds();
    host.bulkhead(["create", "--name", "c2"].iter().chain(&mounts).chain(&["true"])).run().succeeds();
    for name in ["c1", "c2"] {
        host.bulkhead(["cp", "/tmp/f", &format!("{name}:/rw/f")]).prints("");
        host.bulkhead(["cp", "/tmp/f", &format!("{name}:/root/f")])
            .fails(1, "container rootfs is marked read-only");
        for target in ["/ro", "/bind/f"] {
            host.bulkhead(["cp", "/tmp/f", &format!("{name}:{target}")])
                .fails(1, "volume is marked read-only");
        }
        host.sh(&format!("bulkhead cp {name}:/rw/f - | tar xO")).prints("x");
        host.bulkhead(["cp", "/tmp/f", &format!("{name}:/dev/null")]).fails(1, "");
    }
    host.sh("ls /tmp/bind").prints("");
    host.finish();
}

#[test]
fn the_whole_root_without_what_the_kernel_shows() {
    let host = Host::new("cp-root").with_busybox();
    for name in containers(&host) {
        host.sh(&format!("rm -rf /tmp/o; bulkhead cp {name}:/ /tmp/o; ls -A /tmp/o/proc /tmp/o/sys; test -s /tmp/o/bin/busybox && ls -d /tmp/o/vol"))
            .prints("/tmp/o/proc:\n\n/tmp/o/sys:\n/tmp/o/vol");
    }
    host.bulkhead(["cp", "running:/proc/self/status", "/tmp/x"]).fails(1, "Could not find the file");
    host.sh("echo x >/tmp/x").prints("");
    host.bulkhead(["cp", "/tmp/x", "running:/proc/sys/kernel/hostname"]).fails(1, "Could not find the file");
    host.finish();
}

#[test]
fn a_hundred_megabytes_arrive_whole_and_a_killed_copy_leaves_nothing() {
    let host = Host::new("cp-large").with_busybox();
    host.sh("head -c 100000000 /dev/urandom >/tmp/big").prints("");
    host.run_detached(["--name", "running", "busybox", "sleep", "1000"]);
    host.bulkhead(["create", "--name", "created", "busybox", "true"]).run().succeeds();
    for name in ["running", "created"] {
        host.sh(&format!("bulkhead cp /tmp/big {name}:/big; bulkhead cp {name}:/big /tmp/back; cmp /tmp/big /tmp/back; rm /tmp/back")).prints("");
        for step in 0..12 {
            let pause = format!("0.{:03}", step * 12);
            let copy = if step % 2 == 0 {
                format!("/tmp/big {name}:/other")
            } else {
                format!("{name}:/big /tmp/back")
            };
            host.sh(&format!("bulkhead cp {copy} 2>/dev/null & pid=$!; sleep {pause}; kill -KILL $pid 2>/dev/null || true; wait $pid || true"))
                .prints("");
        }
        // Whatever was at work has ended, and the container can be had again at once.
        host.bulkhead(["cp", "/tmp/big", &format!("{name}:/other")]).prints("");
    }
    // Nor does one that waits for a tar which never ends outlive its command.
    host.sh(
        "mkfifo /tmp/never; sleep 100 >/tmp/never & writer=$!; bulkhead cp - created:/ </tmp/never & pid=$!; sleep 0.3
         kill -KILL $pid; wait $pid || true; bulkhead start -a created; kill $writer",
    )
    .prints("");
    host.sh("pgrep -x bulkhead || true").prints("");
    host.finish();
}
