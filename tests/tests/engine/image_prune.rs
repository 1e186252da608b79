//! `image prune`, `rmi`, and the filters of `images`; and that nobody's image goes while it is taken.

use bulkhead_tests::Host;
use bulkhead_tests::archive::{Layer, docker_archive};
use serde_json::json;

fn load(host: &Host, name: &str, label: &str) {
    let config = json!({ "Cmd": ["x"], "Labels": { "is": label } });
    let layer = Layer::new().file(name, 0o644, vec![b'x'; 1000]).done();
    let archive = docker_archive(&format!("{name}:1"), &config, &[layer]);
    host.bulkhead(["load", "-q"]).stdin(archive).run().succeeds();
}

#[test]
fn what_no_container_uses_goes() {
    let host = Host::new("image-prune").with_busybox();
    for name in ["aa", "bb", "cc"] {
        load(&host, name, name);
    }
    host.bulkhead(["run", "--name", "c1", "busybox", "touch", "/new"]).prints("");
    let dangling = host.bulkhead(["commit", "c1"]).stdout();
    let used = host.bulkhead(["commit", "c1"]).stdout();
    host.bulkhead(["create", "--name", "c2", &used, "true"]).run().succeeds();
    host.bulkhead(["image", "prune"]).stdin("n\n").fails(1, "cancelled");
    let pruned = host.bulkhead(["image", "prune", "-f"]).stdout();
    assert!(pruned.starts_with(&format!("Deleted Images:\ndeleted: {dangling}\n")), "{pruned}");
    assert!(!pruned.contains(&used) && pruned.contains("Total reclaimed space: "), "{pruned}");
    host.bulkhead(["image", "prune", "-f"]).prints("Total reclaimed space: 0B");
    // Of those with a name.
    let pruned = host.bulkhead(["image", "prune", "-a", "-f", "--filter", "label=is=aa"]).stdout();
    assert!(pruned.contains("untagged: aa:1") && pruned.ends_with("Total reclaimed space: 1kB"), "{pruned}");
    host.bulkhead(["image", "prune", "-a", "-f", "--filter", "until=2020-01-01"])
        .prints("Total reclaimed space: 0B");
    let pruned = host
        .bulkhead([
            "image",
            "prune",
            "-f",
            "--filter",
            "dangling=false",
            "--filter",
            "label!=is=cc",
            "--filter",
            "until=1h",
        ])
        .stdout();
    assert!(pruned.contains("untagged: bb:1") && !pruned.contains("cc"), "{pruned}");
    let pruned = host.bulkhead(["image", "prune", "-a"]).stdin("y\n").stdout();
    assert!(pruned.contains("untagged: cc:1") && !pruned.contains("busybox"), "{pruned}");
    host.bulkhead(["image", "prune", "-f", "--filter", "what=ever"]).fails(1, "invalid filter 'what'");
    host.bulkhead(["rmi", &used]).fails(1, "is using it");
    host.bulkhead(["rm", "c1", "c2"]).prints("c1\nc2");
    host.bulkhead(["image", "prune", "-a", "-f"]).run().succeeds();
    // What a killed rmi forgot goes too.
    host.sh("ls /var/lib/bulkhead/images/layers /var/lib/bulkhead/images/tmp")
        .prints("/var/lib/bulkhead/images/layers:\n\n/var/lib/bulkhead/images/tmp:");
    load(&host, "dd", "dd");
    host.sh(
        "cp -a /var/lib/bulkhead/images/layers/* /var/lib/bulkhead/images/layers/$(printf '0%.0s' $(seq 64))",
    )
    .prints("");
    host.bulkhead(["image", "prune", "-f"]).prints("Total reclaimed space: 1kB");
    host.sh("ls /var/lib/bulkhead/images/layers | wc -l").prints("1");
    host.finish_clean();
}

#[test]
fn images_are_found_by_when_they_were_made() {
    let host = Host::new("image-filters").with_busybox();
    host.bulkhead(["create", "--name", "c1", "busybox", "true"]).run().succeeds();
    for name in ["one", "two", "three"] {
        host.bulkhead(["commit", "c1", name]).run().succeeds();
    }
    let list = |filter: &str| {
        host.sh(&format!("bulkhead images --format '{{{{.Repository}}}}' -f {filter} | sort | xargs"))
            .stdout()
    };
    assert_eq!(list("before=two"), "busybox one");
    assert_eq!(list("since=one"), "three two");
    assert_eq!(list("since=one -f before=three"), "two");
    assert_eq!(list("reference='t*'"), "three two");
    assert_eq!(list("dangling=true"), "");
    host.bulkhead(["images", "-f", "before=nosuch"]).fails(1, "No such image: nosuch");
    host.finish();
}

#[test]
fn no_image_goes_while_it_is_taken() {
    let host = Host::new("image-races");
    bulkhead_tests::images::make(bulkhead_tests::images::Image::Busybox);
    let archive = bulkhead_tests::images::Image::Busybox.on_host();
    // Some load it, some remove it, some use it; whoever gets it has all of it.
    host.sh(&format!(
        "for p in 1 2; do (for i in $(seq 12); do bulkhead load -q -i {archive} >/dev/null 2>>/tmp/said || true; done) & done
         for p in 1 2; do (for i in $(seq 40); do bulkhead rmi busybox >/dev/null 2>>/tmp/said || true; done) & done
         for p in 1 2; do (for i in $(seq 25); do bulkhead create --pull never busybox true >>/tmp/made 2>>/tmp/said || true; done) & done
         wait"
    ))
    .timeout(120)
    .prints("");
    // Nothing went wrong in another way than by losing.
    host.sh("grep -v -e 'No such image' -e 'is using it' -e 'Unable to find image' -e 'removed parts of' -e 'pull' /tmp/said || true").prints("");
    host.sh("for c in $(bulkhead ps -aq); do bulkhead start -a $c; done").prints("");
    host.bulkhead(["load", "-q", "-i", &archive]).run().succeeds();
    host.bulkhead(["run", "--rm", "busybox", "true"]).prints("");
    host.finish();
}
