//! Waiting for ends that are there, that come, and that are a container's last.

use bulkhead_tests::wait::until;

use crate::{SOCKET, Served};

#[test]
fn ends_are_told_by_their_codes() {
    let api = Served::new("api-wait");
    api.host
        .bulkhead(["create", "--name", "one", "busybox", "sh", "-c", "sleep 0.2; exit 7"])
        .run()
        .succeeds();
    // The next one, asked for before the start: the answer's head says from when on nothing is missed.
    let script = format!(
        "curl -sS -N -D /tmp/head --unix-socket {SOCKET} -X POST 'http://d/containers/one/wait?condition=next-exit' > /tmp/next & \
         for i in $(seq 200); do [ -s /tmp/head ] && break; sleep 0.02; done; head -c 12 /tmp/head; bulkhead start one; wait $!; cat /tmp/next"
    );
    api.host.sh(&script).run().shows("HTTP/1.1 200").shows("{\"StatusCode\":7}");
    api.http("POST", "/containers/one/wait", "").prints("200\n{\"StatusCode\":7}");
    api.docker("wait one").prints("7");
    api.http("POST", "/containers/one/wait?condition=odd", "").run().shows("400");
    api.http("POST", "/containers/none/wait", "").run().shows("404");
    // The last: it is told when the container has gone.
    api.host.sh(&format!(
        "bulkhead create --rm --name two busybox sh -c 'sleep 0.2; exit 3'; \
         curl -sS -N -D /tmp/two.head --unix-socket {SOCKET} -X POST 'http://d/containers/two/wait?condition=removed' > /tmp/two & \
         for i in $(seq 200); do [ -s /tmp/two.head ] && break; sleep 0.02; done; \
         curl -sS --unix-socket {SOCKET} -X POST 'http://d/containers/two/start'; wait $!; cat /tmp/two"
    ))
    .run()
    .shows("{\"StatusCode\":3}");
    until("it is gone", || api.host.bulkhead(["ps", "-aq", "--filter", "name=two"]).stdout().is_empty());
    api.finish();
}
