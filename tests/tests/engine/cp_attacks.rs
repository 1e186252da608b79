//! `cp` with a container that does all it can about the path: CVE-2018-15664 (a link is swapped in while the path is
//! followed) and CVE-2019-14271 (what is copied is looked up with the container's own libraries). The first attack is
//! shown to succeed against a host's root that looks first and opens then.

use bulkhead_tests::Host;
use bulkhead_tests::host::HELPER;

/// A host with a secret folder, and a container that swaps its folder /tmp/t with a link to that one, in which it has a
/// file of its own.
fn swapping(name: &str, flag: &str) -> Host {
    let host = Host::new(name).with_busybox();
    host.sh("mkdir /tmp/secret; echo of-the-host >/tmp/secret/file; echo evil >/tmp/evil").prints("");
    let script = "mkdir -p /tmp/t /tmp/secret; echo inside >/tmp/t/file; echo inside >/tmp/secret/file; \
        ln -s /tmp/secret /tmp/l; echo ready; exec /helper swap /tmp/t /tmp/l";
    host.run_detached([
        "--name",
        "c1",
        flag,
        "-v",
        &format!("{HELPER}:/helper:ro"),
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    bulkhead_tests::wait::until("it swaps", || host.bulkhead(["logs", "c1"]).stdout() == "ready");
    host
}

#[test]
fn a_link_that_is_swapped_in_leads_nowhere() {
    for (name, flag) in [("cp-swap", "--userns=auto"), ("cp-swap-host", "--userns=host")] {
        let host = swapping(name, flag);
        // The naive way: no link there? Then open it.
        let pid = host.inspect("c1", "{{.State.Pid}}");
        host.sh(&format!(
            "root=/proc/{pid}/root; for i in $(seq 200000); do if [ ! -L $root/tmp/t ]; then read -r line <$root/tmp/t/file || true; \
             if [ \"$line\" = of-the-host ]; then echo beaten; exit; fi; fi; done"
        ))
        .prints("beaten");
        // Ours: what comes out is the container's, whatever it was that was found; what goes in stays inside.
        host.sh("mkdir /tmp/e; echo evil >/tmp/e/file; for i in $(seq 60); do
               bulkhead cp c1:/tmp/t/file - 2>/dev/null | tar xO 2>/dev/null | grep -v inside | grep -v evil
               bulkhead cp -L c1:/tmp/t - 2>/dev/null | tar xO 2>/dev/null | grep -v inside | grep -v evil
               rm -rf /tmp/o; bulkhead cp c1:/tmp/. /tmp/o 2>/dev/null; grep -rhs of-the-host /tmp/o
               bulkhead cp /tmp/evil c1:/tmp/t/file 2>/dev/null
               bulkhead cp /tmp/e/. c1:/tmp/t 2>/dev/null
               (cd /tmp; tar c --transform s,e/,t/, e/file) | bulkhead cp - c1:/tmp 2>/dev/null
             done || true; cat /tmp/secret/file; ls /tmp/secret")
            .timeout(120)
            .prints("of-the-host\nfile");
        // And the copies did arrive: it was not only refused.
        host.bulkhead(["exec", "c1", "cat", "/tmp/secret/file"]).prints("evil");
        host.finish();
    }
}

#[test]
fn links_in_the_container_lead_to_the_container() {
    let host = Host::new("cp-links").with_busybox();
    host.sh("mkdir /tmp/secret; echo of-the-host >/tmp/secret/file; echo x >/tmp/x").prints("");
    let script = "mkdir /tmp/secret; echo inside >/tmp/secret/file; ln -s /tmp/secret/file /abs; ln -s ../../../../tmp/secret /up; \
        ln -s /proc/1/root/tmp/secret/file /magic; ln -s /nowhere/x /dangling; ln -s /tmp/secret/made /tomake; ln -s loop /loop";
    host.bulkhead(["run", "--name", "c1", "busybox", "sh", "-c", script]).prints("");
    host.run_detached(["--name", "c2", "busybox", "sh", "-c", &format!("{script}; exec sleep 1000")]);
    bulkhead_tests::wait::until("its links are there", || {
        host.bulkhead(["diff", "c2"]).stdout().contains("A /loop")
    });
    for name in ["c1", "c2"] {
        for (path, expected) in
            [("/abs", "inside"), ("/up/file", "inside"), ("/tmp/../../../up/file", "inside")]
        {
            host.sh(&format!("bulkhead cp -L {name}:{path} - | tar xO")).prints(expected);
        }
        host.bulkhead(["cp", "-L", &format!("{name}:/magic"), "-"]).fails(1, "");
        host.bulkhead(["cp", "-L", &format!("{name}:/loop"), "-"]).fails(1, "");
        host.bulkhead(["cp", "/tmp/x", &format!("{name}:/loop")]).fails(1, "loop of symbolic links");
        host.bulkhead(["cp", "/tmp/x", &format!("{name}:/dangling")]).fails(1, "Could not find the file");
        // Where a link leads is where the file is made.
        host.bulkhead(["cp", "/tmp/x", &format!("{name}:/tomake")]).prints("");
        host.sh(&format!("bulkhead cp {name}:/tmp/secret/made - | tar xO")).prints("x");
    }
    host.sh("ls /tmp/secret").prints("file");
    host.finish();
}

#[test]
fn pipes_and_devices_are_never_opened() {
    let host = Host::new("cp-pipes").with_busybox();
    // Where the C library, or a user's name, would be looked up.
    let script = "for f in /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.preload /etc/ld.so.cache; do rm -f $f; mkfifo $f; done; \
        mkdir /lib /lib64; echo junk >/lib/libnss_files.so.2; mkfifo /pipe; mkdir /d; mkfifo /d/pipe; echo x >/d/file";
    host.bulkhead([
        "run",
        "--name",
        "c1",
        "--userns=host",
        "busybox",
        "sh",
        "-c",
        &format!("{script}; mknod /d/zero c 1 5"),
    ])
    .prints("");
    host.run_detached([
        "--name",
        "c2",
        "busybox",
        "sh",
        "-c",
        &format!("{script}; echo ready; exec sleep 1000"),
    ]);
    bulkhead_tests::wait::until("it is ready", || host.bulkhead(["logs", "c2"]).stdout() == "ready");
    host.sh("echo y >/tmp/y").prints("");
    for name in ["c1", "c2"] {
        host.sh(&format!("bulkhead cp {name}:/d - | tar t | grep -v zero")).prints("d/\nd/file\nd/pipe");
        host.sh(&format!("bulkhead cp {name}:/pipe - | tar tv | cut -c1")).prints("p");
        host.bulkhead(["cp", "/tmp/y", &format!("{name}:/pipe")])
            .fails(1, "must be a directory or a regular file");
        host.bulkhead(["cp", "/tmp/y", &format!("{name}:/d")]).prints("");
        // A pipe in the way is replaced, not written to.
        host.sh(&format!("mkdir -p /tmp/n; echo z >/tmp/n/pipe; bulkhead cp /tmp/n/. {name}:/d; bulkhead cp {name}:/d/pipe - | tar xO")).prints("z");
        host.sh(&format!("bulkhead export {name} | tar t | grep -c pipe")).prints("2");
        host.bulkhead(["diff", name]).run().succeeds();
    }
    host.finish();
}
