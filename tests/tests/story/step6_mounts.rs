//! A container's mounts: its own are seen by nobody else, and those of the host are what was asked for.

use bulkhead_tests::Host;

#[test]
fn a_mount_made_inside_stays_inside() {
    let host = Host::new("step6").with_busybox();
    let mount = "mkdir /m && mount -t tmpfs made-inside /m && grep -c made-inside /proc/mounts";
    // Without the capability it cannot even be made.
    let refused = host.bulkhead(["run", "--rm", "busybox", "sh", "-c", mount]).run();
    assert_ne!(refused.code(), 0, "{refused}");
    refused.says("denied");

    host.run_detached(["--name", "maker", "--cap-add", "SYS_ADMIN", "busybox", "sleep", "1000"]);
    host.bulkhead(["exec", "maker", "sh", "-c", mount]).prints("1");
    let seen = "grep -c made-inside /proc/mounts || true";
    host.sh(seen).prints("0");
    host.bulkhead(["run", "--rm", "busybox", "sh", "-c", seen]).prints("0");
    host.finish();
}

#[test]
fn mounts_go_in_and_out_only_where_propagation_says_so() {
    let host = Host::new("step6-propagation").with_busybox();
    host.sh("mkdir -p /tmp/shared && mount -t tmpfs shared /tmp/shared && mount --make-shared /tmp/shared")
        .prints("");
    let inside = "mkdir -p /s/in && mount -t tmpfs made-inside /s/in && sleep 1000";
    let outside = "grep -c made-inside /proc/mounts || true";
    let start = |mode: &str| {
        let volume = format!("/tmp/shared:/s{mode}");
        host.run_detached([
            "--name",
            "maker",
            "--cap-add=SYS_ADMIN",
            "--userns=host",
            "-v",
            &volume,
            "busybox",
            "sh",
            "-c",
            inside,
        ]);
        let made = "until grep -q made-inside /proc/mounts; do sleep 0.01; done";
        host.bulkhead(["exec", "maker", "sh", "-c", made]).prints("");
    };
    for mode in ["", ":rprivate", ":rslave"] {
        start(mode);
        host.sh(outside).prints("0");
        host.bulkhead(["rm", "-f", "maker"]).prints("maker");
    }
    start(":rshared");
    host.sh(outside).prints("1");
    host.bulkhead(["rm", "-f", "maker"]).prints("maker");
    // A container with a user namespace of its own mounts nothing on the host.
    let shared = ["run", "--rm", "-v", "/tmp/shared:/s:rshared", "busybox", "true"];
    host.bulkhead(shared).fails(125, "rshared");
    host.sh("umount /tmp/shared/in; umount /tmp/shared").prints("");
    host.finish_clean();
}

#[test]
fn bind_mounts() {
    let host = Host::new("step6-bind").with_busybox();
    // A folder of an ordinary user's, as most are.
    host.sh("mkdir /tmp/src && echo from host > /tmp/src/file && chown -R 1000:1000 /tmp/src").prints("");
    let sh = |flags: &[&str], script: &str| {
        let run = ["run", "--rm"].into_iter().chain(flags.iter().copied());
        host.bulkhead(run.chain(["busybox", "sh", "-c", script]))
    };
    sh(&["-v", "/tmp/src:/dst"], "cat /dst/file; echo from container > /dst/new").prints("from host");
    host.sh("cat /tmp/src/new").prints("from container");
    for read_only in [
        ["-v", "/tmp/src:/dst:ro"],
        ["--mount", "type=bind,source=/tmp/src,target=/dst,readonly"],
        ["--mount", "type=bind,src=/tmp/src,dst=/dst,ro"],
    ] {
        sh(&read_only, "cat /dst/file").prints("from host");
        sh(&read_only, "echo x > /dst/new").fails(1, "Read-only file system");
        sh(&read_only, "rm /dst/file").fails(1, "Read-only file system");
    }
    // A single file; over a file of the image.
    sh(&["-v", "/tmp/src/file:/etc/passwd:ro"], "cat /etc/passwd").prints("from host");
    // `-v` makes a source that is missing; `--mount` refuses.
    sh(&["-v", "/tmp/made:/dst"], "echo x > /dst/y").prints("");
    host.sh("cat /tmp/made/y").prints("x");
    sh(&["--mount", "type=bind,source=/tmp/missing,target=/dst"], "true")
        .fails(125, "bind source path does not exist: /tmp/missing");
    host.sh("test ! -e /tmp/missing").prints("");
    // Bad words.
    sh(&["-v", "/tmp/src:dst"], "true").fails(125, "dst");
    sh(&["-v", "/tmp/src:/dst:sideways"], "true").fails(125, "invalid mode: sideways");
    sh(&["-v", "/tmp/src:/"], "true").fails(125, "/");
    sh(&["--mount", "type=bind,target=/dst"], "true").fails(125, "source");
    sh(&["-v", "/tmp/src:/dst", "-v", "/tmp:/dst"], "true").fails(125, "Duplicate mount point: /dst");
    host.finish_clean();
}

#[test]
fn tmpfs_and_read_only_roots() {
    let host = Host::new("step6-tmpfs").with_busybox();
    let sh = |flags: &[&str], script: &str| {
        let run = ["run", "--rm"].into_iter().chain(flags.iter().copied());
        host.bulkhead(run.chain(["busybox", "sh", "-c", script]))
    };
    let size = "df -k /t | tail -n1 | awk '{print $2}'";
    sh(&["--tmpfs", "/t:size=64k,mode=1777"], &format!("{size}; stat -c %a /t")).prints("64\n1777");
    sh(
        &["--mount", "type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=700"],
        &format!("{size}; stat -c %a /t"),
    )
    .prints("1024\n700");
    sh(&["--tmpfs", "/t:size=64k"], "dd if=/dev/zero of=/t/x bs=64k count=2").fails(1, "No space left");
    // Docker's defaults for --tmpfs.
    sh(&["--tmpfs", "/t"], "cp /bin/busybox /t/ls && /t/ls").fails(126, "Permission denied");
    sh(&["--tmpfs", "/t:exec"], "cp /bin/busybox /t/true && /t/true").prints("");

    sh(&[], "touch /x /etc/x").prints("");
    sh(&["--read-only"], "touch /x").fails(1, "Read-only file system");
    sh(&["--read-only"], "touch /etc/x").fails(1, "Read-only file system");
    sh(&["--read-only", "--tmpfs", "/t"], "touch /t/x /dev/shm/x").prints("");
    sh(&["--read-only"], "echo x > /etc/hosts").fails(1, "Read-only");
    host.finish_clean();
}

#[test]
fn volumes_outlive_their_containers() {
    let host = Host::new("step6-volumes").with_busybox();
    let mount = "type=volume,source=data,target=/data";
    host.bulkhead(["run", "--rm", "--mount", mount, "busybox", "sh", "-c", "echo kept > /data/x"]).prints("");
    host.bulkhead(["run", "--rm", "-v", "data:/elsewhere", "busybox", "cat", "/elsewhere/x"]).prints("kept");
    let read_only = ["run", "--rm", "-v", "data:/d:ro", "busybox", "touch", "/d/y"];
    host.bulkhead(read_only).fails(1, "Read-only file system");
    // A new volume takes what the image has at its place.
    host.bulkhead(["run", "--rm", "-v", "etc:/etc", "busybox", "grep", "-c", "^root:", "/etc/passwd"])
        .prints("1");
    host.bulkhead(["run", "--rm", "-v", "etc:/etc", "busybox", "touch", "/etc/written"]).prints("");
    host.bulkhead(["run", "--rm", "busybox", "test", "!", "-e", "/etc/written"]).prints("");
    // One without a name goes with its container when that is removed by --rm.
    host.bulkhead(["run", "--rm", "-v", "/anonymous", "busybox", "touch", "/anonymous/x"]).prints("");
    host.finish_clean();
}
