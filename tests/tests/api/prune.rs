//! What nothing needs goes: the four prunes, their filters, and what they tell.

use serde_json::Value;

use crate::{Served, encoded};

/// What a prune with filters answers.
fn prune(api: &Served, path: &str, filters: &str) -> Value {
    let answer = api.http("POST", &format!("{path}?filters={}", encoded(filters)), "").stdout();
    let (status, body) = answer.split_once('\n').unwrap();
    assert_eq!(status, "200", "{path} {filters}: {body}");
    serde_json::from_str(body).unwrap()
}

#[test]
fn containers_go_with_what_they_wrote() {
    let api = Served::new("api-prune-containers");
    api.host.run_detached(["--name", "runs", "busybox", "sleep", "1000"]);
    for (name, label) in [("one", "a=1"), ("two", "a=2"), ("three", "b=1")] {
        api.host
            .sh(&format!(
                "bulkhead run --name {name} -l {label} busybox sh -c 'head -c 5000 /dev/zero > /f; ln /f /g'"
            ))
            .prints("");
    }
    assert_eq!(prune(&api, "/containers/prune", r#"{"until":["1h"]}"#)["SpaceReclaimed"], 0);
    assert_eq!(
        prune(&api, "/containers/prune", r#"{"label":["a"],"label!":["a=2"]}"#)["SpaceReclaimed"],
        5000
    );
    api.docker("ps -a --format '{{.Names}}'").prints("three\ntwo\nruns");
    // A thing with any of the labels stays.
    let none = prune(&api, "/containers/prune", r#"{"label!":{"a":true,"b=1":true}}"#);
    assert_eq!(none["ContainersDeleted"].as_array().map(Vec::len), Some(0));
    for bad in [r#"{"status":["exited"]}"#, r#"{"label":{"a":false}}"#, "x", r#"{"until":["1h","2h"]}"#] {
        let path = format!("/containers/prune?filters={}", encoded(bad));
        api.http("POST", &path, "").run().shows("400\n{\"message\":\"");
    }
    let id = api.host.inspect("three", "{{.Id}}");
    let all = prune(&api, "/containers/prune", r#"{"label":["b"]}"#);
    assert_eq!(
        (&all["ContainersDeleted"][0], &all["SpaceReclaimed"]),
        (&Value::from(id), &Value::from(5000))
    );
    api.docker("container prune -f").run().shows("Total reclaimed space: 5kB");
    api.docker("ps -a --format '{{.Names}}'").prints("runs");
    api.docker("events --since 1h --until $(($(date +%s) + 1)) --filter event=prune --format '{{.Type}} {{.Actor.Attributes.reclaimed}}'")
        .run()
        .shows("container 5000");
    // One may be called so.
    api.host.bulkhead(["create", "--name", "prune", "busybox", "true"]).run().succeeds();
    api.http("POST", "/containers/one", "").prints("404\n{\"message\":\"page not found\"}");
    api.http("DELETE", "/containers/prune", "").prints("204");
    api.finish();
}

#[test]
fn images_without_a_name_or_without_a_use() {
    let api = Served::new("api-prune-images");
    let commit = |what: &str| {
        let script = format!(
            "bulkhead run --name cc busybox sh -c 'echo {what} > /f'; bulkhead commit cc {what}; bulkhead rm cc > /dev/null"
        );
        api.host.sh(&script).stdout()
    };
    let nameless = commit("");
    commit("kept");
    commit("other");
    api.host.bulkhead(["create", "--name", "user", "kept", "true"]).run().succeeds();
    let pruned = prune(&api, "/images/prune", "{}");
    assert_eq!(pruned["ImagesDeleted"][0]["Deleted"], nameless, "{pruned}");
    assert!(pruned["SpaceReclaimed"].as_i64().unwrap() > 0, "{pruned}");
    let none = prune(&api, "/images/prune", r#"{"dangling":["true"]}"#);
    assert_eq!(none["ImagesDeleted"].as_array().map(Vec::len), Some(0));
    prune(&api, "/images/prune", r#"{"dangling":["false"],"until":["2000-01-01"]}"#);
    api.docker("images --format '{{.Repository}}' | sort | xargs").prints("busybox kept other");
    let dockers = api.dockers();
    api.by(&dockers[dockers.len() - 1], "image prune -a -f").run().shows("untagged: other:latest");
    api.docker("images --format '{{.Repository}}' | sort | xargs").prints("kept");
    api.finish();
}

#[test]
fn volumes_by_the_version_that_asks() {
    let api = Served::new("api-prune-volumes");
    api.host
        .sh("bulkhead volume create named > /dev/null; bulkhead volume create --label a=1 labelled > /dev/null
             bulkhead volume create > /dev/null; bulkhead create --name cc -v used:/x busybox true > /dev/null
             head -c 3000 /dev/zero > /var/lib/bulkhead/volumes/labelled/_data/f")
        .prints("");
    let names = || api.docker("volume ls -q | grep -v -E '^[0-9a-f]{64}$' | xargs").stdout();
    let pruned = prune(&api, "/volumes/prune", "{}");
    assert_eq!(pruned["VolumesDeleted"].as_array().map(Vec::len), Some(1), "{pruned}");
    assert_eq!(names(), "labelled named used");
    let pruned = prune(&api, "/volumes/prune", r#"{"all":["true"],"label":["a"]}"#);
    assert_eq!(
        (&pruned["VolumesDeleted"][0], &pruned["SpaceReclaimed"]),
        (&Value::from("labelled"), &Value::from(3000))
    );
    // Old clients say, and mean, all.
    let pruned = prune(&api, "/v1.41/volumes/prune", r#"{"label!":["b"]}"#);
    assert_eq!(pruned["VolumesDeleted"], serde_json::json!(["named"]));
    assert_eq!(names(), "used");
    let until = format!("/volumes/prune?filters={}", encoded(r#"{"until":["1h"]}"#));
    api.http("POST", &until, "").run().shows("400").shows("invalid filter 'until'");
    api.finish();
}

#[test]
fn networks_and_all_at_once() {
    let api = Served::new("api-prune-all");
    for docker in api.dockers() {
        api.host
            .sh("bulkhead network create idle > /dev/null; bulkhead network create kept > /dev/null
                 bulkhead network create --label a=1 labelled > /dev/null
                 bulkhead run --name one busybox true; bulkhead run -d --name two --network kept busybox sleep 1000")
            .run()
            .succeeds();
        assert_eq!(
            prune(&api, "/networks/prune", r#"{"label":["a"]}"#)["NetworksDeleted"],
            serde_json::json!(["labelled"])
        );
        api.by(&docker, "system prune -f")
            .run()
            .shows("Deleted Networks:\nidle")
            .shows("Deleted Containers:")
            .shows("Total reclaimed space: 0B");
        api.by(&docker, "network ls --format '{{.Name}}' --filter type=custom").prints("kept");
        api.host.sh("bulkhead rm -f two > /dev/null; bulkhead network rm kept").prints("kept");
    }
    // There is none of it.
    api.http("POST", "/build/prune", "").prints("200\n{\"CachesDeleted\":[],\"SpaceReclaimed\":0}");
    api.finish();
}
