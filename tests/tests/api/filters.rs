//! Filters of lists and events, by the docker commands and by the JSON of both forms.

use serde_json::Value;

use crate::Served;

/// The names of the containers that one JSON asks for, sorted.
fn names(api: &Served, filters: &str) -> String {
    let answer = api.filtered("/containers/json?all=1", filters).stdout();
    let (status, body) = answer.split_once('\n').unwrap();
    assert_eq!(status, "200", "{filters}: {body}");
    let all: Value = serde_json::from_str(body).unwrap();
    let mut names: Vec<&str> =
        all.as_array().unwrap().iter().map(|one| one["Names"][0].as_str().unwrap()).collect();
    names.sort_unstable();
    names.join(" ").replace('/', "")
}

#[test]
fn containers_by_every_key() {
    let api = Served::new("api-filters");
    api.host
        .sh("bulkhead network create net > /dev/null; bulkhead volume create data > /dev/null")
        .prints("");
    let id = api.host.run_detached([
        "--name",
        "web-1",
        "-l",
        "kind=a",
        "-l",
        "both",
        "-p",
        "127.0.0.1:8080:80",
        "--network",
        "net",
        "-v",
        "data:/data",
        "busybox",
        "sleep",
        "1000",
    ]);
    api.host
        .sh("bulkhead run --name web-2 -l kind=b -l both --expose 53/udp --expose 7000-7002 busybox sh -c 'exit 3' || true")
        .prints("");
    api.host
        .sh("bulkhead create --name base busybox true > /dev/null; bulkhead commit base child > /dev/null; bulkhead rm base > /dev/null; bulkhead create --name db child true > /dev/null")
        .prints("");
    let network = api.docker("network inspect --format '{{.Id}}' net").stdout();
    for (filter, expected) in [
        (format!("id={}", &id[..8]), "web-1"),
        ("name=web".into(), "web-1 web-2"),
        ("name=^/web-1$".into(), "web-1"),
        ("name=^(db|web-2)$".into(), "db web-2"),
        ("name=eb-[0-9]".into(), "web-1 web-2"),
        ("label=kind=a".into(), "web-1"),
        ("label=both".into(), "web-1 web-2"),
        ("status=exited".into(), "web-2"),
        ("status=created".into(), "db"),
        ("exited=3".into(), "web-2"),
        ("exited=0".into(), ""),
        ("ancestor=child".into(), "db"),
        // What was made from an image that was made from it, too.
        ("ancestor=busybox".into(), "db web-1 web-2"),
        ("ancestor=nosuch".into(), ""),
        ("before=web-2".into(), "web-1"),
        ("since=web-2".into(), "db"),
        ("volume=data".into(), "web-1"),
        ("volume=/data".into(), "web-1"),
        ("network=net".into(), "web-1"),
        (format!("network={}", &network[..10]), "web-1"),
        ("network=bridge".into(), "db web-2"),
        ("publish=80".into(), "web-1"),
        ("publish=53/udp".into(), ""),
        ("expose=79-81/tcp".into(), "web-1"),
        ("expose=53/udp".into(), "web-2"),
        ("expose=7001".into(), "web-2"),
        ("health=none".into(), "db web-1 web-2"),
        ("health=healthy".into(), ""),
        ("is-task=false".into(), "db web-1 web-2"),
        ("is-task=true".into(), ""),
        ("isolation=default".into(), "db web-1 web-2"),
        ("isolation=hyperv".into(), ""),
    ] {
        let (key, value) = filter.split_once('=').unwrap();
        assert_eq!(names(&api, &format!("{{\"{key}\":[\"{value}\"]}}")), expected, "{filter}");
        let shown = "ps -a --no-trunc --format '{{.Names}}'";
        let ours = api.host.sh(&format!("bulkhead {shown} --filter '{filter}' | sort | xargs")).stdout();
        assert_eq!(ours, expected, "bulkhead ps --filter {filter}");
        for docker in api.dockers() {
            let theirs = api.by(&docker, &format!("{shown} --filter '{filter}' | sort | xargs")).stdout();
            assert_eq!(theirs, expected, "{docker} ps --filter {filter}");
        }
    }
    // Values of a key widen, keys narrow, labels narrow; both forms say the same.
    assert_eq!(names(&api, r#"{"name":{"db":true,"web-2":true}}"#), "db web-2");
    assert_eq!(names(&api, r#"{"name":["web"],"status":["running"]}"#), "web-1");
    assert_eq!(names(&api, r#"{"label":["kind","kind=b"]}"#), "web-2");
    assert_eq!(names(&api, r#"{"label":{"kind":true,"both":true},"exited":["3"]}"#), "web-2");
    assert_eq!(names(&api, r#"{"label":[]}"#), "db web-1 web-2");
    // The newest of those that are asked for.
    api.filtered("/containers/json?limit=1", r#"{"label":["both"]}"#).run().shows("web-2").hides("web-1");
    api.filtered("/containers/json", r#"{"label":["both"]}"#).run().shows("web-1").hides("web-2");
    api.finish();
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let api = Served::new("api-filters-bad");
    for (path, filters, status, message) in [
        ("/containers/json", r#"{"nosuch":["x"]}"#, "400", "invalid filter 'nosuch'"),
        ("/containers/json", r#"{"nosuch":[]}"#, "400", "invalid filter 'nosuch'"),
        ("/containers/json", r#"{"status":["odd"]}"#, "400", "invalid filter 'status=[odd]'"),
        ("/containers/json", r#"{"health":["odd"]}"#, "400", "invalid filter"),
        ("/containers/json", r#"{"exited":["odd"]}"#, "400", "invalid filter"),
        ("/containers/json", r#"{"publish":["80/what"]}"#, "400", "invalid filter"),
        ("/containers/json", r#"{"is-task":["perhaps"]}"#, "400", "invalid filter"),
        ("/containers/json", r#"{"before":["nosuch"]}"#, "404", "No such container: nosuch"),
        ("/containers/json", r#"{"since":["nosuch"]}"#, "404", "No such container: nosuch"),
        ("/images/json", r#"{"before":["nosuch"]}"#, "404", "No such image: nosuch"),
        ("/images/json", r#"{"dangling":["true","false"]}"#, "400", "invalid filter"),
        ("/images/json", r#"{"until":["soon"]}"#, "400", "failed to parse value as time or duration"),
        ("/images/json", r#"{"status":["exited"]}"#, "400", "invalid filter 'status'"),
        ("/volumes", r#"{"nosuch":["x"]}"#, "400", "invalid filter 'nosuch'"),
        ("/networks", r#"{"nosuch":["x"]}"#, "400", "invalid filter 'nosuch'"),
        ("/networks", r#"{"type":["odd"]}"#, "400", "invalid filter"),
        ("/events", r#"{"nosuch":["x"]}"#, "400", "invalid filter 'nosuch'"),
        ("/containers/json", "nonsense", "400", "invalid filters"),
        ("/containers/json", r#"["label"]"#, "400", "invalid filters"),
        ("/volumes", r#"{"label":{"a":false}}"#, "400", "invalid filters"),
        ("/networks", r#"{"label":"a"}"#, "400", "invalid filters"),
    ] {
        let answer = api.filtered(path, filters).run();
        answer.shows(&format!("{status}\n{{\"message\":")).shows(message);
    }
    for docker in api.dockers() {
        api.by(&docker, "ps --filter nosuch=x").fails(1, "nosuch");
        api.by(&docker, "ps --filter before=nosuch").fails(1, "No such container: nosuch");
    }
    api.host.bulkhead(["ps", "--filter", "before=nosuch"]).fails(1, "No such container: nosuch");
    api.http("GET", "/_ping", "").prints("200\nOK");
    api.finish();
}

#[test]
fn images_by_every_key() {
    let api = Served::new("api-filters-images");
    // Each with a label and a layer of its own; the last two commits leave one without a name.
    api.host
        .sh("bulkhead create --name cc busybox true > /dev/null
             bulkhead commit -c 'LABEL n=1' cc one:a > /dev/null
             bulkhead commit -c 'LABEL n=2' cc localhost:5000/x/two > /dev/null
             bulkhead commit -c 'LABEL n=3' cc > /dev/null; bulkhead rm cc > /dev/null")
        .prints("");
    for (filters, expected) in [
        ("--filter label=n", "<none>:<none> localhost:5000/x/two:latest one:a"),
        ("--filter label=n=1", "one:a"),
        ("--filter dangling=true", "<none>:<none>"),
        ("--filter dangling=false", "busybox:latest localhost:5000/x/two:latest one:a"),
        ("--filter before=localhost:5000/x/two", "busybox:latest one:a"),
        ("--filter since=one:a --filter dangling=false", "localhost:5000/x/two:latest"),
        ("--filter reference='*'", "busybox:latest one:a"),
        ("--filter reference='localhost:5000/*/t*'", "localhost:5000/x/two:latest"),
        ("--filter reference='*:a'", "one:a"),
        ("--filter reference=one --filter reference=busybox", "busybox:latest one:a"),
        ("--filter until=2000-01-01", ""),
        ("busybox", "busybox:latest"),
        ("one:a", "one:a"),
        ("'b*x'", "busybox:latest"),
        ("nosuch", ""),
    ] {
        let shown = format!("images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' {filters} | sort | xargs");
        assert_eq!(api.host.sh(&format!("bulkhead {shown}")).stdout(), expected, "bulkhead images {filters}");
        for docker in api.dockers() {
            assert_eq!(api.by(&docker, &shown).stdout(), expected, "{docker} images {filters}");
        }
    }
    // By a name, an image has that name alone; old versions have a size more.
    api.docker("tag one:a other:b").run().succeeds();
    api.filtered("/images/json", r#"{"reference":["other"]}"#)
        .run()
        .shows("\"RepoTags\":[\"other:b\"]")
        .hides("VirtualSize");
    api.filtered("/v1.41/images/json", r#"{"reference":["other"]}"#).run().shows("VirtualSize");
    api.http("GET", "/images/json?filter=other", "").run().shows("other:b").hides("busybox");
    api.finish();
}

#[test]
fn volumes_and_networks_by_every_key() {
    let api = Served::new("api-filters-things");
    api.host
        .sh("bulkhead volume create --label a=1 used-one > /dev/null; bulkhead volume create idle > /dev/null
             bulkhead network create --label a=1 inner > /dev/null; bulkhead network create outer > /dev/null
             bulkhead create --name cc -v used-one:/x --network inner busybox true > /dev/null")
        .prints("");
    let id = api.docker("network inspect --format '{{.Id}}' inner").stdout();
    let id = format!("id={}", &id[..9]);
    for (what, filter, expected) in [
        ("volume", "dangling=true", "idle"),
        ("volume", "dangling=0", "used-one"),
        ("volume", "driver=local", "idle used-one"),
        ("volume", "driver=nfs", ""),
        ("volume", "label=a=1", "used-one"),
        ("volume", "name=one", "used-one"),
        ("volume", "name=^idle$", "idle"),
        ("network", "dangling=true", "outer"),
        ("network", "dangling=false", "bridge host inner none"),
        ("network", "driver=bridge", "bridge inner outer"),
        ("network", id.as_str(), "inner"),
        ("network", "label=a", "inner"),
        ("network", "name=er", "inner outer"),
        ("network", "name=^(inner|none)$", "inner none"),
        ("network", "scope=local", "bridge host inner none outer"),
        ("network", "scope=swarm", ""),
        ("network", "type=custom", "inner outer"),
        ("network", "type=builtin", "bridge host none"),
    ] {
        let shown = format!("{what} ls --format '{{{{.Name}}}}' --filter '{filter}' | sort | xargs");
        assert_eq!(
            api.host.sh(&format!("bulkhead {shown}")).stdout(),
            expected,
            "bulkhead {what} ls {filter}"
        );
        for docker in api.dockers() {
            assert_eq!(api.by(&docker, &shown).stdout(), expected, "{docker} {what} ls {filter}");
        }
    }
    api.finish();
}

#[test]
fn events_by_their_keys() {
    let api = Served::new("api-filters-events");
    api.host
        .sh("bulkhead create --name one -l a=1 busybox true > /dev/null; bulkhead volume create data > /dev/null
             bulkhead tag busybox other; bulkhead rm one > /dev/null")
        .prints("");
    for (filters, expected) in [
        ("--filter type=container", "create destroy"),
        ("--filter container=one --filter event=create", "create"),
        ("--filter label=a=1 --filter event=destroy", "destroy"),
        ("--filter volume=data", "create"),
        ("--filter type=image --filter image=other", "tag"),
        ("--filter plugin=x", ""),
        ("--filter scope=swarm", ""),
    ] {
        // Docker's command sends whole seconds, so this one must be over.
        let shown = format!(
            "events --since 1h --until $(($(date +%s) + 1)) --format '{{{{.Action}}}}' {filters} | sort | xargs"
        );
        assert_eq!(api.host.sh(&format!("bulkhead {shown}")).stdout(), expected, "bulkhead events {filters}");
        for docker in api.dockers() {
            assert_eq!(api.by(&docker, &shown).stdout(), expected, "{docker} events {filters}");
        }
    }
    api.finish();
}
