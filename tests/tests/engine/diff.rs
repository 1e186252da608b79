//! `diff`: what a container changed, in Docker's letters, whether it runs or not.

use bulkhead_tests::Host;
use bulkhead_tests::archive::docker_archive;
use bulkhead_tests::images;
use serde_json::json;

const CHANGES: &str = "mkdir -p /new/deep; echo x >/new/deep/file; rm /etc/passwd; chmod 600 /etc/group; \
    rm -r /tree/gone; rm -r /tree/other; mkdir /tree/other; echo x >/tree/other/own; \
    mv /tree/moved /tree/here; touch /tree/same -r /tree/same; chmod 755 /tree; ln /new/deep/file /new/name; \
    rm /tree/file; mkdir /tree/file; echo x >/data/seen; echo x >/tmp/a; rm /tmp/a; chown 7 /tree/kept/f";

const SEEN: &str = "C /etc\nC /etc/group\nD /etc/passwd\nA /new\nA /new/deep\nA /new/deep/file\nA /new/name\n\
    C /tree\nC /tree/file\nD /tree/gone\nA /tree/here\nA /tree/here/f\nC /tree/kept\nC /tree/kept/f\nD /tree/moved\n\
    C /tree/other\nD /tree/other/f\nA /tree/other/own";

fn host(name: &str) -> Host {
    let host = Host::new(name);
    let mut layer =
        images::busybox().dir("tree", 0o755).file("tree/file", 0o644, "x").file("tree/same", 0o644, "x");
    for folder in ["gone", "other", "moved", "kept"] {
        layer = layer.dir(&format!("tree/{folder}"), 0o755).file(&format!("tree/{folder}/f"), 0o644, "x");
    }
    let config = json!({ "Cmd": ["sh"], "Env": ["PATH=/bin"], "Volumes": { "/declared": {} } });
    host.bulkhead(["load", "-q"]).stdin(docker_archive("tree:1", &config, &[layer.done()])).run().succeeds();
    host
}

#[test]
fn every_kind_of_change_is_told_in_every_state() {
    let host = host("diff");
    host.bulkhead([
        "create",
        "--name",
        "c1",
        "-v",
        "data:/data",
        "tree:1",
        "sh",
        "-c",
        &format!("{CHANGES}; echo done; exec sleep 1000"),
    ])
    .run()
    .succeeds();
    host.bulkhead(["diff", "c1"]).prints("");
    host.bulkhead(["start", "c1"]).prints("c1");
    bulkhead_tests::wait::until("it has changed its files", || {
        host.bulkhead(["logs", "c1"]).stdout() == "done"
    });
    host.bulkhead(["diff", "c1"]).prints(SEEN);
    host.bulkhead(["pause", "c1"]).prints("c1");
    host.bulkhead(["container", "diff", "c1"]).prints(SEEN);
    host.bulkhead(["unpause", "c1"]).prints("c1");
    host.bulkhead(["kill", "c1"]).prints("c1");
    host.bulkhead(["wait", "c1"]).run().succeeds();
    host.bulkhead(["diff", "c1"]).prints(SEEN);
    host.finish();
}

#[test]
fn without_a_user_namespace_it_is_the_same() {
    let host = host("diff-host");
    for (name, flag) in [("c1", "--userns=host"), ("c2", "--read-only")] {
        let script = if name == "c1" { CHANGES.to_owned() } else { "echo x > /data/x".to_owned() };
        host.bulkhead(["run", "--name", name, flag, "-v", "/data", "tree:1", "sh", "-c", &script]).prints("");
        host.bulkhead(["diff", name]).prints(if name == "c1" { SEEN } else { "" });
    }
    host.finish();
}

#[test]
fn names_are_told_as_they_are_and_what_cannot_be_is_refused() {
    let host = host("diff-names");
    let script = "printf x > \"$(printf '/tmp/\\377\\001')\"; d=/tmp; for i in $(seq 40); do d=$d/$(printf 'a%.0s' $(seq 60)); done; mkdir -p $d";
    host.bulkhead(["run", "--name", "c1", "tree:1", "sh", "-c", script]).prints("");
    host.sh("bulkhead diff c1 | LC_ALL=C grep -c -a -P '^A /tmp/\\xff\\x01$'").prints("1");
    host.sh("bulkhead diff c1 | wc -l").prints("42");
    host.bulkhead(["diff", "nobody"]).fails(1, "No such container: nobody");
    host.bulkhead(["run", "--name", "c2", "host", "true"]).prints("");
    host.bulkhead(["diff", "c2"]).fails(1, "was made from the image host");
    host.finish();
}
