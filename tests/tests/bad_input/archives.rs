//! Corrupt and hostile image archives: refused, or harmless; the host stays as it is, and the store whole.

use bulkhead_tests::archive::{Layer, Packing, docker_archive, gzip, oci_archive};
use bulkhead_tests::{Host, images};
use serde_json::json;
use tar::EntryType;

/// Files that an archive may try to write, on the host.
const TARGETS: &str =
    "ls -d /tmp/escaped /etc/escaped /var/lib/escaped /var/lib/bulkhead/escaped /escaped 2>/dev/null || true";

/// Loads an archive with busybox below `layer`. If it is accepted, runs it too.
fn attempt(host: &Host, layer: Layer) {
    let archive =
        docker_archive("hostile:1", &json!({ "Cmd": ["sh"] }), &[images::busybox().done(), layer.done()]);
    let loaded = host.bulkhead(["load", "-q"]).stdin(archive).run();
    if loaded.code() == 0 {
        host.bulkhead(["run", "--rm", "hostile:1", "/bin/true"]).run();
        host.bulkhead(["rmi", "-f", "hostile:1"]).run().succeeds();
    } else {
        assert!(loaded.stderr().trim().len() > 10, "no word of what is wrong: {loaded}");
        host.bulkhead(["images", "-q", "hostile"]).prints("");
    }
    host.sh(TARGETS).prints("");
    host.sh("grep -c escaped /etc/passwd || true").prints("0");
}

#[test]
fn paths_do_not_lead_out() {
    let host = Host::new("archives-paths");
    for path in [
        "../escaped",
        "../../../../../../tmp/escaped",
        "/../tmp/escaped",
        "a/../../../tmp/escaped",
        "..",
        "./../escaped",
    ] {
        attempt(&host, Layer::new().file(path, 0o644, "x"));
        attempt(&host, Layer::new().dir(path, 0o755));
        attempt(&host, Layer::new().symlink(path, "/etc"));
    }
    host.finish_clean();
}

#[test]
fn links_do_not_lead_out() {
    let host = Host::new("archives-links");
    for target in ["/tmp", "../../../../../../../../tmp", "/proc/self/root/tmp", "/proc/1/root/tmp"] {
        attempt(&host, Layer::new().symlink("way", target).file("way/escaped", 0o644, "x"));
        attempt(&host, Layer::new().symlink("way", target).dir("way/escaped", 0o755));
        attempt(&host, Layer::new().symlink("way", target).hardlink("way/escaped", "way/escaped"));
        attempt(&host, Layer::new().symlink("way", &format!("{target}/escaped")).file("way", 0o644, "x"));
    }
    // Hard links to the host's own files, which a later entry would then write to.
    for target in ["/etc/passwd", "../../../../../../../../../../etc/passwd", "way/passwd"] {
        let link = Layer::new().symlink("way", "/etc").hardlink("mine", target);
        attempt(&host, link.file("mine", 0o644, "escaped"));
    }
    // Whiteouts remove below their layer only.
    host.sh("echo kept > /tmp/kept").prints("");
    attempt(&host, Layer::new().symlink("way", "/tmp").file("way/.wh.kept", 0, ""));
    attempt(&host, Layer::new().symlink("way", "/tmp").file("way/.wh..wh..opq", 0, ""));
    attempt(&host, Layer::new().file("../../../../../../../../tmp/.wh.kept", 0, ""));
    attempt(&host, Layer::new().file(".wh...", 0, "").file(".wh.", 0, "").file(".wh..", 0, ""));
    host.sh("cat /tmp/kept").prints("kept");
    host.finish_clean();
}

#[test]
fn device_nodes_open_nothing() {
    let host = Host::new("archives-devices");
    let layer =
        images::busybox().device("disk", EntryType::Block, 7, 0).device("mem", EntryType::Char, 1, 1).done();
    let loaded = host.bulkhead(["load", "-q"]).stdin(docker_archive("devices:1", &json!({}), &[layer])).run();
    if loaded.code() == 0 {
        let open = "head -c1 /disk || head -c1 /mem";
        let output = host.bulkhead(["run", "--rm", "devices:1", "/bin/sh", "-c", open]).run();
        assert_ne!(output.code(), 0, "{output}");
    }
    host.finish_clean();
}

#[test]
fn broken_archives_are_refused() {
    let host = Host::new("archives-broken").with_busybox();
    let before = host.bulkhead(["images", "--no-trunc"]).stdout();
    let config = json!({ "Cmd": ["sh"] });
    let layers = [images::busybox().file("broken", 0o644, "x").done()];
    let whole = docker_archive("broken:1", &config, &layers);
    let oci = oci_archive("broken:1", &config, &layers, Packing::Gzip);
    let packed = gzip(&whole);
    let flip = |archive: &[u8], at: usize| {
        let mut flipped = archive.to_vec();
        flipped[at] ^= 0xff;
        flipped
    };
    // One bit of the layer's content, which its digest gives away.
    let middle = whole.windows(4).position(|window| window == b"\x7fELF").unwrap() + 100_000;
    let oci_middle = oci.len() / 2;
    let cases = [
        ("nothing", Vec::new()),
        ("noise", b"this is no archive".repeat(100)),
        ("an empty tar", vec![0; 1024]),
        ("a tar of something else", images::busybox().done()),
        ("a truncated tar", whole[..whole.len() / 2].to_vec()),
        ("a truncated gzip", packed[..packed.len() / 2].to_vec()),
        ("a corrupt gzip", flip(&packed, packed.len() / 2)),
        ("a corrupt layer", flip(&whole, middle)),
        ("a corrupt OCI layer", flip(&oci, oci_middle)),
        ("a truncated OCI layout", oci[..oci.len() / 2].to_vec()),
    ];
    for (what, archive) in cases {
        let output = host.bulkhead(["load"]).stdin(archive).run();
        assert_eq!(output.code(), 1, "{what}: {output}");
        assert!(output.stderr().trim().len() > 10, "{what}: no word of what is wrong: {output}");
        host.bulkhead(["images", "--no-trunc"]).prints(&before);
    }
    host.bulkhead(["load", "-i", "/nosuch.tar"]).fails(1, "/nosuch.tar");
    // What was there before still runs.
    host.bulkhead(["run", "--rm", "busybox", "true"]).prints("");
    host.finish_clean();
}

#[test]
fn manifests_that_name_other_files_are_refused() {
    let host = Host::new("archives-manifests");
    let tar = |manifest: &str| {
        Layer::new().file("manifest.json", 0o644, manifest).file("c.json", 0o644, "{}").done()
    };
    for manifest in [
        "",
        "{",
        "[{}]",
        r#"[{"Config":"nosuch.json","RepoTags":["x:1"],"Layers":[]}]"#,
        r#"[{"Config":"../../../../etc/passwd","RepoTags":["x:1"],"Layers":[]}]"#,
        r#"[{"Config":"/etc/passwd","RepoTags":["x:1"],"Layers":["/etc/shadow"]}]"#,
        r#"[{"Config":"c.json","RepoTags":["x:1"],"Layers":["nosuch/layer.tar"]}]"#,
        r#"[{"Config":"c.json","RepoTags":["BAD NAME"],"Layers":[]}]"#,
    ] {
        let output = host.bulkhead(["load"]).stdin(tar(manifest)).run();
        assert_eq!(output.code(), 1, "{manifest}: {output}");
        assert!(!output.stderr().contains("root:"), "a file of the host is shown: {output}");
    }
    let deep = "[".repeat(100_000);
    let output = host.bulkhead(["load"]).stdin(tar(&deep)).run();
    assert_eq!(output.code(), 1, "{output}");
    host.bulkhead(["images", "--format", "{{.Repository}}"]).run().hides("x");
    host.finish_clean();
}

#[test]
fn a_bomb_fills_the_store_and_no_more() {
    let host = Host::new("archives-bomb");
    host.sh("mount -o remount,size=64m /var/lib/bulkhead").prints("");
    // 1 GiB of zeros, which gzip makes a thousandth of.
    let layer = Layer::new().file("zeros", 0o644, vec![0; 1 << 30]).done();
    let archive = gzip(&docker_archive("bomb:1", &json!({}), &[layer]));
    let output = host.bulkhead(["load"]).stdin(archive).timeout(120).run();
    assert_eq!(output.code(), 1, "{output}");
    output.says("space");
    host.bulkhead(["images", "-q", "bomb"]).prints("");
    // What it had written is gone again.
    let free = host.sh("df -m /var/lib/bulkhead | tail -n1 | awk '{print $4}'").stdout();
    assert!(free.parse::<u32>().unwrap() > 40, "{free} MiB are free");
    host.finish_clean();
}
