//! `make bench`: the OCI runtime beside crun, runc and youki, where they are installed: the same bundle, alternately.
//!
//! The bundle is that of `spec`, with busybox. With 300 ms between two runs, and back to back. crun refuses a machine on which
//! version 1 of control groups has no hugetlb hierarchy, as where version 2 has that controller; so the host mounts one, for all.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use bulkhead_tests::Host;
use bulkhead_tests::measure::{alternately, best, figure, in_turn, median, print_row};

/// A runtime: what the table calls it, and its command.
type Runtime = (&'static str, &'static str);

/// Ours is the first: ratios are to it.
const RUNTIMES: [Runtime; 4] =
    [("bulkhead", "bulkhead oci"), ("crun", "crun"), ("runc", "runc"), ("youki", "youki")];

/// How often each is run; back to back, runs wait for the traces of those before, and differ more.
const ROUNDS: usize = 21;
const BACK_TO_BACK: usize = 101;

fn main() {
    let hierarchy = Hugetlb::new();
    let host = Host::new("bench-oci");
    host.sh(
        "mkdir /sys/fs/cgroup/hugetlb && mount -t cgroup -o hugetlb cgroup /sys/fs/cgroup/hugetlb || true",
    )
    .run();
    for bundle in ["plain", "users"] {
        make_bundle(&host, bundle);
    }
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runtimes: Vec<Runtime> = RUNTIMES
        .into_iter()
        .filter(|(name, _)| named.is_empty() || *name == "bulkhead" || named.iter().any(|it| it == name))
        .filter(|runtime| works(&host, *runtime))
        .collect();
    print!("{:<44}", "medians");
    for (name, _) in &runtimes {
        print!("{name:>12}{:>9}", "");
    }
    println!();

    for (label, pause, rounds) in [("", 0.3, ROUNDS), (", back to back", 0.0, BACK_TO_BACK)] {
        let row = |what: &str, script: &dyn Fn(&str) -> String| {
            let commands: Vec<String> = runtimes.iter().map(|(_, command)| script(command)).collect();
            print_row(&format!("{what}{label}"), &alternately(&host, &commands, rounds, pause), "ms");
        };
        row("OCI run true", &|command| format!("{command} run --bundle /run/plain one"));
        row("the same in a user namespace", &|command| format!("{command} run --bundle /run/users one"));
        row("create, start, delete", &|command| format!("sh -ec '{}'", life(command, "one")));
        for (name, command) in &runtimes {
            host.sh(&format!(
                "{command} create --bundle /run/idle {name} < /dev/null > /dev/null 2>&1; {command} start {name}"
            ))
            .run()
            .succeeds();
        }
        let commands: Vec<String> =
            runtimes.iter().map(|(name, command)| format!("{command} exec {name} true")).collect();
        print_row(&format!("exec true{label}"), &alternately(&host, &commands, rounds, pause), "ms");
        for (name, command) in &runtimes {
            host.sh(&format!("{command} delete --force {name}")).run().succeeds();
        }
    }

    // Looking may miss the highest moment, and never finds more than there was.
    let memory = in_turn(runtimes.len(), ROUNDS, best, |which| {
        let command = runtimes[which].1;
        let peak =
            figure(&host, &format!("/run/host/test-host peak -- {command} create --bundle /run/plain one"));
        host.sh(&format!("{command} delete --force one")).run().succeeds();
        peak
    });
    print_row("memory of its processes during create", &memory, "KiB");

    let many = in_turn(runtimes.len(), 5, median, |which| {
        let one = life(runtimes[which].1, "n$i");
        let script =
            format!("for p in 1 2 3 4 5 6 7 8; do (for i in $(seq $p 8 200); do {one}; done) & done; wait");
        let measured = host.sh("cat > /tmp/many.sh; /run/host/test-host time 1 -- sh -e /tmp/many.sh");
        measured.stdin(script).timeout(300).stdout().trim().parse::<f64>().unwrap() / 1000.0
    });
    print_row("200 containers' lives by 8 processes", &many, "ms");
    // What peers leave on the host goes with it, but for the groups in that hierarchy, which is the machine's.
    host.sh("cd /sys/fs/cgroup/hugetlb && find . -mindepth 1 -depth -type d -exec rmdir {} + || true").run();
    host.abandon();
    drop(hierarchy);
}

/// A hugetlb hierarchy of version 1, mounted in a mount namespace of its own for as long as this is there, so that the host
/// can mount it as well: one that is new can be made in the machine's own cgroup namespace only.
struct Hugetlb(Child);

impl Hugetlb {
    fn new() -> Option<Hugetlb> {
        // At the end, groups that are gone may be in use by the kernel for a moment, and the hierarchy would outlive its mount:
        // then it is mounted again, and taken away again.
        let script = "
            if test -e /sys/fs/cgroup/cgroup.controllers || grep -q 'cgroup .*hugetlb' /proc/self/mounts; then exit; fi
            mount -t cgroup -o hugetlb cgroup /mnt; echo there; read end || true
            for round in $(seq 50); do
                umount /mnt; sleep 0.1; grep -q '^hugetlb[[:space:]]*0[[:space:]]' /proc/cgroups && break
                mount -t cgroup -o hugetlb cgroup /mnt
            done";
        let mut holder = Command::new("unshare");
        holder.args(["--mount", "--propagation", "private", "sh", "-ec", script]);
        let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        (said.trim() == "there").then_some(Hugetlb(holder))
    }
}

impl Drop for Hugetlb {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A container's life in three commands.
fn life(command: &str, id: &str) -> String {
    format!(
        "{command} create --bundle /run/plain {id} < /dev/null > /dev/null; {command} start {id}; {command} delete --force {id}"
    )
}

/// The bundle `plain` is that of `spec` with `true` as its program, `users` has a user namespace as well; beside the first stands
/// `idle`, whose program sleeps.
fn make_bundle(host: &Host, name: &str) {
    let script = format!(
        "mkdir -p /run/{name}/rootfs; cd /run/{name}/rootfs; mkdir bin dev etc proc root sys tmp; cp $(command -v busybox) bin/busybox
         for applet in true sleep sh; do ln -s busybox bin/$applet; done; bulkhead oci spec --bundle /run/{name}; cat /run/{name}/config.json"
    );
    let mut config: serde_json::Value = serde_json::from_str(&host.sh(&script).stdout()).unwrap();
    // As old as what Debian's runtimes know.
    config["ociVersion"] = "1.0.2".into();
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(["true"]);
    if name == "users" {
        let mapping = serde_json::json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
        config["linux"]["namespaces"].as_array_mut().unwrap().push(serde_json::json!({ "type": "user" }));
        config["linux"]["uidMappings"] = mapping.clone();
        config["linux"]["gidMappings"] = mapping;
    }
    host.sh(&format!("cat > /run/{name}/config.json")).stdin(config.to_string()).run().succeeds();
    if name == "plain" {
        config["process"]["args"] = serde_json::json!(["sleep", "100000"]);
        config["root"]["path"] = "/run/plain/rootfs".into();
        host.sh("mkdir /run/idle; cat > /run/idle/config.json").stdin(config.to_string()).run().succeeds();
    }
}

/// Whether a runtime is installed and runs both bundles; if not, why.
fn works(host: &Host, (name, command): Runtime) -> bool {
    if host.sh(&format!("command -v {command}")).run().code() != 0 {
        println!("{name}: not installed: `make bench-peers` installs what Debian has");
        return false;
    }
    for bundle in ["plain", "users"] {
        let output = host.sh(&format!("{command} run --bundle /run/{bundle} works")).run();
        if output.code() != 0 {
            println!("{name}: does not run here: {}", output.stderr().trim());
            return false;
        }
    }
    true
}
