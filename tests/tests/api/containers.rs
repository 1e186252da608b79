//! Containers by the docker command, beside our own on the same containers.

use crate::Served;

#[test]
fn the_docker_command_makes_and_ends_them() {
    let api = Served::new("api-containers");
    api.docker("create --name one --label a=b busybox sleep 1000").run().succeeds();
    api.docker("ps").run().hides("one");
    api.docker("ps --all --format '{{.Names}} {{.State}}'").prints("one created");
    api.docker("start one").prints("one");
    // It has IDs of its own, as one that our own command made.
    assert_ne!(
        api.host.sh("bulkhead exec one cat /proc/self/uid_map").stdout().split_whitespace().nth(1),
        Some("0")
    );
    api.docker("top one").run().shows("sleep 1000");
    api.docker("rename one two").run().succeeds();
    api.docker("pause two").prints("two");
    api.docker("ps --format '{{.Names}} {{.Status}}'").run().shows("(Paused)");
    api.docker("unpause two").prints("two");
    api.docker("update --memory 64m --memory-swap 64m two").prints("two");
    api.docker("inspect --format '{{.HostConfig.Memory}}' two").prints("67108864");
    api.docker("kill --signal KILL two").prints("two");
    api.docker("inspect --format '{{.State.Status}} {{.State.ExitCode}}' two").prints("exited 137");
    api.docker("restart -t 0 two").prints("two");
    api.docker("stop -t 0 two").prints("two");
    api.docker("diff two").prints("");
    api.host.bulkhead(["ps", "--all", "--format", "{{.Names}}"]).prints("two");
    api.docker("rm two").prints("two");
    api.host.bulkhead(["ps", "--all", "--quiet"]).prints("");
    api.docker("rm two").fails(1, "No such container: two");
    api.finish();
}

#[test]
fn starting_and_stopping_twice_changes_nothing() {
    let api = Served::new("api-twice");
    api.host.bulkhead(["create", "--name", "one", "busybox", "sleep", "1000"]).run().succeeds();
    api.http("POST", "/containers/one/start", "").prints("204");
    api.http("POST", "/containers/one/start", "").prints("304");
    api.http("POST", "/containers/one/stop?t=0", "").prints("204");
    api.http("POST", "/containers/one/stop?t=0", "").prints("304");
    api.http("POST", "/containers/one/kill?signal=NONSENSE", "").run().shows("400").shows("invalid signal");
    api.http("DELETE", "/containers/one", "").prints("204");
    api.http("DELETE", "/containers/one", "").run().shows("404");
    api.finish();
}

#[test]
fn a_create_warns_as_our_own_command_does() {
    let api = Served::new("api-create-warns");
    let ours = api
        .host
        .sh("bulkhead create --name one --blkio-weight 500 busybox true 2>&1 >/dev/null | wc -l")
        .stdout();
    let body = "{\"Image\":\"busybox\",\"HostConfig\":{\"BlkioWeight\":500}}";
    let answer = api.http("POST", "/containers/create?name=two", body).stdout();
    let made: serde_json::Value = serde_json::from_str(answer.strip_prefix("201\n").unwrap()).unwrap();
    assert_eq!(made["Warnings"].as_array().unwrap().len().to_string(), ours, "{made}");
    let answer = api.http("POST", "/containers/create?name=three", "{\"Image\":\"busybox\"}").run();
    answer.shows("201").shows("\"Warnings\":[]");
    api.finish();
}

#[test]
fn what_cannot_run_is_the_client_s_mistake() {
    let api = Served::new("api-cannot-run");
    api.host.bulkhead(["create", "--name", "one", "busybox", "nosuch"]).run().succeeds();
    api.http("POST", "/containers/one/start", "").run().shows("400").shows("executable file not found");
    api.http("GET", "/containers/json", "").prints("200\n[]");
    api.finish();
}
