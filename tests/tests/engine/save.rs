//! `save`: what is loaded again, here or elsewhere, is the same image.

use bulkhead_tests::archive::{Packing, docker_archive, gzip, oci_archive};
use bulkhead_tests::{Host, images};
use serde_json::json;

fn host(name: &str) -> Host {
    let host = Host::new(name);
    let config = json!({ "Cmd": ["sh"], "Env": ["PATH=/bin"] });
    let top = bulkhead_tests::archive::Layer::new().file("top", 0o644, "top").done();
    let layers = [images::busybox().done(), top];
    for archive in [
        docker_archive("one:1", &config, &layers),
        gzip(&oci_archive("localhost:5000/two:2", &config, &layers, Packing::Gzip)),
    ] {
        host.bulkhead(["load", "-q"]).stdin(archive).run().succeeds();
    }
    host.bulkhead([
        "run",
        "--name",
        "c1",
        "one:1",
        "sh",
        "-c",
        "echo x >/new; rm /top; printf e | dd of=/h bs=1M seek=5 2>/dev/null",
    ])
    .prints("");
    host.bulkhead(["commit", "c1", "three:3"]).run().succeeds();
    host.bulkhead(["tag", "three:3", "three:latest"]).prints("");
    host
}

#[test]
fn what_is_saved_is_loaded_as_the_same_image() {
    let host = host("save");
    let ids =
        host.sh("bulkhead images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort").stdout();
    host.bulkhead(["save", "-o", "/tmp/all.tar", "one:1", "localhost:5000/two:2", "three"]).prints("");
    host.sh("bulkhead image save one:1 localhost:5000/two:2 three three:3 | cmp - /tmp/all.tar").prints("");
    // Each blob is what its name says.
    host.sh("mkdir /tmp/x; cd /tmp/x; tar xf ../all.tar; cd blobs/sha256; for f in *; do echo \"$f  $f\"; done | sha256sum -c --quiet; ls | wc -l").prints("7");
    host.bulkhead(["rm", "-f", "c1"]).prints("c1");
    host.sh("bulkhead rmi -f $(bulkhead images -q | sort -u) >/dev/null; ls /var/lib/bulkhead/images/layers")
        .prints("");
    host.bulkhead(["load", "-i", "/tmp/all.tar"]).run().succeeds();
    assert_eq!(
        host.sh("bulkhead images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort").stdout(),
        ids
    );
    host.bulkhead(["run", "--rm", "three", "sh", "-c", "cat /new; ls /top 2>&1 | wc -l; stat -c %s /h"])
        .prints("x\n1\n5242881");
    // As a plain OCI layout too.
    host.sh("bulkhead rmi -f $(bulkhead images -q | sort -u) >/dev/null; cd /tmp/x; rm manifest.json; tar c . | bulkhead load -q").run().succeeds();
    assert_eq!(
        host.sh("bulkhead images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' | sort").stdout(),
        ids
    );
    host.finish_clean();
}

#[test]
fn names_are_saved_as_they_are_asked_for() {
    let host = host("save-names");
    let tags = |words: &str| {
        let manifest = host.sh(&format!("bulkhead save {words} | tar xO manifest.json")).stdout();
        let images: Vec<serde_json::Value> = serde_json::from_str(&manifest).unwrap();
        images.iter().map(|image| image["RepoTags"].to_string()).collect::<String>()
    };
    assert_eq!(tags("three:3"), r#"["three:3"]"#);
    assert_eq!(tags("three"), r#"["three:3","three:latest"]"#);
    assert_eq!(tags("$(bulkhead images -q --no-trunc three:3)"), "[]");
    assert_eq!(tags("one:1 three:3 one:1"), r#"["one:1"]["three:3"]"#);
    host.finish();
}

#[test]
fn what_cannot_be_saved_is_refused() {
    let host = host("save-refused");
    host.pty(["save", "one:1"]).expect("cowardly refusing to save to a terminal");
    host.bulkhead(["save", "nosuch"]).fails(1, "No such image: nosuch");
    host.bulkhead(["save", "host"]).fails(1, "nothing of it to save");
    host.bulkhead(["save", "-o", "/nosuch/x", "one:1"]).fails(1, "failed to save image");
    // A layer that was changed on disk is not passed on, and no half archive is left.
    host.sh("echo y >$(find /var/lib/bulkhead/images/layers -path '*/diff/top' -type f)").prints("");
    host.bulkhead(["save", "-o", "/tmp/x.tar", "one:1"]).fails(1, "");
    host.sh("ls -A /tmp").prints("");
    host.finish();
}
