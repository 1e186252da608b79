//! Registries through the API: Debian's, on 127.0.0.1, by the docker command and by plain HTTP.

use bulkhead_tests::registry::serve;

use crate::{SOCKET, Served};

const NAME: &str = "127.0.0.1:5000/a/busy";

#[test]
fn images_travel_as_by_docker() {
    let api = Served::new("api-pull");
    serve(&api.host, "");
    let id = api.host.inspect("busybox", "{{.Id}}");
    for command in api.docker_commands() {
        let docker = |words: &str| api.host.sh(&format!("{command} {words}")).run();
        docker(&format!("tag busybox {NAME}:1")).succeeds();
        docker(&format!("tag busybox {NAME}:2")).succeeds();
        docker(&format!("push {NAME}:1"))
            .succeeds()
            .shows(&format!("The push refers to repository [{NAME}]"))
            .shows("1: digest: sha256:");
        docker(&format!("push {NAME}:1")).succeeds().shows("Layer already exists");
        docker(&format!("push -a {NAME}")).succeeds().shows("2: digest: sha256:");
        docker(&format!("rmi -f {id}")).succeeds();
        // `run` fetches what is not there.
        let ran = docker(&format!("run -d --name got {NAME}:1 echo hello"));
        ran.succeeds().says(&format!("Unable to find image '{NAME}:1' locally")).says("Pull complete");
        ran.says(&format!("Status: Downloaded newer image for {NAME}:1"));
        docker("wait got").succeeds();
        assert_eq!(docker("logs got").stdout(), "hello\n");
        docker("rm got").succeeds();
        docker(&format!("pull {NAME}:1"))
            .succeeds()
            .shows(&format!("Status: Image is up to date for {NAME}:1"));
        docker(&format!("rmi {NAME}:1")).succeeds();
        let on_terminal = format!("{command} pull {NAME}:1");
        let shown = api.host.pty_of(["sh", "-c", &on_terminal]).ends_with(0);
        assert!(shown.contains("Downloaded newer image"), "{shown}");
        docker(&format!("pull -q {NAME}:1")).succeeds().shows(&format!("{NAME}:1"));
        docker(&format!("pull -a {NAME}")).succeeds().shows("2: Pulling from a/busy");
        docker(&format!("inspect --format {{{{.Id}}}} {NAME}:2")).shows(&id);
        let digest = api.host.inspect(&format!("{NAME}:1"), "{{index .RepoDigests 0}}");
        docker(&format!("rmi {NAME}:1 {NAME}:2")).succeeds();
        docker(&format!("pull {digest}")).succeeds().shows(&digest);
        docker(&format!("pull {NAME}:none")).ends_with(1).says("manifest unknown");
        docker(&format!("run --rm {NAME}:none true")).ends_with(125).says("manifest unknown");
        docker("push 127.0.0.1:5000/nothing")
            .ends_with(1)
            .says("An image does not exist locally with the tag");
        docker(&format!("pull --platform linux/s390x {NAME}:1"))
            .ends_with(1)
            .says("does not match the specified platform");
        docker("search busybox").ends_with(1).says("does not search for images");
        docker("pull 127.0.0.1:1/x").ends_with(1).says("connection refused");
        api.host.bulkhead(["load", "-q", "-i", "/run/host/images/busybox.3.tar"]).run().succeeds();
    }
    // The registry ends with its host.
    api.host.abandon();
}

#[test]
fn what_is_told_is_docker_s_json() {
    let api = Served::new("api-pull-json");
    serve(&api.host, "");
    let id = api.host.inspect("busybox", "{{.Id}}");
    api.host.bulkhead(["tag", "busybox", &format!("{NAME}:1")]).prints("");
    let post = |path: &str| api.http("POST", path, "").run();
    let pushed = post(&format!("/images/{NAME}/push?tag=1"));
    pushed.shows("200\n").shows(&format!("{{\"status\":\"The push refers to repository [{NAME}]\"}}"));
    pushed.shows("\"aux\":{\"Digest\":\"sha256:").shows("\"Size\":").shows("\"Tag\":\"1\"");
    api.host.bulkhead(["rmi", "-f", &id]).run().succeeds();
    let pulled = post(&format!("/images/create?fromImage={NAME}&tag=1"));
    pulled.shows("200\n").shows("\"id\":\"1\"").shows("\"status\":\"Pulling from a/busy\"");
    pulled
        .shows("\"status\":\"Downloading\"")
        .shows("\"progress\":\"[")
        .shows("\"progressDetail\":{\"current\":");
    pulled.shows("\"progressDetail\":{},\"status\":\"Pull complete\"").shows("{\"status\":\"Digest: sha256:");
    api.host.bulkhead(["images", "-q", "--no-trunc"]).prints(&id);
    // Before anything was said: a status.
    post(&format!("/images/create?fromImage={NAME}&tag=none")).shows("404\n{\"message\":\"manifest for");
    post("/images/create?fromImage=127.0.0.1:5000/none&tag=1").shows("404\n{\"message\":\"");
    post("/images/create?fromImage=BAD").shows("400\n");
    post(&format!("/images/create?fromImage={NAME}&tag=1&platform=a/b/c/d"))
        .shows("400\n")
        .shows("invalid platform");
    post("/images/none/push?tag=1").shows("404\n");
    api.host
        .sh(&format!("curl -sS -X POST -H 'X-Registry-Auth: %' --unix-socket {SOCKET} 'http://d/images/create?fromImage=x'"))
        .run()
        .shows("invalid X-Registry-Auth");
    // After that: a last line.
    api.host.bulkhead(["rmi", "-f", &id]).run().succeeds();
    api.host
        .sh("cd /run/registry/docker/registry/v2/blobs/sha256; for f in */*/data; do case $(head -c1 $f) in '{') ;; *) rm $f;; esac; done")
        .run()
        .succeeds();
    let failed = post(&format!("/images/create?fromImage={NAME}&tag=1"));
    failed.shows("200\n").shows("\"errorDetail\":{\"message\":\"").shows("\"error\":\"");
    for docker in api.docker_commands() {
        assert_eq!(api.host.sh(&format!("{docker} pull {NAME}:1")).run().code(), 1);
    }
    api.host.bulkhead(["images", "-q"]).prints("");
    // The registry ends with its host.
    api.host.abandon();
}

#[test]
fn a_registry_is_asked_what_it_has() {
    let api = Served::new("api-distribution");
    serve(&api.host, "");
    api.host.bulkhead(["tag", "busybox", &format!("{NAME}:1")]).prints("");
    api.docker(&format!("push {NAME}:1")).run().succeeds();
    let digest = api.host.inspect(&format!("{NAME}:1"), "{{index .RepoDigests 0}}");
    let digest = digest.split('@').nth(1).unwrap();
    let get = |name: &str| api.http("GET", &format!("/distribution/{name}/json"), "").run();
    for name in [format!("{NAME}:1"), format!("{NAME}@{digest}")] {
        get(&name)
            .shows("200\n{\"Descriptor\":{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\"")
            .shows(&format!("\"digest\":\"{digest}\""))
            .shows("\"Platforms\":[{\"architecture\":");
    }
    get(&format!("{NAME}:none")).shows("404\n");
    get("BAD").shows("400\n");
    get("127.0.0.1:1/x").shows("500\n").shows("connection refused");
    // The registry ends with its host.
    api.host.abandon();
}

/// `secret`, by bcrypt.
const HTPASSWD: &str = "tester:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

#[test]
fn a_registry_wants_to_know_who_asks() {
    let api = Served::new("api-login");
    api.host.sh("cat > /run/htpasswd").stdin(HTPASSWD).run().succeeds();
    serve(&api.host, "auth: {htpasswd: {realm: tests, path: /run/htpasswd}}");
    api.host.bulkhead(["tag", "busybox", &format!("{NAME}:1")]).prints("");
    for docker in api.docker_commands() {
        let docker = |words: &str| api.host.sh(&format!("{docker} {words}"));
        docker(&format!("push {NAME}:1")).fails(1, "authentication required");
        docker("login -u tester --password-stdin 127.0.0.1:5000").stdin("wrong").fails(1, "401 Unauthorized");
        docker("login -u tester --password-stdin 127.0.0.1:5000")
            .stdin("secret")
            .run()
            .succeeds()
            .shows("Login Succeeded");
        docker(&format!("push {NAME}:1")).run().succeeds().shows("digest: sha256:");
        docker(&format!("rmi {NAME}:1")).run().succeeds();
        docker(&format!("create --name got {NAME}:1 true")).run().succeeds().says("Downloaded newer image");
        docker("rm got").run().succeeds();
        docker("logout 127.0.0.1:5000").run().succeeds();
        docker(&format!("pull {NAME}:1")).fails(1, "authentication required");
    }
    let login = |body: &str| api.http("POST", "/auth", body).run();
    let right = r#"{"username":"tester","password":"secret","serveraddress":"127.0.0.1:5000"}"#;
    login(right).shows("200\n{\"Status\":\"Login Succeeded\"");
    login(&right.replace("secret", "wrong")).shows("401\n{\"message\":\"");
    login(&right.replace(":5000", ":1")).shows("500\n");
    login("{").shows("400\n");
    login(r#"{"auth":"?"}"#).shows("400\n");
    // The registry ends with its host.
    api.host.abandon();
}
