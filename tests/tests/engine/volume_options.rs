//! Volumes of the driver local with options: a folder of the host, a file system in memory.

use bulkhead_tests::Host;

#[test]
fn a_folder_of_the_host() {
    let host = Host::new("volume-bind").with_busybox();
    host.sh("mkdir /run/folder; chmod 777 /run/folder; echo there > /run/folder/file").prints("");
    let options = ["-o", "type=none", "-o", "o=bind", "-o", "device=/run/folder"];
    host.bulkhead(["volume", "create", "-d", "local"].into_iter().chain(options).chain(["vol"]))
        .prints("vol");
    host.bulkhead(["volume", "inspect", "-f", "{{.Options.device}} {{.Options.o}}", "vol"])
        .prints("/run/folder bind");
    let run = |script: &str| host.bulkhead(["run", "--rm", "-v", "vol:/d", "busybox", "sh", "-c", script]);
    run("cat /d/file; echo more > /d/more").prints("there");
    host.sh("cat /run/folder/more").prints("more");
    // It is nobody's of the engine's: what is in it stays.
    host.bulkhead(["volume", "rm", "vol"]).prints("vol");
    host.sh("ls /run/folder").prints("file\nmore");
    // A volume of that name that is made later has none of its options.
    run("ls -A /d").prints("");
    host.bulkhead(["volume", "rm", "vol"]).prints("vol");
    // Read-only, and made by what uses it.
    let mount = "type=volume,source=wol,target=/d,volume-opt=type=none,volume-opt=device=/run/folder,\"volume-opt=o=bind,ro\",volume-label=of=tests";
    host.bulkhead(["run", "--rm", "--mount", mount, "busybox", "sh", "-c", "cat /d/file; echo x > /d/x"])
        .fails(1, "Read-only file system")
        .shows("there");
    host.bulkhead(["volume", "inspect", "-f", "{{.Labels.of}} {{.Options.type}}", "wol"])
        .prints("tests none");
    // What root owns on the host is as safe as in any bind.
    host.sh("mkdir -m 755 /run/roots; echo secret > /run/roots/file; chmod 600 /run/roots/file").prints("");
    let options = ["-o", "type=none", "-o", "o=bind", "-o", "device=/run/roots"];
    host.bulkhead(["volume", "create"].into_iter().chain(options).chain(["roots"])).prints("roots");
    let steal = ["run", "--rm", "-v", "roots:/d", "busybox", "sh", "-c", "cat /d/file || echo x > /d/x"];
    host.bulkhead(steal).fails(1, "Permission denied").hides("secret");
    // One that is not there.
    host.sh("mv /run/roots /run/away").prints("");
    host.bulkhead(["run", "--rm", "-v", "roots:/d", "busybox", "true"]).fails(125, "/run/roots");
    host.bulkhead(["volume", "rm", "roots", "wol"]).prints("roots\nwol");
    host.finish_clean();
}

#[test]
fn a_file_system_in_memory() {
    let host = Host::new("volume-tmpfs").with_busybox();
    let options = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=1m,mode=0700"];
    host.bulkhead(["volume", "create"].into_iter().chain(options).chain(["vol"])).prints("vol");
    let script = "stat -c %a /d; grep -c ' /d tmpfs rw.*size=1024k' /proc/mounts; cp /bin/busybox /d/x 2>&1 | grep -c space";
    host.bulkhead(["run", "--name", "c1", "-v", "vol:/d", "busybox", "sh", "-c", script]).prints("700\n1\n1");
    // What the image has there is copied in, with its mode.
    host.bulkhead([
        "run",
        "--rm",
        "--mount",
        "type=volume,target=/etc,volume-opt=type=tmpfs,volume-opt=device=x",
        "busybox",
        "sh",
        "-c",
        "grep -c /bin/sh /etc/passwd; grep -c ' /etc tmpfs' /proc/mounts; stat -c %a /etc",
    ])
    .prints("1\n1\n755");
    // It ended with its container, and nothing is mounted on the host.
    host.bulkhead(["run", "--rm", "-v", "vol:/d", "busybox", "ls", "-A", "/d"]).prints("");
    host.sh("ls -A /var/lib/bulkhead/volumes/vol/_data; grep -c /volumes/ /proc/mounts || true").prints("0");
    // Killed in the middle, there is nothing to be put right.
    host.run_detached(["--name", "c2", "-v", "vol:/d", "busybox", "sleep", "1000"]);
    let supervisor = "pid=$(bulkhead inspect -f '{{.State.Pid}}' c2); kill -9 $(awk '/^PPid:/ {print $2}' /proc/$pid/status)";
    host.sh(supervisor).prints("");
    host.bulkhead(["wait", "c2"]).prints("137");
    host.bulkhead(["start", "c2"]).prints("c2");
    host.bulkhead(["rm", "-f", "c1", "c2"]).prints("c1\nc2");
    host.bulkhead(["volume", "rm", "vol"]).prints("vol");
    host.finish_clean();
}

#[test]
fn what_cannot_be_held_is_refused() {
    let host = Host::new("volume-options-refused").with_busybox();
    for (options, needle) in [
        (&["-o", "what=ever"][..], "invalid option: \"what\""),
        (&["-o", "type=tmpfs"], "missing required option: \"device\""),
        (&["-o", "device=/x", "-o", "o=bind"], "missing required option: \"type\""),
        (&["-o", "type=none", "-o", "device=/x"], "o=bind"),
        (&["-o", "type=none", "-o", "device=x", "-o", "o=bind"], "absolute path"),
        (&["-o", "type=nfs", "-o", "device=:/x", "-o", "o=addr=127.0.0.1"], "type \"nfs\""),
        (&["-d", "other"], "error looking up volume plugin other"),
    ] {
        host.bulkhead(["volume", "create"].iter().chain(options).chain(&["vol"])).fails(1, needle);
    }
    host.bulkhead(["volume", "ls", "-q"]).prints("");
    let mount = "type=volume,source=wol,target=/d,volume-opt=type=nfs,volume-opt=device=x";
    host.bulkhead(["run", "--rm", "--mount", mount, "busybox", "true"]).fails(125, "type \"nfs\"");
    host.bulkhead(["volume", "ls", "-q"]).prints("");
    host.finish_clean();
}

/// Killed at any moment, a volume is there with its options, or it is not there.
#[test]
fn killed_in_the_middle() {
    let host = Host::new("volume-options-killed").with_busybox();
    host.sh("mkdir /run/folder; chmod 777 /run/folder; echo there > /run/folder/file
        for i in $(seq 1 30); do
            timeout -s KILL $(printf 0.%03d $i) bulkhead volume create -o type=none -o o=bind -o device=/run/folder v$i >/dev/null 2>&1 || true
            if bulkhead volume inspect v$i >/dev/null 2>&1; then
                test \"$(bulkhead run --rm -v v$i:/d busybox cat /d/file)\" = there
                bulkhead volume rm v$i >/dev/null
            fi
        done
        bulkhead volume ls -q; ls /var/lib/bulkhead/volumes")
        .prints("");
    host.finish_clean();
}
