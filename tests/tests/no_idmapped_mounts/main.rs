//! User namespaces where no mount can map IDs: on a file system that cannot (ramfs), and by the setting for those that do
//! it wrong. Layers are copied for each range then, and go with the last container that needs them.
//!
//! On an older kernel, where tmpfs cannot, the test `cgroup2` shows the same.

#![allow(clippy::unwrap_used, clippy::panic)]

mod copies;
mod killed;
mod volumes;

use bulkhead_tests::Host;
use bulkhead_tests::archive::{Layer, docker_archive};
use bulkhead_tests::images;

/// Where the copies are.
const COPIES: &str = "/var/lib/bulkhead/images/shifted";

/// A host whose store is on a file system without ID-mapped mounts.
fn on_ramfs(name: &str) -> Host {
    let host = Host::new(name);
    host.sh("mount -t ramfs -o mode=755 none /var/lib/bulkhead").prints("");
    host
}

/// A host where they are turned off.
fn turned_off(name: &str) -> Host {
    let host = Host::new(name);
    host.sh(r#"mkdir -p /etc/bulkhead; echo '{"userns-idmap": "off"}' >/etc/bulkhead/daemon.json"#)
        .prints("");
    host
}

/// Loads the image `owners`: busybox, files of several owners, and a second layer that takes some away.
fn load_owners(host: &Host) {
    let program = images::busybox();
    let executable =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find_map(|path| std::fs::read(path).ok());
    let web: [(&str, &[u8]); 2] = [("uid", b"33"), ("gid", b"100")];
    // CAP_NET_BIND_SERVICE, permitted and effective, version 2.
    let bind: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let lower = program
        .pax(&web)
        .dir("srv", 0o755)
        .pax(&web)
        .file("srv/page", 0o640, "page\n")
        .hardlink("srv/same", "srv/page")
        .dir("caps", 0o755)
        .pax(&[("SCHILY.xattr.security.capability", bind)])
        .file("caps/grep", 0o755, executable.unwrap())
        .dir("old", 0o755)
        .file("old/one", 0o644, "1")
        .dir("hidden", 0o755)
        .file("hidden/below", 0o644, "1")
        .file("set-id", 0o4755, "x");
    // ramfs keeps no extended attributes, so nothing can be opaque there.
    let opaque = if host.sh("stat -fc %T /var/lib/bulkhead").stdout() == "ramfs" {
        ".wh.below"
    } else {
        ".wh..wh..opq"
    };
    let upper = Layer::new().dir("old", 0o755).file("old/.wh.one", 0o644, "").dir("hidden", 0o755);
    let upper = upper.file(&format!("hidden/{opaque}"), 0o644, "");
    let config = serde_json::json!({ "Env": ["PATH=/bin"], "Cmd": ["sh"] });
    let archive = docker_archive("owners:latest", &config, &[lower.done(), upper.done()]);
    host.bulkhead(["load", "--quiet"]).stdin(archive).run().succeeds();
}

/// `run --rm FLAGS… owners sh -c SCRIPT`.
fn sh(host: &Host, flags: &[&str], script: &str) -> bulkhead_tests::Cmd {
    let run = ["run", "--rm"].into_iter().chain(flags.iter().copied());
    host.bulkhead(run.chain(["owners", "sh", "-c", script]))
}

/// How many copies of layers there are, and how many mappings have some.
fn copies(host: &Host) -> String {
    let script = format!("ls -d {COPIES}/*/* 2>/dev/null | wc -l; ls -A {COPIES} 2>/dev/null | wc -l");
    host.sh(&script).stdout().replace('\n', " ")
}
