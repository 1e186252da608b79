//! The server itself: versions, errors, who may reach it, and what happens when it is killed.

use crate::{SOCKET, Served};

#[test]
fn versions_are_negotiated() {
    let api = Served::new("api-versions");
    api.http("GET", "/_ping", "").prints("200\nOK");
    api.http("GET", "/v1.24/_ping", "").prints("200\nOK");
    api.http("GET", "/v1.53/version", "").run().shows("\"ApiVersion\":\"1.53\"");
    api.http("GET", "/v1.54/version", "").run().shows("400").shows("client version 1.54 is too new");
    api.http("GET", "/v1.23/version", "").run().shows("400").shows("client version 1.23 is too old");
    let headers = format!("curl -sS --head --unix-socket {SOCKET} http://d/_ping");
    api.host.sh(&headers).run().shows("api-version: 1.53").shows("ostype: linux");
    api.docker("version --format '{{.Server.Platform.Name}} {{.Server.Version}}'").run().shows("Bulkhead 0.");
    api.finish();
}

#[test]
fn what_is_not_served_says_so() {
    let api = Served::new("api-unserved");
    api.http("GET", "/swarm", "").run().shows("501").shows("{\"message\":\"bulkhead is no cluster");
    api.http("POST", "/build", "").run().shows("501");
    api.http("GET", "/nowhere", "").prints("404\n{\"message\":\"page not found\"}");
    api.http("GET", "/containers/none/json", "").prints("404\n{\"message\":\"No such container: none\"}");
    api.http("POST", "/containers/create", "{\"Image\":7}").run().shows("400").shows("invalid JSON");
    api.http("POST", "/containers/create", "{").run().shows("400");
    api.http("POST", "/containers/create?name=%2e%2e%2fx", "{\"Image\":\"busybox\"}")
        .run()
        .shows("400")
        .shows("Invalid container name");
    // A head that is too long is refused, and the next client is served.
    let long = format!(
        "(printf 'X: '; head -c 1000000 /dev/zero | tr '\\0' x) > /tmp/long; \
         curl -sS --unix-socket {SOCKET} -H @/tmp/long -o /dev/null -w '%{{http_code}}' http://d/_ping"
    );
    api.host.sh(&long).prints("431");
    api.http("GET", "/_ping", "").prints("200\nOK");
    api.finish();
}

#[test]
fn only_root_and_its_group_reach_it() {
    let api = Served::new("api-socket");
    api.host.run_detached(["--name", "one", "busybox", "sleep", "1000"]);
    api.host.sh(&format!("stat -c '%a %u:%g' {SOCKET}")).prints("600 0:0");
    api.kill();
    api.host.sh("echo 'bulkhead:x:4242:' >> /etc/group").run().succeeds();
    api.serve("");
    api.host.sh(&format!("stat -c '%a %u:%g' {SOCKET}")).prints("660 0:4242");
    // Somebody of the group gets through to it, and to nothing beside it; somebody else does not get there.
    let as_one_of = |group: &str, words: &str| {
        api.host.sh(&format!("setpriv --reuid 1234 --regid 1234 --groups {group} -- {words}"))
    };
    let ping = format!("curl -sS --unix-socket {SOCKET} http://d/_ping");
    as_one_of("4242", &ping).prints("OK");
    assert_ne!(as_one_of("4343", &ping).run().code(), 0);
    for closed in ["ls /run/bulkhead", "cat /run/bulkhead/events", "ls /run/bulkhead/containers"] {
        api.host.sh(closed).run().succeeds();
        assert_ne!(as_one_of("4242", closed).run().code(), 0, "{closed}");
    }
    // A second server leaves the first one its socket.
    api.host.bulkhead(["serve"]).fails(1, "another server listens there");
    api.http("GET", "/_ping", "").prints("200\nOK");
    api.finish();
}

#[test]
fn the_folder_that_it_makes_is_closed() {
    let host = bulkhead_tests::Host::new("api-folder");
    let script = "umask 0; setsid bulkhead --state /run/other serve < /dev/null > /tmp/served & server=$!
        for i in $(seq 200); do [ -s /tmp/served ] && break; sleep 0.05; done
        stat -c '%a %u:%g' /run/other; kill $server; wait $server";
    host.sh(script).prints("700 0:0");
    host.finish();
}

#[test]
fn those_who_may_only_look_change_nothing() {
    let api = Served::with("api-read-only", "--allow read-only");
    api.http("POST", "/containers/create?name=one", "{\"Image\":\"busybox\"}")
        .run()
        .shows("403")
        .shows("only lets clients look");
    api.http("GET", "/containers/json?all=1", "").prints("200\n[]");
    api.host.sh("bulkhead create --name one busybox true").run().succeeds();
    api.http("DELETE", "/containers/one", "").run().shows("403");
    api.http("GET", "/containers/one/json", "").run().shows("200");
    api.finish();
}

#[test]
fn containers_live_on_when_it_is_killed() {
    let api = Served::new("api-killed");
    api.http("POST", "/containers/create?name=one", "{\"Image\":\"busybox\",\"Cmd\":[\"sleep\",\"1000\"]}")
        .run()
        .shows("201");
    api.http("POST", "/containers/one/start", "").prints("204");
    let pid = api.host.inspect("one", "{{.State.Pid}}");
    api.kill();
    api.host.sh("bulkhead exec one cat /proc/1/comm").prints("sleep");
    api.serve("");
    api.docker("inspect --format '{{.State.Pid}} {{.State.Status}}' one").prints(&format!("{pid} running"));
    api.finish();
}

#[test]
fn requests_leave_no_process_and_no_descriptor() {
    let api = Served::new("api-leaves-nothing");
    let count = "s=$(cat /tmp/server); ls /proc/$s/fd | wc -l; cat /proc/$s/task/$s/children | wc -w; ls /proc/$s/task | wc -l";
    api.http("GET", "/info", "").run().shows("200");
    let before = api.host.sh(count).stdout();
    let many = format!(
        "for i in $(seq 40); do curl -sS --unix-socket {SOCKET} http://d/containers/json > /dev/null & done; wait; \
         timeout 0.2 curl -sS -X POST --unix-socket {SOCKET} 'http://d/containers/none/wait' > /dev/null; true"
    );
    api.host.sh(&many).run().succeeds();
    bulkhead_tests::wait::until("all is as before", || api.host.sh(count).stdout() == before);
    api.finish();
}
