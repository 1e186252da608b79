//! `make bench`: what a user namespace of its own costs a container. `--userns=host` beside `--userns=auto`, for images
//! with few layers and many, small and large; and whether the thousandth range costs what the first did.

#![allow(clippy::unwrap_used, clippy::panic)]

use bulkhead_tests::archive::{Layer, docker_archive};
use bulkhead_tests::measure::{alternately, print_row};
use bulkhead_tests::{Host, images};
use serde_json::json;

/// The tag of an image of 1 GiB in 60,000 files, in one layer over busybox.
const LARGE: &str = "large:1";
/// The tag of an image of 40 layers.
const MANY: &str = "many:1";

fn main() {
    let host = Host::new("bench-userns").with_busybox();
    load(&host, MANY, many_layers());
    load(&host, LARGE, images::large());
    println!("{:<44}{:>12}{:>21}", "medians", "host", "auto");
    for (label, pause) in [("", 0.3), (", back to back", 0.0)] {
        for (what, image) in [("1 layer", "busybox"), ("40 layers", MANY), ("1 GiB, 60,000 files", LARGE)] {
            let commands: Vec<String> = ["host", "auto"]
                .iter()
                .map(|mode| format!("bulkhead run --rm --userns={mode} {image} true"))
                .collect();
            print_row(&format!("run --rm, {what}{label}"), &alternately(&host, &commands, 41, pause), "ms");
        }
    }
    let project = "mkdir -p /tmp/project; chown 1000:1000 /tmp/project";
    host.sh(project).run().succeeds();
    let commands: Vec<String> = ["host", "auto"]
        .iter()
        .map(|mode| format!("bulkhead run --rm --userns={mode} -v /tmp/project:/p -v data:/d busybox true"))
        .collect();
    print_row("run --rm, with a bind and a volume", &alternately(&host, &commands, 41, 0.3), "ms");
    thousand(&host);
    host.abandon();
}

fn load(host: &Host, tag: &str, layers: Vec<Vec<u8>>) {
    host.bulkhead(["load", "-q"])
        .stdin(docker_archive(tag, &json!({}), &layers))
        .timeout(300)
        .run()
        .succeeds();
}

fn many_layers() -> Vec<Vec<u8>> {
    let small = (1..40).map(|number| Layer::new().file(&format!("layer-{number}"), 0o644, "x").done());
    std::iter::once(images::busybox().done()).chain(small).collect()
}

/// Makes 1,000 containers with a range each, and removes them.
fn thousand(host: &Host) {
    let create = |from: usize, to: usize| -> f64 {
        let script = format!(
            "for i in $(seq {from} {to}); do bulkhead create --name n$i --network none busybox true >/dev/null; done"
        );
        let measured = host.sh("cat > /tmp/make.sh; /run/host/test-host time 0.3 -- sh /tmp/make.sh");
        let took: f64 = measured.stdin(script).timeout(300).stdout().trim().parse().unwrap();
        took / 1000.0 / f64::from(u32::try_from(to - from + 1).unwrap())
    };
    create(1, 20);
    let first = create(21, 60);
    create(61, 960);
    let last = create(961, 1000);
    print_row("create, the first and the thousandth", &[first, last], "ms");
    host.sh("bulkhead rm $(bulkhead ps -aq) >/dev/null").timeout(300).run().succeeds();
    let held = host.sh("bulkhead info | grep 'ID ranges held'").stdout();
    println!("after the removal of all:{held}");
    assert!(held.trim().ends_with(": 0"), "{held}");
}
