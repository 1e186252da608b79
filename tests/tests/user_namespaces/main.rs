//! User namespaces: what root in a container is to the host, and what it is to files.
//!
//! [`claims`] has the seven things that people say of user namespaces in engines, a test each. The attacks are shown to
//! work with `--userns=host` first, so that each is known to bite, and then to fail in the two modes in which a
//! container has IDs of its own. The rest is about the modes, the ranges and the mounts themselves.

#![allow(clippy::unwrap_used, clippy::panic)]

mod attacks;
mod attacks_on_files;
mod attacks_on_kernel;
mod attacks_on_processes;
mod binds;
mod claims;
mod hardening;
mod images_and_programs;
mod leases;
mod modes;
mod mount_options;
mod remap;

use bulkhead_tests::archive::{Layer, docker_archive};
use bulkhead_tests::{Cmd, Host, images};
use serde_json::{Value, json};

/// How a container gets its user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// None: `--userns=host`.
    Host,
    /// A range of its own, which is the default.
    Auto,
    /// One range for all, set in daemon.json.
    Remap,
}

impl Mode {
    /// Those in which the container's root is nobody's.
    const OWN: [Mode; 2] = [Mode::Auto, Mode::Remap];

    /// Sets the host up for containers in this mode, and gives the flag that they need.
    fn on(self, host: &Host) -> &'static [&'static str] {
        match self {
            Mode::Host | Mode::Auto => host.sh("rm -f /etc/bulkhead/daemon.json").prints(""),
            Mode::Remap => set(host, r#"{"userns-remap": "default"}"#),
        }
        if self == Mode::Host { &["--userns=host"] } else { &[] }
    }
}

/// Writes /etc/bulkhead/daemon.json.
fn set(host: &Host, settings: &str) {
    host.sh("mkdir -p /etc/bulkhead; cat > /etc/bulkhead/daemon.json").stdin(settings).prints("");
}

/// `run --rm FLAGS… IMAGE sh -c SCRIPT`.
fn sh(host: &Host, flags: &[&str], image: &str, script: &str) -> Cmd {
    let run = ["run", "--rm"].into_iter().chain(flags.iter().copied());
    host.bulkhead(run.chain([image, "sh", "-c", script]))
}

/// Two lists of flags as one.
fn both<'a>(one: &[&'a str], two: &[&'a str]) -> Vec<&'a str> {
    [one, two].concat()
}

/// Loads an image that was made here.
fn load(host: &Host, tag: &str, config: &Value, layers: &[Vec<u8>]) {
    host.bulkhead(["load", "--quiet"]).stdin(docker_archive(tag, config, layers)).run().succeeds();
}

/// An image's configuration with a PATH, and `more` of it.
fn config(more: Value) -> Value {
    let mut config = json!({ "Cmd": ["sh"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] });
    if let (Some(config), Value::Object(more)) = (config.as_object_mut(), more) {
        config.extend(more);
    }
    config
}

/// busybox with users besides root: `db` (999) and `app` (1234), as images of databases have them.
fn with_users() -> Layer {
    let passwd = "root:x:0:0:root:/root:/bin/sh\ndb:x:999:999::/data:/bin/sh\napp:x:1234:1234::/:/bin/sh\n\
                  nobody:x:65534:65534::/:/bin/sh\n";
    let group = "root:x:0:\ndb:x:999:\napp:x:1234:\nextra:x:77:app\nnobody:x:65534:\n";
    images::busybox().file("etc/passwd", 0o644, passwd).file("etc/group", 0o644, group)
}

/// Makes the person alice on the host: 1000, with IDs from 100000 on, and a folder of her own. (The host's own folders
/// are overlays, whose IDs no kernel maps.)
fn with_alice(host: &Host) {
    host.sh("sed -i -e '/:1000:/d' /etc/passwd /etc/group
             echo alice:x:1000:1000::/home/alice:/bin/sh >> /etc/passwd; echo alice:x:1000: >> /etc/group
             echo alice:100000:65536 > /etc/subuid; echo alice:100000:65536 > /etc/subgid
             mount -t tmpfs -o mode=755 homes /home; mkdir -p /home/alice/project; chown -R 1000:1000 /home/alice; chmod 755 /home/alice")
        .prints("");
}

/// The one range of host IDs that a running container has: the first, and how many.
fn range_of(host: &Host, container: &str) -> (u32, u32) {
    let pid = host.inspect(container, "{{.State.Pid}}");
    let map = host.sh(&format!("cat /proc/{pid}/uid_map")).stdout();
    let numbers: Vec<u32> = map.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(numbers.len() == 3 && numbers[0] == 0, "not one range from 0 on: {map}");
    (numbers[1], numbers[2])
}
