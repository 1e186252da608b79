//! Mounts and their options, devices, masked and read-only paths.

use bulkhead_tests::{Host, skip};
use serde_json::{Value, json};

use crate::Bundle;

fn add(config: &mut Value, mount: Value) {
    config["mounts"].as_array_mut().unwrap().push(mount);
}

fn bind(target: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": target, "source": source, "options": options })
}

/// The options that /proc/self/mountinfo has of a mount, in the container.
const OPTIONS: &str = "of() { awk -v at=$1 '$5 == at { print $6 }' /proc/self/mountinfo; }; ";

#[test]
fn attributes_are_those_asked_for() {
    let host = Host::new("oci-attributes");
    host.sh("mkdir -p /run/source/below; mount -t tmpfs t /run/source/below; echo x > /run/source/file")
        .run()
        .succeeds();
    let script = format!("{OPTIONS} of /a; of /b; of /b/below; of /c/below; of /t; cat /rel; of /");
    let bundle = Bundle::new(&host, "b", &script).with(|config| {
        add(config, bind("/a", "/run/source", &["bind", "ro", "nosuid", "nodev", "noexec", "noatime"]));
        add(config, bind("/b", "/run/source", &["rbind", "ro"]));
        add(config, bind("/c", "/run/source", &["rbind", "rro", "rnosuid"]));
        add(config, json!({ "destination": "/t", "type": "tmpfs", "source": "t", "options": ["size=64k", "nodiratime"] }));
        add(config, bind("rel", "rootfs/etc/passwd", &["bind", "ro"]));
        config["root"]["readonly"] = json!(true);
    });
    let said = bundle.run("").stdout();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[..4],
        ["ro,nosuid,nodev,noexec,noatime", "ro,relatime", "rw,relatime", "ro,nosuid,relatime"],
        "{said}"
    );
    assert_eq!(lines[4..6], ["rw,nodiratime,relatime", "root:x:0:0:root:/root:/bin/sh"], "{said}");
    assert!(lines[6].starts_with("ro"), "{said}");
    let bundle = bundle.with(|config| add(config, bind("/d", "/run/source", &["bind", "size=3"])));
    bundle.run("").fails(1, "the option size of a bind is not supported");
    host.sh("umount /run/source/below").run().succeeds();
    host.finish();
}

#[test]
fn mounts_travel_as_far_as_their_propagation_says() {
    let host = Host::new("oci-propagation");
    let prepare = "mkdir -p /run/shared; mount -t tmpfs t /run/shared; mount --make-shared /run/shared; mkdir /run/shared/m";
    host.sh(prepare).run().succeeds();
    let script = "until test -e /private/go; do sleep 0.01; done; for at in private slave shared; do \
                  test -e /$at/m/file && echo $at; done; mount -t tmpfs t /shared/m; mount -t tmpfs t /slave; true";
    let bundle = Bundle::new(&host, "b", script).with(|config| {
        for (target, option) in [("/private", "rprivate"), ("/slave", "rslave"), ("/shared", "rshared")] {
            add(config, bind(target, "/run/shared", &["rbind", option]));
        }
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set] = json!(["CAP_SYS_ADMIN"]);
        }
    });
    bundle.create("one");
    host.sh("mount -t tmpfs t /run/shared/m; touch /run/shared/m/file; bulkhead oci start one; touch /run/shared/go")
        .run()
        .succeeds();
    crate::bundle::await_status(&host, "one", "stopped");
    host.sh("cat /run/output").prints("slave\nshared");
    host.sh("grep -c ' /run/shared/m ' /proc/self/mountinfo").prints("2");
    crate::bundle::oci(&host, "delete one").run().succeeds();
    host.sh("umount /run/shared/m /run/shared/m /run/shared").run().succeeds();
    host.finish();
}

#[test]
fn a_memory_file_system_can_begin_with_what_the_image_has() {
    let host = Host::new("oci-copy-up");
    let bundle = Bundle::new(&host, "b", "cat /etc/passwd; echo gone > /etc/passwd").with(|config| {
        add(
            config,
            json!({ "destination": "/etc", "type": "tmpfs", "source": "t", "options": ["tmpcopyup"] }),
        );
    });
    bundle.run("").prints("root:x:0:0:root:/root:/bin/sh");
    bundle.run("").prints("root:x:0:0:root:/root:/bin/sh");
    host.finish();
}

#[test]
fn ids_of_a_bind_are_mapped_as_asked_for() {
    let host = Host::new("oci-idmap");
    host.sh("mkdir /run/data; touch /run/data/file; chown 5:6 /run/data/file; chmod 777 /run/data")
        .run()
        .succeeds();
    let mapping = |host_id: u32| json!([{ "containerID": 0, "hostID": host_id, "size": 1000 }]);
    let bundle = Bundle::new(&host, "b", "stat -c %u:%g /data/file; touch /data/new").with(|config| {
        let mut mount = bind("/data", "/run/data", &["bind", "idmap"]);
        mount["uidMappings"] = mapping(2000);
        mount["gidMappings"] = mapping(3000);
        add(config, mount);
    });
    let output = bundle.run("").run();
    if output.code() != 0 && host.sh("stat -f -c %T /run").stdout() != "tmpfs" {
        skip!("the file system of /run maps no IDs");
    }
    assert!(output.stdout().starts_with("2005:3006"), "{output}");
    // In a container with users of its own, they are given as its own mapping has them.
    let bundle = Bundle::new(&host, "c", "stat -c %u:%g /data/file; touch /data/new").with(|config| {
        config["linux"]["uidMappings"] = json!([{ "containerID": 0, "hostID": 300_000, "size": 65_536 }]);
        config["linux"]["gidMappings"] = config["linux"]["uidMappings"].clone();
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
        add(config, bind("/data", "/run/data", &["bind", "idmap"]));
    });
    host.sh("chown 300000:300000 /run/c/rootfs").run().succeeds();
    bundle.run("").prints("5:6");
    host.sh("stat -c %u:%g /run/data/new").prints("0:0");
    host.finish();
}

#[test]
fn ids_are_mapped_below_only_if_that_is_asked_for() {
    let host = Host::new("oci-ridmap");
    host.sh(
        "mkdir -p /run/data/below; mount -t tmpfs t /run/data/below; chown 5:6 /run/data /run/data/below",
    )
    .run()
    .succeeds();
    let mapping = json!([{ "containerID": 0, "hostID": 2000, "size": 1000 }]);
    let bundle = Bundle::new(&host, "b", "stat -c %u:%g /one /one/below /all /all/below").with(|config| {
        for (target, option) in [("/one", "idmap"), ("/all", "ridmap")] {
            let mut mount = bind(target, "/run/data", &["rbind", option]);
            mount["uidMappings"] = mapping.clone();
            mount["gidMappings"] = mapping.clone();
            add(config, mount);
        }
    });
    let output = bundle.run("").run();
    if output.code() != 0 && host.sh("stat -f -c %T /run").stdout() != "tmpfs" {
        skip!("the file system of /run maps no IDs");
    }
    assert_eq!(output.stdout(), "2005:2006\n5:6\n2005:2006\n2005:2006\n", "{output}");
    host.sh("umount /run/data/below").run().succeeds();
    host.finish();
}

#[test]
fn devices_are_the_standard_ones_and_those_named() {
    let host = Host::new("oci-devices");
    let script = "ls -l /dev/null /dev/mine | tr -s ' ' | cut -d' ' -f1,3-6; readlink /dev/stdin; readlink /dev/ptmx; \
                  cat /dev/mine > /dev/null && echo open; cat /dev/zero | head -c 1 | wc -c; cat /dev/other";
    let bundle = Bundle::new(&host, "b", script).with(|config| {
        config["linux"]["devices"] = json!([
            { "type": "c", "path": "/dev/mine", "major": 1, "minor": 11, "fileMode": 0o640, "uid": 7, "gid": 8 },
            { "type": "c", "path": "/dev/other", "major": 1, "minor": 11 },
        ]);
    });
    let output = bundle.run("").run();
    output.ends_with(1);
    output.says("Operation not permitted");
    let said = output.stdout();
    assert!(said.contains("crw-r----- 7 8 1, 11"), "{said}");
    assert!(said.contains("/proc/self/fd/0\npts/ptmx\n1\n"), "not allowed, so not opened: {said}");
    for (device, reason) in [
        (json!({ "type": "c", "path": "/a/../b", "major": 1, "minor": 3 }), "linux.devices[0].path"),
        (json!({ "type": "c", "path": "dev/x", "major": 1, "minor": 3 }), "linux.devices[0].path"),
        (json!({ "type": "c", "path": "/etc/passwd", "major": 1, "minor": 3 }), "something else is there"),
        (json!({ "type": "p", "path": "/bin" }), "something else is there"),
        (json!({ "type": "x", "path": "/dev/x" }), "linux.devices[0].type"),
    ] {
        let bundle =
            Bundle::new(&host, "c", "true").with(|config| config["linux"]["devices"] = json!([device]));
        bundle.run("").fails(1, reason);
        host.sh("rm -r /run/c").run().succeeds();
    }
    host.finish();
}

#[test]
fn masked_and_readonly_paths_are_that() {
    let host = Host::new("oci-masks");
    let script = "ls /etc/secret | wc -l; wc -c < /etc/one; echo 1 > /proc/sys/kernel/panic || echo ro; \
                  echo x > /etc/fixed || echo ro";
    let bundle = Bundle::new(&host, "b", script).with(|config| {
        config["linux"]["maskedPaths"] = json!(["/etc/secret", "/etc/one", "/nothing/here"]);
        config["linux"]["readonlyPaths"] = json!(["/proc/sys", "/etc/fixed", "/nothing/here"]);
    });
    host.sh("cd /run/b/rootfs/etc; mkdir secret; touch secret/a fixed; echo one > one").run().succeeds();
    bundle.run("").prints("0\n0\nro\nro");
    host.finish();
}

#[test]
fn devices_can_be_pipes_and_anywhere() {
    let host = Host::new("oci-devices-elsewhere");
    let script = "stat -c '%F %t,%T %a %u:%g' /some/where/zero /dev/pipe /tmp/pipe /link/full; \
                  head -c 2 /link/full | wc -c; (echo through > /tmp/pipe &); cat /tmp/pipe; ls /";
    let mut bundle = Bundle::new(&host, "b", script).with(|config| {
        config["linux"]["devices"] = json!([
            { "type": "c", "path": "/some/where/zero", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 7, "gid": 8 },
            { "type": "p", "path": "/dev/pipe", "fileMode": 0o600 },
            { "type": "p", "path": "/tmp/pipe", "fileMode": 0o666 },
            { "type": "c", "path": "/link/full", "major": 1, "minor": 7 },
        ]);
    });
    // A link of the image's leads to the image's own folder, not to the host's.
    host.sh("mkdir /run/target; ln -s /run/target /run/b/rootfs/link").run().succeeds();
    host.sh("mkdir -p /run/b/rootfs/run/target").run().succeeds();
    let expected = |owner: &str| {
        format!(
            "character special file 1,5 640 {owner}\nfifo 0,0 600 0:0\nfifo 0,0 666 0:0\ncharacter special file 1,7 666 0:0\n\
             2\nthrough\nbin\ndev\netc\nlink\nproc\nroot\nrun\nsome\nsys\ntmp"
        )
    };
    // A second time its own leavings are there, and no node among them.
    bundle.run("").prints(&expected("7:8"));
    bundle.run("").prints(&expected("7:8"));
    host.sh("stat -c %F /run/b/rootfs/some/where/zero; ls /run/target").prints("regular empty file");
    bundle = bundle.with(|config| {
        config["linux"]["uidMappings"] = json!([{ "containerID": 0, "hostID": 300_000, "size": 65_536 }]);
        config["linux"]["gidMappings"] = config["linux"]["uidMappings"].clone();
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    });
    host.sh("chown -R 300000:300000 /run/b/rootfs").run().succeeds();
    bundle.run("").prints(&expected("7:8"));
    host.finish();
}

#[test]
fn a_remount_changes_what_is_there_and_new_file_systems_travel_as_asked_for() {
    let host = Host::new("oci-remount");
    host.sh("mkdir /run/source").run().succeeds();
    let travels = "travels() { awk -v at=$1 '$5 == at { print $7 }' /proc/self/mountinfo; }; ";
    let script =
        format!("{OPTIONS}{travels} of /t; of /a; travels /t | cut -d: -f1; travels /u; touch /a/x || true");
    let tmpfs = |at: &str, option: &str| json!({ "destination": at, "type": "tmpfs", "source": "t", "options": ["nosuid", option] });
    let bundle = Bundle::new(&host, "b", &script).with(|config| {
        add(config, tmpfs("/t", "shared"));
        add(config, tmpfs("/u", "unbindable"));
        add(config, bind("/a", "/run/source", &["bind", "nosuid", "nodev"]));
        add(config, json!({ "destination": "/t", "options": ["remount", "ro", "noexec", "suid"] }));
        add(config, json!({ "destination": "/a", "options": ["bind", "remount", "ro"] }));
    });
    let output = bundle.run("").run();
    assert_eq!(
        output.succeeds().stdout(),
        "ro,noexec,relatime\nro,nosuid,nodev,relatime\nshared\nunbindable\n",
        "{output}"
    );
    // The file system itself is the host's, and stays as it was.
    host.sh("touch /run/source/y").run().succeeds();
    let bundle =
        bundle.with(|config| add(config, json!({ "destination": "/etc", "options": ["remount", "ro"] })));
    bundle.run("").fails(1, "cannot remount /etc: nothing is mounted there");
    host.finish();
}
