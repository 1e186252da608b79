//! `export`: the root file system as a tar, with the container's own IDs.

use bulkhead_tests::archive::docker_archive;
use bulkhead_tests::{Host, images};
use serde_json::json;
use tar::EntryType;

/// CAP_NET_BIND_SERVICE, permitted and effective, version 2.
const BIND: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn host(name: &str) -> Host {
    let host = Host::new(name);
    let layer = images::busybox()
        .entry("setid", EntryType::Regular, 0o6755, "", (0, 0), b"x")
        .pax(&[
            ("SCHILY.xattr.security.capability", BIND),
            ("SCHILY.xattr.user.key", b"value"),
            ("uid", b"33"),
        ])
        .file("capable", 0o755, "x")
        .device("null", EntryType::Char, 1, 3)
        .file("one", 0o644, "linked")
        .hardlink("two", "one")
        .symlink("link", "/etc/../one");
    let config = json!({ "Cmd": ["sh"], "Env": ["PATH=/bin"] });
    host.bulkhead(["load", "-q"]).stdin(docker_archive("all:1", &config, &[layer.done()])).run().succeeds();
    host
}

const MAKE: &str = "mkdir /w; chown 7:8 /w; echo mine >/w/f; chown 65535:65534 /w/f; chmod 4750 /w/f; mkfifo /w/p; \
    printf x >\"$(printf '/w/\\377')\"; printf end | dd of=/w/holes bs=1M seek=20 2>/dev/null; rm /etc/passwd; \
    touch -d '1969-12-31 23:59:58' /w/old; n=$(printf 'n%.0s' $(seq 200)); echo long >/w/$n; ln -s $n$n /w/l";

#[test]
fn a_tree_arrives_as_the_container_sees_it() {
    let host = host("export");
    for (name, flags) in [("c1", "--userns=auto"), ("c2", "--userns=host")] {
        host.run_detached([
            "--name",
            name,
            flags,
            "-v",
            "/data",
            "all:1",
            "sh",
            "-c",
            &format!("{MAKE}; echo x >/data/in; echo done; exec sleep 1000"),
        ]);
        bulkhead_tests::wait::until("it has made its files", || {
            host.bulkhead(["logs", name]).stdout() == "done"
        });
        for state in ["running", "stopped"] {
            if state == "stopped" {
                host.bulkhead(["kill", name]).prints(name);
                host.bulkhead(["wait", name]).run().succeeds();
            }
            // GNU tar is the judge.
            host.sh(&format!("rm -rf /tmp/x; mkdir /tmp/x; bulkhead export -o /tmp/x.tar {name}; tar -xf /tmp/x.tar --xattrs --xattrs-include='*' -p -C /tmp/x")).prints("");
            let look = "cd /tmp/x; stat -c '%n %u:%g %a' w w/f setid; stat -c '%n %t:%T' null; stat -c '%h %i' one two | uniq; \
                readlink link; cat two; test -p w/p; test -f \"$(printf 'w/\\377')\"; tail -c3 w/holes; \
                test $(stat -c %b w/holes) -lt 100; stat -c %s w/holes; stat -c %Y w/old; \
                ls etc data dev | xargs; cat w/nnn*; readlink w/l | wc -c; stat -c %u capable; \
                tar -tvvf /tmp/x.tar --xattrs --xattrs-include='*' capable | grep -c '  x: \\(20 security.capability\\|5 user.key\\)'";
            let seen = host.sh(look).stdout();
            let inode = seen.lines().find(|line| line.starts_with("2 ")).unwrap_or_default().to_owned();
            // The capabilities' 20 bytes name no root.
            let expected = format!(
                "w 7:8 755\nw/f 65535:65534 4750\nsetid 0:0 6755\nnull 1:3\n{inode}\n/etc/../one\nlinkedend20971523\n-2\n\
                 data: dev: etc: group hostname hosts resolv.conf\nlong\n401\n33\n2"
            );
            assert_eq!(seen, expected, "{name} {state}");
        }
    }
    host.finish();
}

#[test]
fn an_image_is_made_of_it_again() {
    let host = host("export-import");
    host.bulkhead(["run", "--name", "c1", "all:1", "sh", "-c", MAKE]).prints("");
    host.bulkhead(["export", "-o", "/tmp/x.tar", "c1"]).prints("");
    host.bulkhead(["container", "export", "--output", "/tmp/y.tar", "c1"]).prints("");
    host.sh("cmp /tmp/x.tar /tmp/y.tar; ls -A /tmp | xargs").prints("x.tar y.tar");
    host.bulkhead(["import", "/tmp/x.tar", "again:1"]).run().succeeds();
    let look = "stat -c '%n %u:%g %a' /w /w/f; test -e /etc/passwd || echo none; stat -c %s /w/holes";
    host.bulkhead(["run", "--rm", "again:1", "/bin/sh", "-c", look])
        .prints("/w 7:8 755\n/w/f 65535:65534 4750\nnone\n20971523");
    host.finish();
}

#[test]
fn it_goes_nowhere_but_where_it_is_meant_to_go() {
    let host = host("export-refused");
    host.bulkhead(["create", "--name", "c1", "all:1", "true"]).run().succeeds();
    let mut terminal = host.pty(["export", "c1"]);
    terminal.expect("cowardly refusing to save to a terminal");
    drop(terminal);
    host.bulkhead(["export", "-o", "/nosuch/x.tar", "c1"]).fails(1, "directory \"/nosuch\" does not exist");
    host.bulkhead(["export", "-o", "/tmp", "c1"]).fails(1, "is a directory");
    host.bulkhead(["export", "nobody"]).fails(1, "No such container: nobody");
    // A reader that goes, and a disk that is full, leave nothing.
    host.sh("bulkhead export c1 | head -c 1000 >/dev/null").prints("");
    host.sh("mkdir /tmp/small; mount -t tmpfs -o size=64k none /tmp/small").prints("");
    host.bulkhead(["export", "-o", "/tmp/small/x.tar", "c1"]).fails(1, "o space left");
    host.sh("ls -A /tmp/small; umount /tmp/small").prints("");
    host.bulkhead(["start", "c1"]).prints("c1");
    host.finish();
}
