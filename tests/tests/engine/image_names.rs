//! `images`, `tag`, `rmi`: names of images, and when one may go.

use bulkhead_tests::Host;

#[test]
fn tags_are_names_for_one_image() {
    let host = Host::new("names").with_busybox();
    let id = host.inspect("busybox", "{{.Id}}");
    host.bulkhead(["tag", "busybox", "mine:1"]).prints("");
    host.bulkhead(["tag", &id[7..19], "example.test:5000/a/b:c"]).prints("");
    let list = host.bulkhead(["images", "--format", "{{.Repository}}:{{.Tag}}"]).stdout();
    let mut names: Vec<&str> = list.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["busybox:latest", "example.test:5000/a/b:c", "mine:1"]);
    host.bulkhead(["images", "-q", "--no-trunc", "mine"]).prints(&id);
    assert!(host.bulkhead(["images"]).stdout().starts_with("REPOSITORY"));
    host.bulkhead(["run", "--rm", "mine:1", "true"]).prints("");
    host.bulkhead(["run", "--rm", &id[7..13], "true"]).prints("");
    host.bulkhead(["tag", "nosuch", "x"]).fails(1, "No such image: nosuch");
    for bad in ["UPPER", "a:b:c", "a@b", ":tag", "-x/y z"] {
        let output = host.bulkhead(["tag", "busybox", bad]).run();
        assert_ne!(output.code(), 0, "{output}");
    }

    host.bulkhead(["rmi", "mine:1"]).prints("Untagged: mine:1");
    host.bulkhead(["rmi", "mine:1"]).fails(1, "No such image: mine:1");
    host.bulkhead(["rmi", &id[7..19]]).fails(1, "image is referenced in multiple repositories");
    host.bulkhead(["rmi", "example.test:5000/a/b:c"]).run().succeeds();
    let last = host.bulkhead(["rmi", "busybox"]).run();
    last.succeeds().shows("Untagged: busybox:latest").shows(&format!("Deleted: {id}"));
    host.bulkhead(["images", "--format", "{{.Repository}}"]).run().hides("busybox");
    host.finish_clean();
}

#[test]
fn an_image_in_use_stays() {
    let host = Host::new("names-used").with_busybox();
    host.run_detached(["--name", "c1", "busybox", "sleep", "1000"]);
    host.bulkhead(["rmi", "busybox"]).fails(1, "container");
    // By force its name goes, and the container does not notice.
    host.bulkhead(["rmi", "-f", "busybox"]).run();
    host.bulkhead(["exec", "c1", "echo", "fine"]).prints("fine");
    host.finish();
}

#[test]
fn nothing_is_left_in_the_store() {
    let host = Host::new("names-store").with_busybox();
    let size = "du -sk --apparent-size /var/lib/bulkhead | cut -f1";
    host.bulkhead(["run", "--rm", "busybox", "true"]).prints("");
    let with: u64 = host.sh(size).stdout().parse().unwrap();
    host.bulkhead(["rmi", "busybox"]).run().succeeds();
    let without: u64 = host.sh(size).stdout().parse().unwrap();
    assert!(with > without + 1500, "{with} KiB with the image, {without} without");
    host.finish_clean();
}
