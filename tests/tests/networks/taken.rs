//! A port that is taken: who has it is named, and nothing stays behind.

use bulkhead_tests::Host;

use super::{ask, serve};

#[test]
fn who_has_a_port_is_named() {
    let host = Host::new("taken").with_busybox();
    serve(&host, "first", &["-p", "8080:80"]);
    let run = |ports: &str| host.bulkhead(["run", "--name", "second", "-p", ports, "busybox", "true"]).run();
    for ports in ["8080:80", "127.0.0.1:8080:80", "[::]:8080:80"] {
        run(ports).ends_with(125).says("failed: port is already allocated").says("first");
        host.bulkhead(["ps", "-a", "--format", "{{.Names}}"]).prints("first");
    }
    // Another protocol's port of that number is another port.
    run("8080:80/udp").succeeds();
    host.bulkhead(["rm", "second"]).prints("second");
    // A program of the host's.
    host.sh("echo 'import socket, time
taken = socket.socket(); taken.bind((\"127.0.0.1\", 9090)); taken.listen(); print(flush=True); time.sleep(1000)' > /tmp/taker.py
        python3 /tmp/taker.py > /tmp/listens 2>&1 & echo $! > /tmp/taker; until [ -s /tmp/listens ]; do sleep 0.01; done")
        .prints("");
    let pid = host.sh("cat /tmp/taker").stdout();
    run("9090:80").ends_with(125).says("port is already allocated").says(&pid).says("python3");
    // The other address is free.
    host.sh("ip addr add 192.0.2.1/24 dev lo").prints("");
    run("192.0.2.1:9090:80").succeeds();
    host.bulkhead(["rm", "second"]).prints("second");
    host.sh("kill $(cat /tmp/taker)").prints("");
    assert!(ask(&host, "127.0.0.1:8080").starts_with("first to "), "the first one lost nothing");
    // And the host's programs cannot take what is a container's.
    host.sh("python3 -c 'import socket; socket.socket().bind((\"\", 8080))' 2>&1 | grep -c 'Address already in use'")
        .prints("1");
    host.finish();
}

#[test]
fn both_of_two_that_wait_for_a_port_get_it_in_turn() {
    let host = Host::new("taken-turns").with_busybox();
    host.bulkhead(["create", "--name", "one", "-p", "8080:80", "busybox", "sleep", "1000"]).run().succeeds();
    host.bulkhead(["create", "--name", "two", "-p", "8080:80", "busybox", "sleep", "1000"]).run().succeeds();
    host.bulkhead(["start", "one"]).prints("one");
    host.bulkhead(["start", "two"]).fails(1, "port is already allocated");
    host.bulkhead(["rm", "-f", "one"]).prints("one");
    host.bulkhead(["start", "two"]).prints("two");
    host.bulkhead(["port", "two", "80"]).prints("0.0.0.0:8080\n[::]:8080");
    host.finish();
}

#[test]
fn of_sixteen_at_once_one_gets_it() {
    let host = Host::new("taken-race").with_busybox();
    host.sh("for i in $(seq 16); do bulkhead run -d --name c$i -p 8080:80 busybox sleep 1000 >/tmp/out$i 2>&1 & done; wait
        grep -l 'already allocated' /tmp/out* | wc -l; bulkhead ps -q | wc -l")
        .prints("15\n1");
    host.finish();
}
