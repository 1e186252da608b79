//! Whose IDs containers have that are made through the API: by what the server was told, and by what each asks for.

use crate::Served;

const MAP: &str = "cat /proc/self/uid_map";
const WHOLE: &str = "0 0 4294967295";

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The mapping of a container that asks for `mode`.
fn map(api: &Served, mode: &str) -> String {
    let body = format!(
        "{{\"Image\":\"busybox\",\"Cmd\":[\"cat\",\"/proc/self/uid_map\"],\"HostConfig\":{{\"UsernsMode\":\"{mode}\"}}}}"
    );
    api.http("POST", "/containers/create?name=asks", &body).run().shows("201");
    api.http("POST", "/containers/asks/start", "").prints("204");
    api.http("POST", "/containers/asks/wait", "").run().shows("\"StatusCode\":0");
    let said = words(&api.docker("logs asks").stdout());
    api.http("DELETE", "/containers/asks", "").prints("204");
    said
}

/// Whether it is a range of 65,536 IDs that is nobody's.
fn is_own(map: &str) -> bool {
    let numbers: Vec<u32> = map.split(' ').map(|number| number.parse().unwrap()).collect();
    matches!(numbers[..], [0, first, 65536] if first >= 65536)
}

#[test]
fn each_has_its_own_unless_it_asks_for_another() {
    let api = Served::new("api-userns");
    for docker in api.dockers() {
        let own = words(&api.by(&docker, &format!("run --rm busybox {MAP}")).stdout());
        assert!(is_own(&own), "{own}");
        let whole = api.by(&docker, &format!("run --rm --userns=host busybox {MAP}")).stdout();
        assert_eq!(words(&whole), WHOLE);
    }
    assert!(is_own(&map(&api, "")));
    assert!(is_own(&map(&api, "auto")));
    assert_eq!(map(&api, "host"), WHOLE);
    assert_eq!(map(&api, "map:uids=0:200000:1000"), "0 200000 1000");
    assert!(map(&api, "auto:size=131072").ends_with(" 131072"));
    api.docker("run -d --name one busybox sleep 1000").run().succeeds();
    let one = words(&api.docker(&format!("exec one {MAP}")).stdout());
    assert_eq!(map(&api, "container:one"), one);
    api.docker("inspect --format '{{.HostConfig.UsernsMode}}' one").prints("");
    // Who a client is, the server does not know.
    for (bad, why) in [
        ("keep-id", "keeps who you are"),
        ("nonsense", "invalid userns mode"),
        ("container:none", "No such container"),
    ] {
        let body = format!("{{\"Image\":\"busybox\",\"HostConfig\":{{\"UsernsMode\":\"{bad}\"}}}}");
        api.http("POST", "/containers/create", &body).run().shows("\n{\"message\":\"").shows(why);
    }
    api.docker("info --format '{{.SecurityOptions}}'").run().shows("name=userns");
    api.finish();
}

#[test]
fn the_host_s_for_those_who_need_it() {
    let api = Served::with("api-userns-host", "--userns=host");
    for docker in api.dockers() {
        assert_eq!(words(&api.by(&docker, &format!("run --rm busybox {MAP}")).stdout()), WHOLE);
    }
    assert_eq!(map(&api, ""), WHOLE);
    assert!(is_own(&map(&api, "auto")));
    api.docker("info --format '{{.SecurityOptions}}'").run().hides("name=userns");
    // It holds for a container as long as there is one, whoever starts it.
    api.docker("create --name one busybox cat /proc/self/uid_map").run().succeeds();
    assert_eq!(words(&api.host.sh("bulkhead start -a one").stdout()), WHOLE);
    // Our own command is not the server's.
    assert!(is_own(&words(&api.host.sh(&format!("bulkhead run --rm busybox {MAP}")).stdout())));
    api.finish();
}

#[test]
fn somebody_s_for_all_as_the_file_has_it() {
    let setup =
        "useradd --no-create-home alice; echo alice:200000:65536 > /etc/subuid; cp /etc/subuid /etc/subgid
        mkdir -p /etc/bulkhead";
    let file = "{\"userns-remap\": \"alice\"}";
    let api = Served { host: bulkhead_tests::Host::new("api-userns-remap").with_busybox() };
    api.host.sh(setup).prints("");
    api.host.sh("cat > /etc/bulkhead/daemon.json").stdin(file).prints("");
    let by_file = words(&api.host.sh(&format!("bulkhead run --rm busybox {MAP}")).stdout());
    assert_eq!(by_file, "0 200000 65536");
    // A server may be told otherwise than the file.
    api.serve("--userns=auto");
    assert!(is_own(&map(&api, "")));
    api.kill();
    api.host.sh("rm /etc/bulkhead/daemon.json").prints("");
    api.serve("--userns-remap alice");
    for docker in api.dockers() {
        assert_eq!(words(&api.by(&docker, &format!("run --rm busybox {MAP}")).stdout()), by_file);
    }
    assert_eq!(map(&api, "host"), WHOLE);
    assert!(is_own(&map(&api, "auto")));
    let body = "{\"Image\":\"busybox\",\"HostConfig\":{\"Privileged\":true}}";
    api.http("POST", "/containers/create", body)
        .run()
        .shows("400")
        .shows("incompatible with user namespaces");
    api.docker("info --format '{{.DriverStatus}}'").run().shows("userns-remap=alice");
    api.host
        .bulkhead(["serve", "--userns=host", "--userns-remap", "alice"])
        .fails(125, "cannot be used with");
    api.finish();
}
