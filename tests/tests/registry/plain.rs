//! Debian's registry without passwords: there and back again, by tag and by digest, mounted, all tags, by `run`.

use bulkhead_tests::Host;

use crate::{bulkhead, finish, serve};

#[test]
fn an_image_goes_there_and_comes_back_the_same() {
    let host = Host::new("plain").with_busybox();
    serve(&host, "");
    let id = host.inspect("busybox", "{{.Id}}");
    host.bulkhead(["tag", "busybox", "127.0.0.1:5000/a/busy:1"]).prints("");
    bulkhead(&host, &["push", "127.0.0.1:5000/a/busy:1"])
        .run()
        .succeeds()
        .shows("Preparing")
        .shows(": Pushed")
        .shows("1: digest: sha256:");
    bulkhead(&host, &["push", "127.0.0.1:5000/a/busy:1"]).run().succeeds().shows("Layer already exists");
    host.bulkhead(["tag", "busybox", "127.0.0.1:5000/b/busy"]).prints("");
    bulkhead(&host, &["push", "127.0.0.1:5000/b/busy"]).run().succeeds().shows("Mounted from a/busy");
    let digest = host.inspect("127.0.0.1:5000/a/busy:1", "{{index .RepoDigests 0}}");
    host.bulkhead(["rmi", "-f", &id[7..19]]).run().succeeds();
    host.bulkhead(["images", "-q"]).prints("");

    let pulled = bulkhead(&host, &["pull", "127.0.0.1:5000/a/busy:1"]).run();
    pulled.succeeds().shows("1: Pulling from a/busy").shows("Pulling fs layer").shows("Pull complete");
    pulled.shows("Status: Downloaded newer image for 127.0.0.1:5000/a/busy:1");
    bulkhead(&host, &["pull", "127.0.0.1:5000/a/busy:1"])
        .run()
        .succeeds()
        .shows("Already exists")
        .shows("Image is up to date");
    assert_eq!(host.inspect("127.0.0.1:5000/a/busy:1", "{{.Id}}"), id);
    // What came is what goes: the manifest keeps its digest.
    bulkhead(&host, &["push", "127.0.0.1:5000/a/busy:1"])
        .run()
        .succeeds()
        .shows(&digest[digest.find('@').unwrap() + 1..]);
    host.bulkhead(["rmi", "127.0.0.1:5000/a/busy:1"]).run().succeeds().shows(&format!("Untagged: {digest}"));

    bulkhead(&host, &["pull", "-q", &digest]).prints(&digest);
    host.bulkhead(["run", "--rm", &digest, "echo", "hello"]).prints("hello");
    host.bulkhead(["rmi", &digest]).run().succeeds();
    host.bulkhead(["images", "-q"]).prints("");
    finish(host);
}

#[test]
fn run_fetches_what_is_not_there_as_pull_says() {
    let host = Host::new("missing").with_busybox();
    serve(&host, "");
    host.bulkhead(["tag", "busybox", "127.0.0.1:5000/x"]).prints("");
    bulkhead(&host, &["push", "-q", "127.0.0.1:5000/x"]).prints("127.0.0.1:5000/x:latest");
    host.bulkhead(["rmi", "127.0.0.1:5000/x"]).run().succeeds();
    bulkhead(&host, &["run", "--pull", "never", "--rm", "127.0.0.1:5000/x", "true"])
        .fails(125, "No such image: 127.0.0.1:5000/x:latest");
    let ran = bulkhead(&host, &["run", "--rm", "127.0.0.1:5000/x", "echo", "hello"]).run();
    assert_eq!((ran.stdout().trim(), ran.code()), ("hello", 0), "{ran}");
    ran.says("Unable to find image '127.0.0.1:5000/x:latest' locally").says("Already exists");
    bulkhead(&host, &["run", "--pull", "always", "--rm", "127.0.0.1:5000/x", "true"])
        .run()
        .succeeds()
        .says("Image is up to date");
    host.bulkhead(["rmi", "127.0.0.1:5000/x"]).run().succeeds();
    let quiet = bulkhead(&host, &["run", "-q", "--rm", "127.0.0.1:5000/x", "true"]).run();
    assert_eq!(quiet.stderr(), "", "{quiet}");
    bulkhead(&host, &["run", "--rm", "127.0.0.1:5000/none", "true"]).fails(125, "manifest unknown");
    finish(host);
}

#[test]
fn all_tags_travel_together() {
    let host = Host::new("tags").with_busybox();
    serve(&host, "");
    for tag in ["1", "2", "3"] {
        host.bulkhead(["tag", "busybox", &format!("127.0.0.1:5000/t:{tag}")]).prints("");
    }
    bulkhead(&host, &["push", "-a", "127.0.0.1:5000/t"]).run().succeeds();
    let id = host.inspect("busybox", "{{.Id}}");
    host.bulkhead(["rmi", "-f", &id[7..19]]).run().succeeds();
    bulkhead(&host, &["pull", "-a", "127.0.0.1:5000/t"]).run().succeeds();
    let tags = host.bulkhead(["images", "--format", "{{.Tag}}"]).stdout();
    let mut tags: Vec<&str> = tags.lines().collect();
    tags.sort_unstable();
    assert_eq!(tags, ["1", "2", "3"]);
    bulkhead(&host, &["push", "127.0.0.1:5000/nothing"])
        .fails(1, "An image does not exist locally with the tag: 127.0.0.1:5000/nothing:latest");
    host.bulkhead(["search", "x"]).fails(1, "not supported without a hub");
    finish(host);
}

#[test]
fn an_insecure_registry_must_be_named_and_a_mirror_is_asked_first() {
    let host = Host::new("settings").with_busybox();
    host.sh("ip addr add 10.9.8.7/32 dev lo").run().succeeds();
    serve(&host, "http: {addr: \":5000\", secret: x}");
    let name = "10.9.8.7:5000/library/busybox";
    host.bulkhead(["tag", "busybox", name]).prints("");
    bulkhead(&host, &["push", name]).fails(1, "insecure-registries");
    let settings = |text: &str| {
        host.sh("mkdir -p /etc/bulkhead; cat > /etc/bulkhead/daemon.json").stdin(text).run().succeeds().code()
    };
    settings(r#"{"insecure-registries": ["10.0.0.0/8"]}"#);
    bulkhead(&host, &["push", name]).run().succeeds();
    let id = host.inspect("busybox", "{{.Id}}");
    host.bulkhead(["rmi", "-f", &id[7..19]]).run().succeeds();
    settings(r#"{"registry-mirrors": ["http://10.9.8.7:5000"], "insecure-registries": ["10.9.8.7:5000"]}"#);
    bulkhead(&host, &["pull", "-q", "busybox"]).prints("docker.io/library/busybox:latest");
    settings(r#"{"registry-mirrors": ["nowhere"]}"#);
    bulkhead(&host, &["pull", "busybox"]).fails(1, "invalid mirror");
    finish(host);
}
