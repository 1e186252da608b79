//! Images as archives through the API: save, load, import, commit.

use bulkhead_tests::archive::{docker_archive, gzip};
use bulkhead_tests::images::busybox;
use serde_json::json;

use crate::{SOCKET, Served};

#[test]
fn images_are_saved_and_loaded() {
    let api = Served::new("api-save");
    let id = api.host.inspect("busybox", "{{.Id}}");
    api.host.bulkhead(["tag", "busybox", "r.example/a/b:1"]).prints("");
    for docker in api.docker_commands() {
        let script = format!(
            "{docker} save -o /tmp/s.tar busybox r.example/a/b:1; {docker} rmi -f {id} >/dev/null
             {docker} load < /tmp/s.tar; {docker} images -q --no-trunc | sort -u; {docker} load -q -i /tmp/s.tar"
        );
        let loaded = "Loaded image: busybox:latest\nLoaded image: r.example/a/b:1";
        let output = api.host.sh(&script).run();
        for line in [loaded, id.as_str()] {
            output.succeeds().shows(line);
        }
        assert!(output.stdout().ends_with(&format!("{id}\n{loaded}\n")), "{output}");
    }
    let get = |path: &str| {
        api.host
            .sh(&format!("curl -sS --fail --unix-socket {SOCKET} 'http://d{path}' | tar xO manifest.json"))
    };
    get("/images/r.example/a/b:1/get").run().shows(r#""RepoTags":["r.example/a/b:1"]"#);
    get("/images/get?names=busybox&names=r.example/a/b:1")
        .run()
        .shows("busybox:latest")
        .shows("r.example/a/b:1");
    api.http("GET", "/images/none/get", "").prints("404\n{\"message\":\"No such image: none\"}");
    api.http("GET", "/images/get?names=busybox&names=none", "").run().shows("404");
    api.http("GET", "/images/get", "").run().shows("400");
    let platform = |architecture: &str| {
        format!("platform=%7B%22os%22:%22linux%22,%22architecture%22:%22{architecture}%22%7D")
    };
    let here = api.host.inspect("busybox", "{{.Architecture}}");
    for path in ["/images/busybox/json", "/images/busybox/history"] {
        api.http("GET", &format!("{path}?{}", platform(&here)), "").run().shows("200");
        api.http("GET", &format!("{path}?{}", platform("s390x")), "")
            .run()
            .shows("404")
            .shows("does not provide the specified platform");
    }
    api.http("GET", &format!("/images/get?names=busybox&{}", platform("s390x")), "").run().shows("404");
    api.http("GET", "/images/busybox/json?manifests=1", "").run().shows("200");
    api.http("GET", "/images/busybox/json?platform=linux", "").run().shows("400").shows("invalid platform");
    api.send("POST", &format!("/images/load?{}", platform("s390x")), "")
        .run()
        .shows("400")
        .shows("cannot be chosen");
    api.finish();
}

#[test]
fn a_load_tells_how_far_it_is_and_why_it_fails() {
    let api = Served::new("api-load");
    let layer = busybox().file("large", 0o644, vec![9; 5_000_000]).done();
    let whole = docker_archive("loaded:1", &json!({ "Cmd": ["sh"] }), &[layer]);
    let load =
        |query: &str, body: &[u8]| api.send("POST", &format!("/images/load{query}"), body.to_vec()).run();
    load("", &whole)
        .shows("200")
        .shows("\"status\":\"Loading layer\"")
        .shows("\"progressDetail\":{\"current\":")
        .shows("{\"stream\":\"Loaded image: loaded:1\\n\"}");
    assert_eq!(load("?quiet=1", &gzip(&whole)).stdout(), "200\n{\"stream\":\"Loaded image: loaded:1\\n\"}\n");
    api.host.bulkhead(["rmi", "loaded:1"]).run().succeeds();
    // Before anything was said, a status; after that a line.
    load("?quiet=1", b"nonsense").shows("400").shows("{\"message\":\"");
    load("?quiet=1", b"").shows("400");
    let half = load("", &whole[..whole.len() - 2_000_000]);
    half.shows("200").shows("\"errorDetail\":{\"message\":\"").shows("ends early").shows("\"error\":\"");
    for docker in api.docker_commands() {
        api.host
            .sh(&format!("{docker} load"))
            .stdin(&whole[..whole.len() - 2_000_000])
            .fails(1, "ends early");
        api.host.sh(&format!("{docker} load")).stdin("nonsense").fails(1, "archive");
    }
    api.host.bulkhead(["images", "--format", "{{.Repository}}"]).prints("busybox");
    api.finish();
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_load_leaves_nothing_half_made() {
    let api = Served::new("api-load-killed");
    let layer = busybox().file("large", 0o644, vec![9; 5_000_000]).done();
    let whole = docker_archive("loaded:1", &json!({ "Cmd": ["sh"] }), &[layer]);
    let half = format!(
        "cat > /tmp/whole; mkfifo /tmp/fifo
         curl -sS -N --unix-socket {SOCKET} -X POST -T - http://d/images/load < /tmp/fifo > /tmp/said 2>&1 & curl=$!
         exec 3> /tmp/fifo; head -c 4000000 /tmp/whole >&3; until grep -q Loading /tmp/said; do sleep 0.02; done
         worker=$(cat /proc/$(cat /tmp/server)/task/*/children); kill -9 $(cat /tmp/server); exec 3>&-; wait $curl || echo failed
         for i in $(seq 400); do [ -d /proc/$worker ] || break; sleep 0.02; done; [ ! -d /proc/$worker ]"
    );
    api.host.sh(&half).stdin(whole.clone()).run().succeeds().shows("failed");
    api.host.bulkhead(["images", "--format", "{{.Repository}}"]).prints("busybox");
    api.serve("");
    api.send("POST", "/images/load?quiet=1", whole).run().shows("Loaded image: loaded:1");
    api.host.bulkhead(["run", "--rm", "loaded:1", "stat", "-c", "%s", "/large"]).prints("5000000");
    api.finish();
}

#[test]
fn a_root_is_imported() {
    let api = Served::new("api-import");
    let tar = busybox().done();
    for docker in api.docker_commands() {
        let import = api
            .host
            .sh(&format!(
                "{docker} import -c 'CMD [\"echo\", \"hello\"]' -c 'ENV A=b' -m 'a message' - made:1"
            ))
            .stdin(gzip(&tar));
        assert!(import.stdout().starts_with("sha256:"));
        api.host.bulkhead(["run", "--rm", "made:1"]).prints("hello");
        api.docker("inspect --format '{{.Config.Env}} {{.Comment}}' made:1").prints("[A=b] a message");
        api.host.sh(&format!("{docker} import - BAD")).stdin("").fails(1, "invalid reference format");
        api.host.sh(&format!("{docker} import - x")).stdin("nonsense").fails(1, "archive");
        api.host
            .sh(&format!("{docker} import http://127.0.0.1:1/x.tar x"))
            .fails(1, "does not import from addresses");
        api.docker("rmi made:1").run().succeeds();
    }
    let import = |query: &str| api.send("POST", &format!("/images/create?{query}"), tar.clone()).run();
    import("fromSrc=http://x.example/x.tar").shows("400");
    import("fromSrc=-&repo=x&changes=NOSUCH%20thing").shows("400").shows("invalid change");
    import("fromSrc=-&repo=x&platform=a/b/c/d").shows("400").shows("invalid platform");
    import("fromSrc=-&fromImage=x").shows("400");
    import("").shows("400");
    import("fromSrc=-&repo=two&tag=t&changes=CMD%20x%0AENV%20B=c&platform=linux/arm64")
        .shows("200\n{\"status\":\"sha256:");
    api.docker("inspect --format '{{.Config.Cmd}} {{.Config.Env}} {{.Architecture}}' two:t")
        .prints("[/bin/sh -c x] [B=c] arm64");
    api.finish();
}

#[test]
fn a_container_becomes_an_image() {
    let api = Served::new("api-commit");
    api.host.run_detached([
        "--name",
        "one",
        "-e",
        "A=b",
        "busybox",
        "sh",
        "-c",
        "echo x >/made; exec sleep 1000",
    ]);
    bulkhead_tests::wait::until("the file is there", || {
        api.host.sh("bulkhead diff one").stdout().contains("/made")
    });
    for docker in api.docker_commands() {
        let commit =
            format!("{docker} commit -a Ada -m 'a message' -c 'CMD [\"cat\", \"/made\"]' one made:1");
        assert!(api.host.sh(&commit).stdout().starts_with("sha256:"));
        api.host.bulkhead(["run", "--rm", "made:1"]).prints("x");
        api.docker("inspect --format '{{.Author}} {{.Comment}} {{.Config.Env}}' made:1")
            .run()
            .shows("Ada a message")
            .shows("A=b");
        api.host.sh(&format!("{docker} commit none x")).fails(1, "No such container: none");
    }
    let commit = |query: &str, body: &str| api.http("POST", &format!("/commit?{query}"), body).run();
    let config = r#"{"Entrypoint":["echo"],"Env":["A=c","B=d"],"Labels":{"k":"v"},"User":"33","WorkingDir":"/tmp","ExposedPorts":{"80/tcp":{}}}"#;
    commit("container=one&repo=two&tag=2&pause=0", config).shows("201\n{\"Id\":\"sha256:");
    let shown =
        "{{.Config.Entrypoint}} {{.Config.User}} {{.Config.WorkingDir}} {{index .Config.Labels \"k\"}}";
    api.host.sh(&format!("bulkhead inspect --format '{shown}' two:2")).prints("[echo] 33 /tmp v");
    api.host
        .sh("bulkhead inspect --format '{{json .Config}}' two:2")
        .run()
        .shows("\"A=c\"")
        .shows("\"B=d\"")
        .shows("80/tcp")
        .hides("A=b")
        .hides("Cmd");
    commit("container=one&repo=three", "null").shows("201");
    commit("container=one&repo=BAD", "").shows("400").shows("invalid reference format");
    commit("container=one&repo=x&changes=NOSUCH", "").shows("400").shows("invalid change");
    commit("container=one", "{").shows("400");
    commit("repo=x", "").shows("400").shows("must be named");
    commit("container=none", "").shows("404");
    api.finish();
}
