//! Bundles that are made to get at the host: each attack must fail, and the others of its kind go on.

use bulkhead_tests::Host;
use serde_json::json;

use crate::Bundle;
use crate::bundle::oci;

#[test]
fn the_kernel_s_file_systems_are_not_mounted_over_links() {
    let host = Host::new("oci-links");
    for place in ["proc", "sys", "dev/mqueue"] {
        let bundle = Bundle::new(&host, "b", "true");
        if place == "dev/mqueue" {
            // Below a /dev of the image's own there can be links.
            bundle
                .with(|config| {
                    let mounts = config["mounts"].as_array_mut().unwrap();
                    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
                    mounts.insert(
                        0,
                        json!({ "destination": "/dev", "source": "/run/b/rootfs/dev", "options": ["bind"] }),
                    );
                    mounts
                        .push(json!({ "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue" }));
                    config["linux"]["maskedPaths"] = json!([]);
                })
                .run("")
                .run();
        }
        host.sh(&format!("cd /run/b/rootfs; rmdir {place} || rm -rf {place}; mkdir -p tmp/elsewhere; ln -s /tmp/elsewhere {place}"))
            .run()
            .succeeds();
        oci(&host, "run --bundle /run/b test < /dev/null").fails(1, "it is a symbolic link in the image");
        host.sh("ls /run/b/rootfs/tmp/elsewhere").prints("");
        host.sh("rm -rf /run/b").run().succeeds();
    }
    oci(&host, "list -q").prints("");
    host.finish();
}

#[test]
fn a_mount_point_that_leads_out_of_the_root_leads_nowhere() {
    let host = Host::new("oci-targets");
    host.sh("mkdir /run/outside /run/data; echo host > /run/outside/file; echo data > /run/data/file")
        .run()
        .succeeds();
    for link in ["/run/outside", "../../outside", "../../../../../../run/outside"] {
        let bundle = Bundle::new(&host, "b", "cat /link/file").with(|config| {
            let mount = json!({ "destination": "/link", "source": "/run/data", "options": ["bind"] });
            config["mounts"].as_array_mut().unwrap().push(mount);
        });
        host.sh(&format!(
            "ln -s {link} /run/b/rootfs/link; mkdir -p /run/b/rootfs/run/outside /run/b/rootfs/outside"
        ))
        .run()
        .succeeds();
        bundle.run("").prints("data");
        host.sh("cat /run/outside/file").prints("host");
        host.sh("rm -rf /run/b").run().succeeds();
    }
    host.finish();
}

#[test]
fn no_working_directory_leads_to_a_descriptor_of_ours() {
    let host = Host::new("oci-cwd");
    let bundle = Bundle::new(&host, "b", "pwd -P; cat ../../../etc/hostname");
    host.sh("ln -s /proc/self/fd/7 /run/b/rootfs/link").run().succeeds();
    let ways = (3..24).flat_map(|fd| [format!("/proc/self/fd/{fd}"), format!("/proc/1/fd/{fd}/../..")]);
    let mut bundle = bundle;
    for way in ways.chain(["/link".to_owned(), "/proc/self/root/..".to_owned(), "/proc/self/cwd".to_owned()])
    {
        bundle.config["process"]["cwd"] = json!(way);
        bundle.write();
        let output = bundle.run("").run();
        assert_ne!(output.code(), 0, "{way}: {output}");
    }
    Bundle::new(&host, "c", "exec sleep 1000").start("one");
    for fd in 3..16 {
        let output =
            oci(&host, &format!("exec --cwd /proc/self/fd/{fd} one sh -c 'cat ../../../etc/hostname'")).run();
        assert_ne!(output.code(), 0, "{fd}: {output}");
    }
    oci(&host, "delete -f one").run().succeeds();
    host.finish();
}

#[test]
fn a_null_device_that_is_none_masks_nothing() {
    let host = Host::new("oci-null");
    let bundle = Bundle::new(&host, "b", "cat /proc/kcore").with(|config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        mounts.push(json!({ "destination": "/dev", "source": "/run/dev", "options": ["bind"] }));
    });
    host.sh("mkdir /run/dev; echo evil > /run/dev/null").run().succeeds();
    bundle.run("").fails(1, "/dev/null in the container is not the null device");
    host.sh("rm /run/dev/null; ln -s /proc/sysrq-trigger /run/dev/null").run().succeeds();
    bundle.run("").fails(1, "/dev/null");
    host.finish();
}

#[test]
fn the_runtime_s_executable_cannot_be_written_from_inside() {
    let host = Host::new("oci-exe");
    host.sh("mkdir /run/own; cp $(command -v bulkhead) /run/own/bulkhead-runtime; sha256sum /run/own/bulkhead-runtime > /run/sum")
        .run()
        .succeeds();
    // A program that is the runtime itself by way of /proc, and one that writes to whatever runs beside it.
    let bundle = Bundle::new(&host, "b", "")
        .with(|config| config["process"]["args"] = json!(["/proc/self/exe", "oci", "--version"]));
    let run =
        |id: &str| host.sh(&format!("/run/own/bulkhead-runtime run --bundle /run/b {id} < /dev/null")).run();
    let _ = run("one");
    let script = "for n in 1 2 3 4 5 6 7 8 9 10 11 12; do for exe in /proc/[0-9]*/exe; do \
                  case $(readlink $exe) in *bulkhead*) echo evil > $exe && echo WROTE;; esac; done; sleep 0.02; done; true";
    let bundle = bundle.with(|config| config["process"]["args"] = json!(["sh", "-c", script]));
    host.sh(
        "/run/own/bulkhead-runtime run --detach --bundle /run/b two < /dev/null > /run/said 2> /dev/null",
    )
    .run()
    .succeeds();
    for _ in 0..10 {
        let _ = host.sh("/run/own/bulkhead-runtime exec two true < /dev/null").run();
    }
    crate::bundle::await_status(&host, "two", "stopped");
    host.sh("cat /run/said").prints("");
    host.sh("sha256sum --check --quiet /run/sum").run().succeeds();
    oci(&host, "delete two").run().succeeds();
    drop(bundle);
    host.finish();
}

#[test]
fn a_mount_point_that_is_swapped_meanwhile_never_leads_out() {
    let host = Host::new("oci-race");
    host.sh("mkdir /run/outside").run().succeeds();
    let bundle = Bundle::new(&host, "b", "true").with(|config| {
        for number in 0..8 {
            let target = format!("/race/{number}/deep");
            let mount = json!({ "destination": target, "type": "tmpfs", "source": "t" });
            config["mounts"].as_array_mut().unwrap().push(mount);
        }
    });
    let swap = "cd /run/b/rootfs; mkdir real; ln -s /run/outside link; \
                until test -e /run/stop; do mv -T real race; mv -T race real; mv -T link race; mv -T race link; done 2> /dev/null";
    let mut swapping = host.sh(swap).start();
    for _ in 0..20 {
        // It may fail, and it may not; what matters is what it does not do.
        let _ = bundle.run("").run();
    }
    host.sh("touch /run/stop").run().succeeds();
    swapping.finish();
    host.sh("ls /run/outside; grep -c /run/outside /proc/self/mountinfo || true").prints("0");
    host.finish();
}
