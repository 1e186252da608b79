//! `load` and `import`: archives of both kinds, packed in every way, with all that a layer may say.

use bulkhead_tests::archive::{Layer, Packing, docker_archive, gzip, oci_archive};
use bulkhead_tests::{Host, images};
use serde_json::json;
use tar::EntryType;

use crate::sh;

fn base() -> Vec<u8> {
    images::busybox()
        .dir("d", 0o755)
        .file("d/gone", 0o644, "below")
        .file("d/kept", 0o644, "below")
        .file("d/changed", 0o644, "below")
        .dir("opaque", 0o755)
        .file("opaque/gone", 0o644, "below")
        .done()
}

fn top() -> Vec<u8> {
    Layer::new()
        .dir("d", 0o700)
        .file("d/.wh.gone", 0, "")
        .file("d/changed", 0o600, "above")
        .dir("opaque", 0o755)
        .file("opaque/.wh..wh..opq", 0, "")
        .file("opaque/new", 0o644, "above")
        .file("one", 0o644, "linked")
        .hardlink("two", "one")
        .symlink("three", "one")
        .entry("setid", EntryType::Regular, 0o6755, "", (0, 0), b"x")
        .pax(&[("SCHILY.xattr.user.key", b"value")])
        .file("attributes", 0o644, "x")
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"holes"),
            ("GNU.sparse.realsize", b"1048576"),
        ])
        .file("GNUSparseFile.0/holes", 0o644, sparse())
        .entry("fifo", EntryType::Fifo, 0o644, "", (0, 0), &[])
        .done()
}

/// The content of a sparse file of 1 MiB in PAX format 1.0: a map, padded to a block, then one piece of data.
fn sparse() -> Vec<u8> {
    let mut content = b"1\n1048572\n4\n".to_vec();
    content.resize(512, 0);
    content.extend_from_slice(b"tail");
    content
}

const LOOK: &str = "ls d opaque | xargs; cat d/changed d/kept; stat -c %a d d/changed setid; \
    stat -c %h one; test one -ef two && cat three; tail -c4 holes; stat -c %s holes; test -p fifo && echo all";
const SEEN: &str = "d: changed kept opaque: new\nabovebelow700\n600\n6755\n2\nlinkedtail1048576\nall";

#[test]
fn every_kind_of_archive_gives_the_same_image() {
    let host = Host::new("archives");
    let config = json!({ "Cmd": ["sh"], "Env": ["PATH=/bin"] });
    let layers = [base(), top()];
    let docker = docker_archive("docker:1", &config, &layers);
    let archives = [
        ("docker:1", docker.clone()),
        ("docker:1", gzip(&docker)),
        ("docker:1", zstd::encode_all(docker.as_slice(), 1).unwrap()),
        ("plain:1", oci_archive("plain:1", &config, &layers, Packing::Plain)),
        ("gzip:1", oci_archive("gzip:1", &config, &layers, Packing::Gzip)),
        ("zstd:1", oci_archive("zstd:1", &config, &layers, Packing::Zstd)),
    ];
    for (name, archive) in archives {
        let loaded = host.bulkhead(["load"]).stdin(archive).stdout();
        assert!(loaded.contains(&format!("Loaded image: {name}")), "{loaded}");
        sh(&host, &[], name, LOOK).prints(SEEN);
    }
    // The same layers, however packed, are stored once.
    let ids = host.bulkhead(["images", "--format", "{{.ID}}"]).stdout();
    let mut ids: Vec<&str> = ids.lines().collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    host.finish_clean();
}

#[test]
fn import_makes_an_image_of_a_tree() {
    let host = Host::new("archives-import");
    let id = host.bulkhead(["import", "-", "tree:1"]).stdin(images::busybox().done()).stdout();
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    host.bulkhead(["run", "--rm", "tree:1", "/bin/echo", "hello"]).prints("hello");
    host.bulkhead(["run", "--rm", "tree:1"]).fails(125, "no command specified");
    let change =
        ["import", "--change", "CMD [\"echo\", \"from cmd\"]", "-c", "ENV A=b", "-m", "note", "-", "tree:2"];
    host.bulkhead(change).stdin(gzip(&images::busybox().done())).run().succeeds();
    host.bulkhead(["run", "--rm", "tree:2"]).prints("from cmd");
    sh(&host, &[], "tree:2", "echo $A").prints("b");
    host.bulkhead(["import", "/tmp/nosuch.tar"]).fails(1, "/tmp/nosuch.tar");
    host.finish_clean();
}

#[test]
fn what_a_container_writes_is_its_own() {
    let host = Host::new("archives-own").with_busybox();
    sh(&host, &[], "busybox", "rm /etc/passwd; echo x > /new; ls /etc/passwd /new 2>/dev/null")
        .fails(1, "")
        .shows("/new");
    sh(&host, &[], "busybox", "ls /etc/passwd /new 2>/dev/null").fails(1, "").shows("/etc/passwd");
    // A stopped container keeps it.
    host.bulkhead(["run", "--name", "c1", "busybox", "sh", "-c", "cat /kept 2>/dev/null; echo kept > /kept"])
        .prints("");
    host.bulkhead(["start", "-a", "c1"]).prints("kept");
    host.finish();
}
